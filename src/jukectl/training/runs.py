"""A training run from its recipe file: what `jukectl train` does."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomlkit

from jukectl.codes.level import Level
from jukectl.errors import BadRecipe
from jukectl.files import atomic_write
from jukectl.progress import Report
from jukectl.training.config import PriorRecipe, VQVAERecipe, build, load_recipe
from jukectl.training.loop import train
from jukectl.training.vqvae_task import VQVAETask
from jukectl.vqvae.config import VQVAEConfig

MODEL_FILE = "model.toml"  # what a run's weights are: enough to assemble a model folder from runs


def train_vqvae(recipe_path: Path, overrides: Sequence[str], report: Report) -> Path:
    """Train a codec from a recipe; returns the best weights' path."""
    recipe = load_recipe(recipe_path, VQVAERecipe, overrides)
    for name in recipe.levels:
        Level.parse(name)
    config = build(VQVAEConfig, recipe.model, f"{recipe_path}: model")
    _set_threads(recipe.train.threads)
    task = VQVAETask(recipe, config, report)
    shape = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(config).items()
        if value is not None
    }
    _describe(recipe.out, {"vqvae": shape, "levels": list(recipe.levels)})
    return train(task, recipe.train, recipe.out, report)


def train_prior(recipe_path: Path, overrides: Sequence[str], report: Report) -> Path:
    """Train a prior or an upsampler from a recipe; returns the best weights' path."""
    recipe = load_recipe(recipe_path, PriorRecipe, overrides)
    level = Level.parse(recipe.level)
    if (level is Level.TOP) == ("conditioner" in recipe.model):
        raise BadRecipe(f"{recipe_path}: model.conditioner belongs to the middle and bottom levels, and only to them")
    _set_threads(recipe.train.threads)
    from jukectl.training.prior_task import PriorTask

    task = PriorTask(recipe)
    names = task.vocabulary
    _describe(
        recipe.out,
        {"prior": task.config.to_dict(), "vocabulary": {"artists": list(names.artists), "genres": list(names.genres)}},
    )
    return train(task, recipe.train, recipe.out, report)


def _describe(out: Path, table: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with atomic_write(out / MODEL_FILE) as file:
        file.write(tomlkit.dumps(table).encode())


def _set_threads(threads: int | None) -> None:
    import torch

    if threads:
        torch.set_num_threads(threads)
