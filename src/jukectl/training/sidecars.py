"""What lies beside a song: lyrics, notes, and corrections of its tags."""

import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jukectl.errors import BadRecipe
from jukectl.training.config import build

LYRICS = (".lrc", ".txt")  # with times first
MIDI = (".mid", ".midi")


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """`song.toml`, beside `song.flac`: what is said here holds, whatever the tags say."""

    artist: str | None = None
    genres: tuple[str, ...] | None = None
    title: str | None = None
    licence: str | None = None
    song: str | None = None  # files with the same are one song, and on the same side of the split
    skip: bool = False

    def facts(self) -> dict[str, Any]:
        """The fields of a track that are laid over."""
        table = asdict(self)
        return {name: table[name] for name in ("artist", "genres", "title", "licence") if table[name] is not None}


def find_lyrics(song: Path) -> Path | None:
    """The lyrics beside a song, timed ones where there are both."""
    return next((path for suffix in LYRICS if (path := song.with_suffix(suffix)).is_file()), None)


def find_midi(song: Path) -> Path | None:
    """The notes beside a song."""
    return next((path for suffix in MIDI if (path := song.with_suffix(suffix)).is_file()), None)


def read_overrides(song: Path) -> tuple[Overrides, list[str]]:
    """The corrections beside a song, and a line for each that makes no sense and is passed over."""
    path = song.with_suffix(".toml")
    if not path.is_file():
        return Overrides(), []
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return Overrides(), [f"cannot read {path}: {error.strerror}"]
    except ValueError as error:
        return Overrides(), [f"{path} is not TOML: {error}"]
    good, wrong = {}, []
    for key, value in table.items():
        try:
            build(Overrides, {key: value}, str(path))
        except BadRecipe as error:
            wrong.append(str(error))
        else:
            good[key] = value
    return build(Overrides, good, str(path)), wrong
