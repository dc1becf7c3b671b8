"""Songs sampled together, level by level: windows of equal shape, of whatever songs, are rows of one batch.

Each song runs through the steps that it takes alone (`render/song.py`). Between them, its next window waits here until
it is chosen, with others of the same prior, prefix length, number of new codes and settings. A row's random numbers,
conditioning and codes are those of its song, and on CPUs a row's bits do not depend on the other rows, so a song has
the codes that it has alone. A song that fails leaves the batch, and the others stay.
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from jukectl.batch.entries import Entry, said
from jukectl.checkpoints.shared import SharedModel
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.errors import JukectlError
from jukectl.plan.device import single_thread
from jukectl.plan.forecast import song_work
from jukectl.plan.job import Job
from jukectl.plan.memory import pooled_plan
from jukectl.plan.models import adapter_refs
from jukectl.progress import BatchProgress, Event, Listener, WarningEvent, warn
from jukectl.render.song import Rendered, SongSampling, finish, finished
from jukectl.sampling.level import Steps, Windows, WindowSampler

AT_ONCE = 64
"""Songs whose folders are locked, and whose codes are in memory, at the same time."""


@dataclass(frozen=True)
class Outcome:
    """The result of a song of a batch: the finished song, or an error."""

    entry: Entry
    rendered: Rendered | None = None
    error: str = ""
    details: str = ""  # traceback of an error that is not the user's
    seed: int | None = None
    seconds: float = 0.0  # of music, with its prompt
    samples: int = 0

    @classmethod
    def failed(cls, entry: Entry, error: Exception) -> "Outcome":
        """Return the outcome of a song that an error has stopped."""
        details = "" if isinstance(error, JukectlError | OSError) else "".join(traceback.format_exception(error))
        return cls(entry, error=said(error), details=details)

    @classmethod
    def finished(cls, entry: Entry, rendered: Rendered, job: Job) -> "Outcome":
        """Return the outcome of a finished song."""
        config, lowest = job.model.card.vqvae, job.recipe.levels[-1]
        seconds = job.wanted[lowest] / config.codes_per_second(lowest)
        return cls(entry, rendered, seed=job.recipe.seed, seconds=seconds, samples=job.samples)


class Models:
    """Models that songs share: the same folder with the same adapters is one model."""

    def __init__(self) -> None:
        self._found: dict[Any, SharedModel] = {}

    def shared(self, model: ModelFolder) -> SharedModel:
        """Return the model whose parts the songs share."""
        key = model.path, adapter_refs(model)
        if key not in self._found:
            self._found[key] = SharedModel.of(model)
        return self._found[key]


class Tally:
    """Codes that are sampled, of those that all songs of a batch lack."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.songs = 0  # of the batch
        self.begun = 0
        self.finished = 0
        self.level = Level.TOP.label
        self._done = self._lacking = 0

    def begin(self, codes: int) -> None:
        """Count a song that lacks some codes, or none."""
        self.begun += 1
        self._lacking += codes

    def add(self, codes: int) -> None:
        """Count codes and report the sum."""
        self._done += codes
        self.report()

    def report(self, *, saved: bool = False) -> None:
        """Report the sum; `saved` if windows were just saved, or a song has ended."""
        # songs that are not begun are taken to lack as much as the others
        total = self._lacking * max(self.songs, self.begun) // max(self.begun, 1)
        if total:
            done = min(self._done, total)
            self._listener(BatchProgress(self.level, self.songs, self.finished, done, total, saved))

    def watching(self, windows: Windows) -> Windows:
        """Return windows whose new codes are counted while they are sampled."""
        counted = 0

        def report(made: int) -> None:
            nonlocal counted
            # less than before where a window is repeated with a smaller batch
            self.add(made - counted)
            counted = made
            windows.report(made)

        return replace(windows, report=report)


@dataclass(eq=False)
class _Member:
    """A song while it is sampled with others."""

    entry: Entry
    job: Job  # as it was when it was locked
    sampling: SongSampling
    steps: Steps[Job] | None = None  # of the level at work
    alone: bool = False  # its window failed in a batch with others, and is sampled again by itself


