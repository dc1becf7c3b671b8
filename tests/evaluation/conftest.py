"""Music to judge the tiny model on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from jukectl.audio import io
from jukectl.checkpoints.store import ModelFolder
from jukectl.cli.main import main
from jukectl.codes.level import Level
from jukectl.codes.song import Song
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


@pytest.fixture
def run(capsys):
    """Run a command that ends well; returns stdout."""

    def run(*arguments: object, status: int = 0) -> str:
        capsys.readouterr()
        ended = main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        assert ended == status, output.err
        assert "Traceback" not in output.err
        return output.out if status == 0 else output.err

    return run


@pytest.fixture
def codes(manifest, tiny_model, tmp_path, run) -> Path:
    """The songs of the manifest as `jukectl data encode` encodes them."""
    run("--quiet", "data", "encode", manifest, "--out", tmp_path / "codes", "--model", tiny_model)
    return tmp_path / "codes"


@pytest.fixture
def song(tmp_path, tiny_model, run) -> Path:
    """A song of two samples: a prompt of 1.024 s in each level, new codes behind it in the top and the middle."""
    recording = save_music(tmp_path / "riff.wav", music(1.03, 7))
    path = tmp_path / "song"
    run("--quiet", "encode", recording, "--out", path, "--model", tiny_model)
    generator = np.random.default_rng(0)
    for level in (Level.MIDDLE, Level.TOP):
        found = Song(path).codes(level)
        assert found is not None
        both = replace(found, array=np.repeat(found.array, 2, axis=0))
        Song(path).save(both.append(generator.integers(32, size=(2, found.done))))
    bottom = Song(path).codes(Level.BOTTOM)
    assert bottom is not None
    Song(path).save(replace(bottom, array=np.repeat(bottom.array, 2, axis=0)))
    return path
