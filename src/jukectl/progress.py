"""Events of long work, passed to one listener as they happen. Nothing here prints."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Finished parts of a stage."""

    stage: str  # as a user would call it: "decoding top"
    done: int
    total: int
    note: str = ""  # the latest figures, or the part that is worked on


@dataclass(frozen=True)
class LevelProgress:
    """Sampled codes of a level, and the time that the rest of the song will take."""

    level: str  # "top"
    window: int  # the one that is sampled now, or was just saved, counted from 1
    windows: int
    done: int  # codes
    total: int
    codes_per_second: float | None  # in this run; None before anything is measured
    seconds_left: float | None  # until all is made that was asked for, later stages too; None if unknown
    seconds_saved: float | None = None  # seconds of music on disk; None unless a window was just saved

    @property
    def stage(self) -> str:
        """The stage, as a user would call it: "top codes"."""
        return f"{self.level} codes"


@dataclass(frozen=True)
class BatchProgress:
    """Sampled codes of all songs of a batch."""

    level: str  # "top", that is sampled now
    songs: int
    finished: int  # songs
    done: int  # codes
    total: int  # codes that the songs lacked, as far as it is known
    saved: bool = False  # True if windows were just saved, or a song has ended

    @property
    def stage(self) -> str:
        """The stage, as a user would call it."""
        return "codes of all songs"

    @property
    def note(self) -> str:
        """The level at work and the songs that are finished."""
        return f"{self.level} level; {self.finished} of {self.songs} songs finished"


@dataclass(frozen=True)
class Remark:
    """A remark on a stage, such as its plan; there is nothing to count."""

    stage: str
    text: str
    detail: bool = False  # for those who want to know more than when it is done


@dataclass(frozen=True)
class WarningEvent:
    """Something that the user should know: the result may differ from what was asked for."""

    text: str


Event = Progress | LevelProgress | BatchProgress | Remark | WarningEvent
Listener = Callable[[Event], None]


class WarningsOnly:
    """A listener that passes warnings on and drops all other events, so that none of those need be computed."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn

    def __call__(self, event: Event) -> None:
        """Pass a warning on."""
        if isinstance(event, WarningEvent):
            self._warn(event.text)


ignore = WarningsOnly(lambda text: None)
"""A listener that drops every event."""


def warn(listener: Listener, text: str) -> None:
    """Pass a warning to a listener."""
    listener(WarningEvent(text))


def wants_progress(listener: Listener) -> bool:
    """Return True unless the listener drops everything but warnings."""
    return not isinstance(listener, WarningsOnly)
