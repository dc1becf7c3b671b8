"""The queue: jobs in order, kept in a file that is written atomically, with a number for every change."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jukectl.errors import BadInput
from jukectl.files import atomic_write
from jukectl.studio.job import Job, State, now
from jukectl.tables import build, check_format, read_json

FORMAT = 1
LARGEST = 1_000  # jobs that are not over
KEPT = 200  # jobs that are over, the last ones


class UnknownJob(BadInput):
    """An id that no job has."""


@dataclass(frozen=True, kw_only=True)
class QueueFile:
    """Content of the file."""

    format: int
    paused: bool = False
    jobs: tuple[Job, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "QueueFile":
        """Read the file; an empty queue without one. Raises BadInput for a damaged one."""
        if not path.exists():
            return cls(format=FORMAT)
        values = read_json(path, BadInput, "queue")
        way_out = "Move it away: the songs are not touched, and jukectl resume finishes each of them"
        try:
            check_format(
                values.get("format") if isinstance(values, dict) else None, FORMAT, f"{path} has format", error=BadInput
            )
        except ValueError as error:
            raise BadInput(f"{path}: {error}. {way_out}") from error
        return build(cls, values, str(path), error=BadInput, strict=False)


@dataclass(frozen=True)
class Changes:
    """The part of a queue that changed."""

    version: int
    jobs: list[Job]
    order: list[str] | None  # ids of all jobs; None if they are the same, in the same order
    paused: bool


@dataclass(eq=False)
class Queue:
    """Jobs in order. Every method may be called from any thread; each change is on disk before it returns.

    Progress is kept in memory alone, since what a job has made lies in its song folder.
    """

    path: Path
    _jobs: list[Job] = field(default_factory=list)
    _paused: bool = False
    _version: int = 0
    _ordered: int = 0  # version of the last change of order
    _versions: dict[str, int] = field(default_factory=dict)  # of the last change of each job
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _listeners: list[Callable[[], None]] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> "Queue":
        """Open the queue in a file, or a new one. Raises BadInput for a damaged file."""
        kept = QueueFile.read(path)
        return cls(path, list(kept.jobs), kept.paused, 1, 1, {job.id: 1 for job in kept.jobs})

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change, in the thread that makes it."""
        self._listeners.append(listener)

    @property
    def paused(self) -> bool:
        """True if no further job is begun."""
        return self._paused

    def jobs(self) -> list[Job]:
        """Return all jobs in order."""
        with self._changed:
            return list(self._jobs)

    def at_work(self) -> set[str]:
        """Return the names of the songs that are being made."""
        return {job.song for job in self.jobs() if job.state is State.RUNNING}

    def get(self, name: str) -> Job:
        """Return the job of an id. Raises UnknownJob."""
        with self._changed:
            return self._jobs[self._place(name)]

    def changes(self, since: int) -> Changes:
        """Return what changed after a version; everything after version 0."""
        with self._changed:
            jobs = [job for job in self._jobs if self._versions[job.id] > since]
            order = [job.id for job in self._jobs] if self._ordered > since else None
            return Changes(self._version, jobs, order, self._paused)

    def add(self, job: Job) -> Job:
        """Append a job, and drop the oldest of many that are over. Raises BadInput if the queue is full."""
        with self._changed:
            if sum(not one.state.is_over for one in self._jobs) >= LARGEST:
                raise BadInput(f"the queue is full: it has {LARGEST} jobs. Cancel some, or wait")
            over = [one.id for one in self._jobs if one.state.is_over]
            dropped = set(over[: max(len(over) - KEPT, 0)])
            self._set([*(one for one in self._jobs if one.id not in dropped), job], job.id)
        self._tell()
        return job

    def update(self, name: str, *, kept: bool = True, **values: Any) -> Job:
        """Change values of a job; with `kept` they are written to the file. Raises UnknownJob, CannotWrite."""
        with self._changed:
            job = self._replace(name, kept=kept, **values)
        self._tell()
        return job

    def take(self) -> Job | None:
        """Mark the first job that is queued as running and return it; None if there is none."""
        with self._changed:
            first = self._first()
            if first is None:
                return None
            started = first.started or now()
            job = self._replace(
                first.id, state=State.RUNNING, started=started, ended=None, error=None, runs=first.runs + 1
            )
        self._tell()
        return job

    def wait(self, seconds: float) -> None:
        """Wait until a job may begin, at most for some seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._first() is not None, seconds)

    def move(self, name: str, position: int) -> None:
        """Move a job to a position, counted from 0; past the end it is the last one."""
        with self._changed:
            jobs = list(self._jobs)
            jobs.insert(max(position, 0), jobs.pop(self._place(name)))
            self._set(jobs)
        self._tell()

    def remove(self, name: str) -> None:
        """Drop a job. Its song stays."""
        with self._changed:
            place = self._place(name)
            self._set(self._jobs[:place] + self._jobs[place + 1 :])
        self._tell()

    def pause(self, paused: bool) -> None:
        """Begin no further job, or begin the next one."""
        with self._changed:
            self._set(self._jobs, paused=paused)
        self._tell()

    def _first(self) -> Job | None:
        """Return the first job that may begin."""
        return None if self._paused else next((job for job in self._jobs if job.state is State.QUEUED), None)

    def _place(self, name: str) -> int:
        for place, job in enumerate(self._jobs):
            if job.id == name:
                return place
        raise UnknownJob(f"there is no job {name[:40]!r}")

    def _replace(self, name: str, *, kept: bool = True, **values: Any) -> Job:
        """Change values of a job. The lock is held."""
        place = self._place(name)
        job = replace(self._jobs[place], **values)
        self._set([*self._jobs[:place], job, *self._jobs[place + 1 :]], name, kept=kept)
        return job

    def _set(
        self, jobs: list[Job], changed: str | None = None, *, paused: bool | None = None, kept: bool = True
    ) -> None:
        """Write the jobs to the file, if they are to be kept, take them over and wake who waits. The lock is held.

        Nothing changes if the file cannot be written. Raises CannotWrite.
        """
        paused = self._paused if paused is None else paused
        if kept:
            content = {"format": FORMAT, "paused": paused, "jobs": [job.to_file() for job in jobs]}
            with atomic_write(self.path) as file:
                file.write(json.dumps(content, ensure_ascii=False, indent=1).encode())
        self._version += 1
        if [job.id for job in jobs] != [job.id for job in self._jobs]:
            self._ordered = self._version
        if changed is not None:
            self._versions[changed] = self._version
        self._jobs, self._paused = jobs, paused
        self._versions = {job.id: self._versions[job.id] for job in jobs}
        self._changed.notify_all()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
