"""Music to judge the tiny model on."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from jukectl.audio import io
from jukectl.checkpoints.store import ModelFolder
from jukectl.vqvae.model import VQVAE

RATE = 8_000  # Hz, the tiny model's
SONGS = ("one", "two", "three", "four", "held-one", "held-two")
SONG_SECONDS = 3.0


@pytest.fixture(autouse=True)
def one_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def codec(tiny_model: Path) -> VQVAE:
    """All levels of the tiny model's codec."""
    return ModelFolder(tiny_model).vqvae(torch.device("cpu"))


def music(seconds: float, seed: int) -> np.ndarray:
    """A slow melody in noise (N,), float32."""
    generator = np.random.default_rng(seed)
    notes = np.repeat(generator.choice([110, 220, 330, 440, 660], int(seconds * 8) + 1), RATE // 8)
    samples = 0.3 * np.sin(2 * np.pi * np.cumsum(notes / RATE)) + 0.05 * generator.standard_normal(len(notes))
    return samples[: int(seconds * RATE)].astype(np.float32)


def save_music(path: Path, samples: np.ndarray) -> Path:
    """A wav file that holds just these samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    io.save(path, samples, RATE, subtype="float")
    return path


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Six songs of 3 s by two artists in turn, of which the last two are called held-*."""
    rows = []
    for number, name in enumerate(SONGS):
        save_music(tmp_path / "music" / f"{name}.wav", music(SONG_SECONDS, number))
        artist, genres = (("Ada", ["Jazz"]), ("Björk B.", ["Ambient", "Jazz"]))[number % 2]
        about = {"path": f"{name}.wav", "seconds": SONG_SECONDS, "sample_rate": RATE, "channels": 1}
        rows.append({**about, "artist": artist, "genres": genres, "title": name})
    path = tmp_path / "music" / "manifest.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    """A file of globs that names the songs called held-*."""
    path = tmp_path / "held_out.txt"
    path.write_text("# songs that nobody trained on\n\nheld-*.wav\n")
    return path
