"""Training runs from recipe files, for `jukectl train`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomlkit
import torch

from jukectl.checkpoints.adapters import save_adapter
from jukectl.checkpoints.card import characters_table
from jukectl.checkpoints.tensorfile import load_tensors
from jukectl.codes.level import Level
from jukectl.errors import BadRecipe, RunBusy
from jukectl.files import atomic_write
from jukectl.folders import Kind, locked
from jukectl.prior.config import PriorConfig
from jukectl.progress import Listener, ignore
from jukectl.tables import build, read_toml
from jukectl.training.checkpointing import checkpoints, remove
from jukectl.training.codec_task import CodecTask, VQVAETask
from jukectl.training.config import PriorRecipe, VQVAERecipe, load_recipe
from jukectl.training.distributed import ALONE, Ranks
from jukectl.training.loop import train
from jukectl.training.prior_task import PriorTask
from jukectl.training.starting import adapter_card, find_codec, find_prior
from jukectl.vqvae.config import VQVAEConfig

ADAPTER = "adapter.safetensors"
MODEL_FILE = "model.toml"  # describes the weights of a run, for assembling a model folder from runs


MakeTask = Callable[[VQVAERecipe, VQVAEConfig, Listener], CodecTask]
TASKS: Mapping[str, MakeTask] = {"separate": VQVAETask}


def train_vqvae(
    recipe_path: Path,
    overrides: Sequence[str],
    listener: Listener,
    ranks: Ranks = ALONE,
    *,
    tasks: Mapping[str, MakeTask] = TASKS,
) -> Path:
    """Train a codec from a recipe and return the path of the best weights. `tasks` maps architectures to tasks."""
    recipe = load_recipe(recipe_path, VQVAERecipe, overrides)
    start = None if recipe.start is None else find_codec(recipe.start)
    with _naming(recipe_path):
        levels = [Level.parse(name) for name in recipe.levels]
        model = recipe.model if start is None else start.agreed(recipe.model, levels)
    if recipe.architecture not in tasks:
        raise BadRecipe(
            f"{recipe_path}: architecture {recipe.architecture} is for comparison only and cannot become a model: "
            "leave architecture out, or train it with examples/ablations/train.py"
        )
    config = build(VQVAEConfig, model, str(recipe_path), inside="model")
    _set_threads(recipe.train.threads)
    with _alone_in(recipe.out, ranks), _naming(recipe_path):
        with ranks.main_process_first("music"):
            task = tasks[recipe.architecture](recipe, config, listener)
        if start is not None and isinstance(task, VQVAETask):
            start.fill(task.vqvae, task.learners)
        about = {"vqvae": config.to_dict(), "levels": list(recipe.levels), "architecture": recipe.architecture}
        _describe(recipe.out, about, ranks)
        return train(task, recipe.train, recipe.out, listener, ranks, evaluate_first=start is not None)


def train_prior(
    recipe_path: Path,
    overrides: Sequence[str],
    listener: Listener,
    ranks: Ranks = ALONE,
) -> Path:
    """Train a prior or an upsampler from a recipe, and return the path of the best weights, or of the adapter."""
    recipe = load_recipe(recipe_path, PriorRecipe, overrides)
    level = Level.parse(recipe.level)
    if recipe.start is None and (level is Level.TOP) == ("conditioner" in recipe.model):
        raise BadRecipe(f"{recipe_path}: model.conditioner belongs to the middle and bottom levels, and only to them")
    _set_threads(recipe.train.threads)
    with _alone_in(recipe.out, ranks), _naming(recipe_path):
        start = None if recipe.start is None else find_prior(recipe.start, level)
        task = PriorTask(recipe, start, listener if ranks.first else ignore)
        names: dict[str, Any] = {"artists": list(task.vocabulary.artists), "genres": list(task.vocabulary.genres)}
        if task.config.lyrics is not None:
            names |= characters_table(task.vocabulary.alphabet(task.config.lyrics.alphabet))
        about: dict[str, Any] = {"prior": task.config.to_dict(), "vocabulary": names, "codec": task.codec}
        about["label_dropout"] = recipe.label_dropout
        if start is None or recipe.adapter is None:
            _describe(recipe.out, about, ranks)
            return train(task, recipe.train, recipe.out, listener, ranks, evaluate_first=start is not None)
        card = adapter_card(start, recipe.adapter, task.vocabulary)
        _describe(recipe.out, {**about, "adapter": card.to_dict()}, ranks)
        best = train(task, recipe.train, recipe.out, listener, ranks, evaluate_first=True)
        if ranks.first:
            save_adapter(recipe.out / ADAPTER, card, load_tensors(best))
        return recipe.out / ADAPTER


def _describe(out: Path, table: Mapping[str, Any], ranks: Ranks) -> None:
    """Write the model.toml of a run; raise BadRecipe if the folder has checkpoints of another model."""
    if not ranks.first:
        return
    file = out / MODEL_FILE
    if checkpoints(out) and _stored(file) != _parsed(table, str(file)):
        raise BadRecipe(f"{out} holds checkpoints of another model, see {file}: give another out folder")
    with atomic_write(file) as written:
        written.write(tomlkit.dumps(table).encode())


def _stored(file: Path) -> object:
    """Return the contents of a model.toml in comparable form, or None if it cannot be read."""
    try:
        return _parsed(read_toml(file, BadRecipe), str(file))
    except (ValueError, KeyError, TypeError, BadRecipe):
        return None


def _parsed(table: Mapping[str, Any], where: str) -> object:
    """Return the contents of a model.toml in comparable form, with defaults for missing fields."""
    if "vqvae" in table:
        architecture = table.get("architecture", "separate")  # runs of earlier versions have no such key
        return build(VQVAEConfig, table["vqvae"], where), table["levels"], architecture
    return PriorConfig.from_dict(table["prior"]), table["vocabulary"], table.get("adapter")


def _is_begun(folder: Path) -> bool:
    """Return True for the folder of a run: it describes its model, or has checkpoints."""
    return bool(checkpoints(folder)) or _stored(folder / MODEL_FILE) is not None


RUN = Kind("folder of a training run", _is_begun)


@contextmanager
def _naming(recipe_path: Path) -> Iterator[None]:
    """Prefix errors of a recipe with its file name."""
    try:
        yield
    except BadRecipe as error:
        raise BadRecipe(f"{recipe_path}: {error}") from error


@contextmanager
def _alone_in(out: Path, ranks: Ranks) -> Iterator[None]:
    """Create and lock the folder of a run; raise RunBusy if another run has locked it.

    The first rank holds the lock, which the operating system releases however that process ends.
    """
    if not ranks.first:
        ranks.barrier()
        yield
        return
    RUN.claim(out)
    busy = RunBusy(f"another jukectl trains in {out}: wait until it has finished, or give another out folder")
    with locked(out / ".lock", busy, f"cannot train in {out}"):
        for part in out.glob(".*.part"):  # partial files of a killed process
            remove(part)
        ranks.barrier()
        yield


def _set_threads(threads: int | None) -> None:
    if threads:
        torch.set_num_threads(threads)
