"""Recordings, a manifest and encoded songs for the tiny model, and a command line that checks exit statuses."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jukectl.audio import io
from jukectl.cli.main import main
from jukectl.codes.level import Level
from jukectl.codes.song import Song

RATE = 8_000  # Hz, the tiny model's
SONGS = ("one", "two", "three", "four", "held-one", "held-two")
SONG_SECONDS = 3.0


def music(seconds: float, seed: int) -> np.ndarray:
    """A slow melody in noise (N,), float32."""
    generator = np.random.default_rng(seed)
    notes = np.repeat(generator.choice([110, 220, 330, 440, 660], int(seconds * 8) + 1), RATE // 8)
    samples = 0.3 * np.sin(2 * np.pi * np.cumsum(notes / RATE)) + 0.05 * generator.standard_normal(len(notes))
    return samples[: int(seconds * RATE)].astype(np.float32)


def save_music(path: Path, samples: np.ndarray) -> Path:
    """Write a wav file with exactly these samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    io.save(path, samples, RATE, subtype="float")
    return path


def is_picture(path: str | Path) -> bool:
    """Return whether a file is a light picture that is not blank."""
    with Image.open(path) as picture:
        shades = np.asarray(picture.convert("L"))
    return picture.size[0] == 1_200 and shades.mean() > 150 and shades.std() > 10


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that ends with `status`; returns stdout, or stderr if it is not 0."""

    def run(*arguments: object, status: int = 0) -> str:
        capsys.readouterr()
        ended = main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        assert ended == status, output.err
        assert "Traceback" not in output.err
        return output.out if status == 0 else output.err

    return run


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest of six songs of 3 s by two artists in turn; the last two are called held-*."""
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
    path.write_text("# not used in training\n\nheld-*.wav\n")
    return path


@pytest.fixture
def codes(manifest: Path, tiny_model: Path, tmp_path: Path, run: Callable[..., str]) -> Path:
    """The songs of the manifest, encoded by `jukectl data encode`."""
    run("--quiet", "data", "encode", manifest, "--out", tmp_path / "codes", "--model", tiny_model)
    return tmp_path / "codes"


@pytest.fixture
def prompted_song(tmp_path: Path, tiny_model: Path, run: Callable[..., str]) -> Path:
    """A song of two samples: a prompt of 1.024 s in each level, and new codes after it in the top and the middle."""
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
