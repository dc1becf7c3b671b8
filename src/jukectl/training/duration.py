"""Time that the recipes of a model will take on this machine, from a few steps of each on made-up music."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from jukectl.audio import io
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.data.encoded import CodeFolder
from jukectl.data.manifest import Manifest, Track
from jukectl.progress import Listener, Progress, ignore
from jukectl.tables import build
from jukectl.training.codec_task import VQVAETask
from jukectl.training.config import PriorRecipe, TrainConfig, VQVAERecipe, load_recipe
from jukectl.training.distributed import Ranks
from jukectl.training.loop import Pace, measure_pace
from jukectl.training.prior_task import PriorTask
from jukectl.vqvae.config import VQVAEConfig

SLOW = 5.0  # seconds of a whole step; a slower one is estimated from a batch of one row


def recipe_seconds(
    codecs: Mapping[Level, Path], priors: Mapping[Level, Path], ranks: Ranks, *, listener: Listener = ignore
) -> dict[Path, float]:
    """Return the seconds that each recipe takes, from training steps on noise and random codes in a temporary folder.

    The recipes must agree with each other, as those of `training.init` do.
    """
    found: dict[Path, float] = {}
    total = len(codecs) + len(priors)
    config: VQVAEConfig | None = None
    with tempfile.TemporaryDirectory(prefix="jukectl-") as place:
        for path in codecs.values():
            listener(Progress("measuring steps", len(found), total, path.name))
            recipe = load_recipe(path, VQVAERecipe)
            config = build(VQVAEConfig, recipe.model, str(path), inside="model")
            found[path] = _codec_seconds(recipe, config, _noise(Path(place), recipe, config), ranks)
        assert config is not None
        for level, path in priors.items():
            listener(Progress("measuring steps", len(found), total, path.name))
            prior = load_recipe(path, PriorRecipe)
            codes = _random_codes(Path(place) / level.label, prior.model["context"], level, config)
            found[path] = _prior_seconds(prior, codes, ranks)
    listener(Progress("measuring steps", total, total))
    return found


def _codec_seconds(recipe: VQVAERecipe, config: VQVAEConfig, manifest: Path, ranks: Ranks) -> float:
    """Return the seconds of the recipe of a codec, from steps before its codebook starts."""
    data = replace(recipe.data, manifest=manifest, held_out=(), validation_seconds=recipe.data.validation_seconds)
    quick = replace(recipe, data=data, codebook=replace(recipe.codebook, start_step=recipe.train.steps - 1))
    pace = measure_pace(VQVAETask(quick, config, ignore), recipe.train, ranks, slow=SLOW)
    return _total(recipe.train, Pace(pace.step, pace.evaluation * recipe.data.validation_songs))


def _prior_seconds(recipe: PriorRecipe, codes: Path, ranks: Ranks) -> float:
    """Return the seconds of the recipe of a prior, from one row of a batch where a step is slow."""
    data = replace(recipe.data, codes=codes, held_out=(), validation_segments=1)
    rows = 1
    while True:
        train = replace(recipe.train, batch=rows, accumulate=1)
        quick = replace(recipe, data=data, train=train, codec=None)
        pace = measure_pace(PriorTask(quick, listener=ignore), train, ranks, slow=SLOW / recipe.train.batch)
        if rows == recipe.train.batch or pace.step * recipe.train.batch > SLOW:
            break
        rows = recipe.train.batch
    step = pace.step * recipe.train.batch / rows
    return _total(recipe.train, Pace(step, pace.evaluation * recipe.data.validation_segments))


def _total(train: TrainConfig, pace: Pace) -> float:
    return train.steps * pace.step + -(-train.steps // train.evaluate_every) * pace.evaluation


def _noise(folder: Path, recipe: VQVAERecipe, config: VQVAEConfig) -> Path:
    """Write a recording of noise as long as a held-out excerpt, and its manifest; return that."""
    manifest = folder / "manifest.jsonl"
    if not manifest.exists():
        seconds = max(recipe.data.validation_seconds, 2 * recipe.data.clip_samples / config.sample_rate)
        samples = np.random.default_rng(0).normal(0, 0.1, round(seconds * config.sample_rate)).astype(np.float32)
        io.save(folder / "noise.wav", samples.clip(-1, 1), config.sample_rate)
        track = Track(path="noise.wav", seconds=seconds, sample_rate=config.sample_rate, channels=1)
        Manifest(folder, (track,)).save(manifest)
    return manifest


def _random_codes(folder: Path, context: int, level: Level, config: VQVAEConfig) -> Path:
    """Write a code folder with one song of two contexts of random codes, at a level and the one above; return it."""
    seconds = 2 * context * config.hop(level) / config.sample_rate
    track = Track(path="noise.wav", seconds=seconds, sample_rate=config.sample_rate, channels=1)
    random, codes = np.random.default_rng(0), CodeFolder(folder)
    for one in TOP_DOWN:
        if one in (level, Level.TOP if level is Level.TOP else level.above):
            frames = 2 * context * config.hop(level) // config.hop(one)
            array = random.integers(config.codebook_size, size=(1, frames)).astype(np.uint16)
            codes.write(
                track.name,
                Codes(
                    level=one,
                    array=array,
                    prompt=0,
                    hop=config.hop(one),
                    sample_rate=config.sample_rate,
                    codebook_size=config.codebook_size,
                    vqvae="random",
                ),
            )
    Manifest(folder, (track,)).save(folder / "manifest.jsonl")
    return folder
