"""Songs as files: tagged FLAC, written whole, and random numbers that depend on a song's name alone."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from mutagen.flac import FLAC

LOUDEST = 10 ** (-1 / 20)  # peak of what would have clipped
HELD_OUT = "held-out"  # folder, inside that of a collection, of songs that are kept for validation


@dataclass(frozen=True, kw_only=True)
class Tags:
    """Tags of a song's FLAC file."""

    artist: str
    genres: tuple[str, ...]
    title: str
    license: str
    source: str  # package and version, or repository and commit

    def write(self, path: Path) -> None:
        """Add the tags to a FLAC file."""
        audio = FLAC(path)
        audio.update({"artist": self.artist, "genre": list(self.genres), "title": self.title})
        audio.update({"license": self.license, "source": self.source})
        audio.save()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a name to write under, which becomes `path` when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def save_song(path: Path, wave: np.ndarray, sample_rate: int, tags: Tags) -> None:
    """Write samples (N,) or (N, channels) as 16-bit FLAC, scaled down if they would clip."""
    peak = np.abs(wave).max()
    with written_whole(path) as part:
        scaled = wave * LOUDEST / peak if peak > LOUDEST else wave
        soundfile.write(part, scaled, sample_rate, format="FLAC", subtype="PCM_16")
        tags.write(part)


def digest(name: str) -> int:
    """Return 64 bits that depend on a name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def share(name: str) -> float:
    """Return a number from 0 to 1 that depends on a name alone."""
    return digest(name) / 2**64


def random_of(name: str) -> np.random.Generator:
    """Return random numbers that depend on a name alone."""
    return np.random.default_rng(digest(name))
