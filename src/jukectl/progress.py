"""How long work tells whoever watches: numbers out, no console here."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """Where work of several parts stands, and how long it will go on."""

    of: str  # what the parts are of: "top"
    part: int  # the one that is done now, or that was just saved, counted from 1
    parts: int
    per_second: float | None  # of what is counted, in this run; None where nothing is measured yet
    seconds_left: float | None  # until all is done that was asked for, later stages too; None where nobody knows
    saved: float | None = None  # seconds of music that are on the disk, where a part was just finished


@dataclass(frozen=True)
class Progress:
    """Where a piece of work stands."""

    stage: str  # what is being done, as a user would say it: "top codes"
    done: int
    total: int
    note: str = ""  # the latest figures or what was just saved
    standing: Standing | None = None  # more of it, where the work has parts and its end is foreseen


Report = Callable[[Progress], None]


Warn = Callable[[str], None]


def remark(stage: str, text: str) -> Progress:
    """A remark for whoever watches: there is nothing to count."""
    return Progress(stage, 0, 0, text)


def silent(progress: Progress) -> None:
    """A report that nobody reads."""


def unheard(warning: str) -> None:
    """A warning that nobody reads."""
