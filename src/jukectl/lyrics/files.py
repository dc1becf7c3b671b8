"""Lyrics in files: text or LRC that is read; LRC, WebVTT or JSON that is written."""

import json
from collections.abc import Callable
from pathlib import Path

from jukectl import tables
from jukectl.errors import BadInput
from jukectl.files import atomic_write
from jukectl.lyrics import lrc, webvtt
from jukectl.lyrics.timed import TimedLyrics

LARGEST = 2**20  # bytes; songs have a few thousand
SUFFIXES = (".lrc", ".txt")  # of files of lyrics beside a song; the first has times


def as_json(lyrics: TimedLyrics) -> str:
    """Return a JSON list of words with start and end in seconds, and whether the time is guessed."""
    words = [
        {"word": word.text, "start": round(word.start, 3), "end": round(end, 3), "guessed": word.guessed}
        for word, end in zip(lyrics.words, lyrics.ends(), strict=True)
    ]
    lines = ",\n".join(json.dumps(word, ensure_ascii=False) for word in words)
    return f"[\n{lines}\n]\n" if words else "[]\n"


WRITERS: dict[str, Callable[[TimedLyrics], str]] = {"lrc": lrc.write, "vtt": webvtt.write, "json": as_json}
"""The formats with times, by the endings of their files."""


def format_of(path: Path, asked: str | None = None) -> str:
    """Return the format to write: the one requested, or that of the file's suffix. Raise BadInput for any other."""
    name = path.suffix.removeprefix(".").lower() if asked is None else asked.lower()
    if name not in WRITERS:
        raise BadInput(
            f"lyrics with times are written as {', '.join(WRITERS)}, not {name!r}: name the file so, or give --format"
        )
    return name


def write(lyrics: TimedLyrics, path: Path, name: str) -> None:
    """Write a file in a format of `WRITERS`, whole or not at all. CannotWrite."""
    content = WRITERS[name](lyrics)
    with atomic_write(path) as file:
        file.write(content.encode())


def read_text(path: Path) -> str:
    """Read the text of a lyrics file. Raise BadInput if it has none."""
    return tables.read_text(path, BadInput, "lyrics", largest=LARGEST)
