"""How long work tells whoever watches: numbers out, no console here."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a piece of work stands."""

    stage: str  # what is being done, as a user would say it: "top codes"
    done: int
    total: int
    note: str = ""  # the latest figures or what was just saved


Report = Callable[[Progress], None]


Warn = Callable[[str], None]


def remark(stage: str, text: str) -> Progress:
    """A remark for whoever watches: there is nothing to count."""
    return Progress(stage, 0, 0, text)


def silent(progress: Progress) -> None:
    """A report that nobody reads."""


def unheard(warning: str) -> None:
    """A warning that nobody reads."""