class Together:
    """Renders songs in shared batches, AT_ONCE at a time."""

    def __init__(self, listener: Listener, *, memory: int | None = None, threads: int | None = None) -> None:
        """Report progress and warnings to `listener`.

        `memory` limits the bytes that are planned with, and `threads` is for songs that name no number of threads.
        """
        self._listener = listener
        self._memory = memory
        self._threads = threads
        self._models = Models()
        self._tally = Tally(listener)

    def render(self, entries: Sequence[Entry]) -> Iterator[Outcome]:
        """Yield what became of each song, as soon as it is finished or has failed."""
        self._tally.songs = len(entries)
        for first in range(0, len(entries), AT_ONCE):
            with ExitStack() as locks:
                for outcome in self._wave(entries[first : first + AT_ONCE], locks):
                    self._tally.finished += outcome.rendered is not None
                    self._tally.report(saved=True)
                    yield outcome

    def _wave(self, entries: Sequence[Entry], locks: ExitStack) -> Iterator[Outcome]:
        members: list[_Member] = []
        failures: list[Outcome] = []
        for entry in entries:
            try:
                begun = self._begin(entry, locks)
            except Exception as error:
                yield Outcome.failed(entry, error)
                continue
            if isinstance(begun, Outcome):
                yield begun
            else:
                members.append(begun)
        for level in TOP_DOWN:
            members = self._level(level, members, failures.append)
            yield from failures
            failures.clear()
        for member in members:
            sampled = member.sampling.job
            try:
                outcome = Outcome.finished(member.entry, finish(sampled, member.job), sampled)
            except Exception as error:
                outcome = Outcome.failed(member.entry, error)
            yield outcome

    def _begin(self, entry: Entry, locks: ExitStack) -> _Member | Outcome:
        """Lock a song, write what it starts with and encode its prompt; return its outcome if nothing is left to do."""
        request = entry.request
        if self._memory is not None:
            request = replace(request, max_memory=min(self._memory, request.max_memory or self._memory))
        request = replace(request, threads=request.threads or self._threads)
        entry = replace(entry, request=request)
        preparation = entry.prepare(listener=partial(self._of_song, entry))
        job = preparation.prepare()
        if (rendered := finished(job)) is not None:
            self._tally.begin(0)
            return Outcome.finished(entry, rendered, job)
        Song.create(preparation.song.path)
        with ExitStack() as own:  # keeps the lock only if the song gets as far as its first window
            own.enter_context(preparation.song.lock())
            job = preparation.prepare()  # as the folder is now
            job = replace(job, model=self._models.shared(job.model))
            job.start.write(job.song)
            sampling = SongSampling(job)
            self._tally.begin(sum(work.new for work in song_work(sampling.job, sampling.plan, 0.0)))
            locks.push(own.pop_all())
        return _Member(entry, job, sampling)

    def _of_song(self, entry: Entry, event: Event) -> None:
        """Pass a song's warnings on, with its name; progress is that of all songs."""
        if isinstance(event, WarningEvent):
            warn(self._listener, f"{entry.out}: {event.text}")

    def _level(self, level: Level, members: list[_Member], fail: Callable[[Outcome], None]) -> list[_Member]:
        """Sample a level of all songs; return those that have not failed."""
        self._tally.level = level.label
        waiting: dict[_Member, Windows] = {}
        alive = dict.fromkeys(members)

        def run(member: _Member, advance: Callable[[], Windows | None]) -> None:
            """Advance a song to its next window, if it has one."""
            waiting.pop(member, None)
            member.alone = False
            try:
                asked = advance()
            except Exception as error:
                alive.pop(member)
                fail(Outcome.failed(member.entry, error))
            else:
                if asked is not None:
                    waiting[member] = asked

        for member in members:
            run(member, partial(_first, member, level))
        samplers = _Samplers(level, [member.sampling for member in waiting])
        while waiting:
            group = _largest(waiting)
            machine = group[0].sampling.job.machine
            try:
                with single_thread(machine):
                    made = samplers.of(group[0]).sample([self._tally.watching(waiting[one]) for one in group])
            except Exception as error:
                # of one song, such as infinite logits, but it is not known of which: each is sampled alone
                if len(group) > 1:
                    for member in group:
                        member.alone = True
                else:
                    run(group[0], partial(_next, group[0], level, error))
                continue
            for member, new in zip(group, made, strict=True):
                run(member, partial(_next, member, level, new))
            self._tally.report(saved=True)
        return list(alive)


def _first(member: _Member, level: Level) -> Windows | None:
    """Begin a level of a song; return its first window, None if the level lacks nothing."""
    sampling = member.sampling
    filling = sampling.filling(level)
    if filling is None:
        if level in sampling.job.recipe.sampling:  # the best of its samples may still have to be kept
            sampling.end(level, sampling.job)
        return None
    member.steps = filling.steps()
    return _next(member, level, None)


def _next(member: _Member, level: Level, answer: Any) -> Windows | None:
    """Give a song its new codes, or an error; return its next window, None at the end of the level."""
    assert member.steps is not None
    try:
        return member.steps.throw(answer) if isinstance(answer, Exception) else member.steps.send(answer)
    except StopIteration as end:
        member.sampling.end(level, end.value)
        return None


def _largest(waiting: dict[_Member, Windows]) -> list[_Member]:
    """Return the songs whose windows make the largest batch."""
    groups: dict[Any, list[_Member]] = {}
    for member, windows in waiting.items():
        shape = id(member) if member.alone else windows.shape
        groups.setdefault(shape, []).append(member)
    return max(groups.values(), key=lambda group: sum(len(waiting[one].rows) for one in group))


class _Samplers:
    """Samplers of a level, one for each prior and precision, with room for the rows of all songs that share them."""

    def __init__(self, level: Level, songs: Sequence[SongSampling]) -> None:
        self._level = level
        self._songs: dict[Any, list[SongSampling]] = {}
        for song in songs:
            self._songs.setdefault(self._key(song), []).append(song)
        self._made: dict[Any, WindowSampler] = {}

    def _key(self, song: SongSampling) -> Any:
        machine = song.plan.machine_at(self._level)
        return id(song.job.model), machine.device, machine.precision

    def of(self, member: _Member) -> WindowSampler:
        """Return the sampler of a song's windows."""
        key = self._key(member.sampling)
        if key not in self._made:
            songs = self._songs[key]
            batch = pooled_plan([(song.job, song.plan) for song in songs], self._level)
            self._made[key] = WindowSampler(batch, batch.samples)
        return self._made[key]
