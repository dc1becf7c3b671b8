"""Values of options that arrive as text: levels, settings by level, sizes of memory, adapters and schedules."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadInput
from jukectl.tables import read_text

if TYPE_CHECKING:
    from jukectl.codes.schedule import Change

LONGEST_SCHEDULE = 2**20  # bytes


def parse_levels(text: str) -> tuple[Level, ...]:
    """Return the levels named in "top,middle", top first. Raise UnknownName for any other name."""
    named = {Level.parse(name) for name in text.split(",") if name.strip()}
    return tuple(level for level in TOP_DOWN if level in named)


def parse_per_level(option: str, texts: Sequence[str] | None) -> dict[Level, float]:
    """Return the values of "0.98", for all levels, or of "top=0.99,bottom=0.9", for those named; the last one holds."""
    values: dict[Level, float] = {}
    for text in texts or ():
        parts = text.split(",")
        for part in parts:
            name, equals, value = part.rpartition("=")
            try:
                number = float(value if equals or len(parts) == 1 else "")
            except ValueError:
                raise BadInput(
                    f"{option} takes a number, or one for each level such as top=0.99,bottom=0.9; got {text!r}"
                ) from None
            values |= dict.fromkeys([Level.parse(name)] if equals else Level, number)
    return values


def parse_memory(text: str | None) -> int | None:
    """Return the bytes of "8GB" (powers of 1000), "8GiB" (of 1024), "800MB" or "8" (GB), in upper or lower case."""
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*(?:([kmgt])(i?)b?)?", text.strip().lower())
    if not found or not float(found[1]):
        raise BadInput(f"--max-memory is a size over 0 such as 8GB, 7.5GiB or 800MB; got {text!r}")
    steps = "kmgt".index(found[2] or "g") + 1
    size: float = float(found[1]) * (1024 if found[3] else 1000) ** steps
    return max(1, round(size))


def parse_parallel(text: str) -> float:
    """Return the number of spans of "8", or infinity for "auto", as a request has it."""
    if text.strip().lower() == "auto":
        return float("inf")
    if not text.strip().isdecimal() or not int(text):
        raise BadInput(f"--parallel is auto, or a number of spans that are sampled at once, 1 or more; got {text!r}")
    return float(text)


def parse_adapter(text: str) -> tuple[Path, float | None]:
    """Return the file and the strength of "FILE" or "FILE:STRENGTH"."""
    path, colon, strength = text.rpartition(":")
    try:
        return (Path(path), float(strength)) if colon and not Path(text).exists() else (Path(text), None)
    except ValueError:  # the colon is part of the path, as in C:\\adapters
        return Path(text), None


def read_schedule(path: Path) -> "tuple[Change, ...]":
    """Read the changes in a schedule's file. Raise BadInput for a file that is not a schedule."""
    from jukectl.codes.schedule import parse_schedule

    return parse_schedule(read_text(path, BadInput, "schedule", largest=LONGEST_SCHEDULE), str(path))
