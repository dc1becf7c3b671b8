"""A job: one command line on one song folder, its state and its progress."""

import secrets
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


def arguments(words: Sequence[str], *more: str, has_progress: bool) -> list[str]:
    """Return the arguments with which a program runs a command, and reads its result and progress as JSON."""
    return ["--json", words[0], *(["--progress=json"] if has_progress else []), *more, *words[1:]]


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class State(StrEnum):
    """States of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"  # keeps its place, and waits until it is resumed
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """True if nothing more happens unless the job is resumed."""
        return self in (State.DONE, State.FAILED, State.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class WorkerProcess:
    """The process that works on a job. A later process may get the same number, but began at another time."""

    pid: int
    began: float  # seconds since 1970, as the system counts them


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command that makes or changes a song. Values are those of the JSON; times are ISO 8601, in UTC."""

    id: str = field(default_factory=lambda: secrets.token_hex(6))
    command: str  # "sample"
    options: dict[str, Any]  # as they were given, by long names
    words: tuple[str, ...]  # of the command line after "jukectl", with paths relative to the studio's folder
    song: str  # name of the song's folder
    has_progress: bool = True  # the command takes --progress
    state: State = State.QUEUED
    created: str = field(default_factory=now)
    started: str | None = None  # at first
    ended: str | None = None
    runs: int = 0  # number of times that it was begun
    process: WorkerProcess | None = None  # while it runs
    progress: dict[str, Any] | None = None  # the last object of --progress json: the last window that was saved
    warnings: tuple[str, ...] = ()
    result: dict[str, Any] | None = None  # the object of --json
    error: str | None = None

    @property
    def arguments(self) -> list[str]:
        """Arguments of the next run, for a program. A later run resumes the first: --overwrite would discard it."""
        words = [word for word in self.words if not (self.runs > 1 and word == "--overwrite")]
        return arguments(words, has_progress=self.has_progress)

    @property
    def command_line(self) -> str:
        """The command that does the same, for a shell in the studio's folder."""
        return shlex.join(["jukectl", *self.words])

    def to_dict(self) -> dict[str, Any]:
        """Return the job as the API has it."""
        values = asdict(self)
        for name in ("process", "words", "runs", "has_progress"):
            del values[name]
        return {**values, "state": str(self.state), "command_line": self.command_line}

    def to_file(self) -> dict[str, Any]:
        """Return the job as the file of the queue has it."""
        return asdict(self)
