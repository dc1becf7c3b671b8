"""Recordings from Debian packages."""

from collections.abc import Sequence
from pathlib import Path

RECORDINGS = ("naev", "sectoid", "kenta-cho", "k-pone")


def make_recordings(music: Path, packages: Path, sources: Sequence[str]) -> None:
    pass
