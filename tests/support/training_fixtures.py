"""Encoded songs to train priors on, recordings to train codecs on, and recipes that train in a second."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import tomlkit
from tiny_recipes import write_codec_recipe

from jukectl.audio import io
from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.data.manifest import Manifest, Track
from jukectl.training.config import PriorRecipe, load_recipe
from jukectl.training.prior_task import PriorTask
from jukectl.training.starting import find_prior

HOPS = {Level.BOTTOM: 16, Level.MIDDLE: 64, Level.TOP: 256}
SONGS: dict[str, tuple[int, dict[str, Any]]] = {  # top codes of each, and its tags
    "a/long.flac": (24, {"artist": "Björk B.", "genres": ("Jazz", "Ambient")}),
    "a/short.flac": (9, {"artist": "Ada", "genres": ("Jazz",)}),
    "b/plain.wav": (13, {}),
}
TINY_TOP = {
    "context": 8,
    "width": 16,
    "depth": 3,
    "heads": 2,
    "blocks": 4,
    "genre_slots": 2,
    "timing": {"max_seconds": 60.0},
}
"""The [model] table of a tiny top prior for the songs of `codes`."""


def task_of(path: Path, *overrides: str) -> PriorTask:
    """Return the training task of a recipe for a top prior."""
    recipe = load_recipe(path, PriorRecipe, overrides)
    return PriorTask(recipe, None if recipe.start is None else find_prior(recipe.start, Level.TOP))


class WriteRecipe(Protocol):
    """Write NAME.toml, whose run goes to the folder NAME, with the [model] table and keys of the top table."""

    def __call__(self, name: str, codes: Path, model: dict[str, Any], **top: Any) -> Path: ...


@pytest.fixture
def write_recipe(tmp_path: Path) -> WriteRecipe:
    """Write recipes of tiny top priors that train for two steps."""

    def write(
        name: str, codes: Path, model: dict[str, Any], held_out: Sequence[str] = ("a/short.flac",), **top: Any
    ) -> Path:
        recipe = {
            "out": (tmp_path / name).as_posix(),
            **top,
            "model": model,
            "data": {"codes": codes.as_posix(), "held_out": list(held_out), "validation_segments": 2},
            "train": {"steps": 2, "batch": 2, "learning_rate": 0.01, "evaluate_every": 2, "threads": 1},
        }
        path = tmp_path / f"{name}.toml"
        path.write_text(tomlkit.dumps(recipe), encoding="utf-8")
        return path

    return write


@pytest.fixture
def codes(tmp_path: Path) -> Path:
    """A folder as `jukectl data encode` leaves it. Each code is its own position: frame % 64 at every level."""
    folder = tmp_path / "codes"
    tracks = []
    for path, (tops, facts) in SONGS.items():
        track = Track(path=path, seconds=tops * 256 / 8_000, sample_rate=8_000, channels=1, **facts)
        tracks.append(track)
        (folder / track.name).mkdir(parents=True)
        for level, hop in HOPS.items():
            frames = np.arange(tops * 256 // hop, dtype=np.uint16)[None] % 64
            song = Codes(
                level=level, array=frames, prompt=0, hop=hop, sample_rate=8_000, codebook_size=64, vqvae="c0dec"
            )
            song.save(folder / track.name / f"{level.label}.npz")
    Manifest(folder, tuple(tracks)).save(folder / "manifest.jsonl")
    return folder


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A manifest of three recordings of sines, a silent one and a very short one, at 8 kHz."""
    folder = tmp_path / "music"
    folder.mkdir()
    time = np.arange(8_000) / 8_000
    for number, frequency in enumerate((220, 440, 330)):
        sine = 0.5 * np.sin(2 * np.pi * frequency * time)
        io.save(folder / f"{number}.wav", np.stack([sine, 0.8 * sine]).astype(np.float32), 8_000)
    io.save(folder / "silent.wav", np.zeros(8_000, np.float32), 8_000)
    io.save(folder / "short.wav", np.full(30, 0.5, np.float32), 8_000)
    names = ("0.wav", "1.wav", "2.wav", "short.wav", "silent.wav")
    tracks = tuple(Track(path=name, seconds=1.0, sample_rate=8_000, channels=2) for name in names)
    Manifest(folder, tracks).save(folder / "manifest.jsonl")
    return folder / "manifest.jsonl"


@pytest.fixture
def codec_recipe(tmp_path: Path, music: Path) -> Path:
    """A recipe for a codec whose training steps take milliseconds."""
    out = (tmp_path / "codec").as_posix()
    return write_codec_recipe(tmp_path / "codec.toml", out=out, manifest=music.as_posix())


@pytest.fixture
def prior_recipe(tmp_path: Path, codes: Path) -> Path:
    """A recipe for an upsampler whose training steps take milliseconds."""
    path = tmp_path / "prior.toml"
    path.write_text(f"""
out = "{(tmp_path / "prior").as_posix()}"
level = "middle"
[model]
context = 16
width = 16
depth = 3
heads = 2
blocks = 4
genre_slots = 2
[model.conditioner]
width = 8
depth = 2
downs = 2
[data]
codes = "{codes.as_posix()}"
held_out = ["b/*"]
validation_segments = 4
[train]
steps = 14
batch = 4
learning_rate = 0.01
warmup = 2
average = 0.9
threads = 1
log_every = 2
evaluate_every = 3
checkpoint_every = 4
""")
    return path
