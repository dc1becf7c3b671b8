"""Small songs of the tiny model, for tests of the stages."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_cards import forget_fingerprints

from jukectl.api import Request, sample
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.sampling import draw
from jukectl.sampling import level as sampling_level

SHORT = 0.608  # seconds: 19 top codes, less than a context; 76 middle and 304 bottom codes, more than one


@pytest.fixture
def ask(tiny_model: Path) -> Callable[..., Request]:
    """A request for a short song of the tiny model; any option may be given."""

    def make(**changes: Any) -> Request:
        values: dict[str, Any] = {
            "model": str(tiny_model),
            "artist": "Ada",
            "genres": ("jazz",),
            "seconds": SHORT,
            "seed": 3,
        }
        return Request(**{**values, **changes})

    return make


@pytest.fixture(scope="session")
def finished(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short song of two samples, finished. Copy it to change it."""
    path = tmp_path_factory.mktemp("songs") / "finished"
    request = Request(model=str(tiny_model), artist="Ada", genres=("jazz",), seconds=SHORT, seed=3, samples=2)
    sample(path, request)
    return path


@pytest.fixture
def song(finished: Path, tmp_path: Path) -> Song:
    """A copy of the finished song."""
    shutil.copytree(finished, tmp_path / "song")
    return Song(tmp_path / "song")


@pytest.fixture(scope="session")
def other_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with another codec."""
    from safetensors.numpy import load_file, save_file

    path = tmp_path_factory.mktemp("other") / "other"
    shutil.copytree(tiny_model, path)
    tensors = load_file(path / "vqvae.safetensors")
    changed = {name: tensor + np.float16(0.5 * ("codebook" in name)) for name, tensor in tensors.items()}
    save_file(changed, path / "vqvae.safetensors")
    return forget_fingerprints(path)


@pytest.fixture
def codes_in() -> Callable[[Path], dict[str, bytes]]:
    """The bytes of every level's archive in a song folder."""
    return lambda path: {file.name: file.read_bytes() for file in sorted(Path(path).glob("*.npz"))}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[Level, int]:
    """How many codes were drawn at each level."""
    counts = dict.fromkeys(TOP_DOWN, 0)
    uniforms = draw.uniforms

    def counted(seed: int, level: Level, sample: int, start: int, stop: int) -> np.ndarray:
        counts[level] += stop - start
        return uniforms(seed, level, sample, start, stop)

    monkeypatch.setattr(sampling_level, "uniforms", counted)
    return counts
