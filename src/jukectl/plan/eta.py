"""Time that a song takes: its windows times the speed of the machine; and the time left, by what is measured."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

from jukectl.codes.level import Level
from jukectl.progress import LevelProgress
from jukectl.sampling.windows import Window

CALIBRATION_WEIGHT = 0.1  # rounds that must be measured to count as much as the calibration does


@dataclass(frozen=True)
class Speed:
    """Seconds that parts of the work at a level take on a machine, for a given batch of samples."""

    load: float  # to load the prior
    setup: float  # before its first window
    window: float  # to begin any window: its conditioning, and reading nothing
    prefix: float  # to read a code of a window's prefix
    new: float  # to sample a code

    def until_new(self, span: "Round") -> float:
        """Return the seconds until a round adds its first code."""
        return self.window + self.prefix * span.prefix

    def seconds(self, span: "Round") -> float:
        """Return the seconds of a whole round."""
        return self.until_new(span) + self.new * span.new

    def times(self, factor: float) -> "Speed":
        """Return the speed of a machine that takes `factor` times as long."""
        return Speed(*(factor * one for one in (self.load, self.setup, self.window, self.prefix, self.new)))


@dataclass(frozen=True)
class Round:
    """A window of a level, or the parallel windows of all its spans."""

    begin: int  # progress of the level before it, in codes
    stop: int  # and after it
    prefix: int  # codes that each window reads
    new: int  # codes that each window adds

    @classmethod
    def of(cls, window: Window) -> "Round":
        """Return the round of one window."""
        return cls(window.start + window.prefix, window.stop, window.prefix, window.new)


@dataclass(frozen=True)
class LevelWork:
    """Work to be done at one level."""

    level: Level
    rounds: tuple[Round, ...] = field(repr=False)
    rows: int = 1  # samples, or spans of samples, each with a window in every round
    at_a_time: int = 1  # rows of a batch
    saving: float = 0.0  # seconds to write a round's codes to disk
    parameters: int = 1  # of the prior; speeds of levels are compared by them

    @property
    def passes(self) -> int:
        """Number of batches in each round."""
        return ceil(self.rows / self.at_a_time)

    @property
    def new(self) -> int:
        """Codes to sample, of all rows."""
        return self.rows * sum(one.new for one in self.rounds)

    @property
    def prefix(self) -> int:
        """Prefix codes to read, of all rows and rounds."""
        return self.rows * sum(one.prefix for one in self.rounds)

    @property
    def typical_prefix(self) -> int:
        """Median length of a window's prefix."""
        lengths = sorted(one.prefix for one in self.rounds)
        return lengths[len(lengths) // 2] if lengths else 0

    def round_at(self, done: int) -> int:
        """Return the number, from 0, of the round that adds to `done` codes; the last one at the level's end."""
        return min(sum(one.stop <= done for one in self.rounds), len(self.rounds) - 1)

    def seconds(self, speed: Speed, done: int | None = None) -> float:
        """Return the seconds until the level has `done` codes, or all; without loading."""
        whole, saved = 0.0, 0
        for one in self.rounds:
            if done is None or one.stop <= done:
                whole, saved = whole + speed.seconds(one), saved + 1
            elif done > one.begin:
                whole += speed.until_new(one) + speed.new * one.new * (done - one.begin) / (one.stop - one.begin)
        return speed.setup + self.passes * whole + self.saving * saved


@dataclass(frozen=True)
class Forecast:
    """Time that the levels of a song will take, by the speeds that are known."""

    work: tuple[LevelWork, ...]  # in the order they are made
    speeds: Mapping[Level, Speed]
    before: float = 0.0  # seconds before the first level
    after: float = 0.0  # seconds after the last one
    later: tuple[LevelWork, ...] = ()  # work at levels of songs that are made after this one

    def speed(self, work: LevelWork) -> Speed | None:
        """Return a level's own speed, or that of the nearest level, scaled by size; None if no speed is known."""
        known = [one for one in self.work if one.level in self.speeds]
        if not known:
            return None
        nearest = min(known, key=lambda one: abs(one.level - work.level))
        factor = work.parameters * work.at_a_time / (nearest.parameters * nearest.at_a_time)
        own = nearest.level == work.level
        return self.speeds[nearest.level] if own else self.speeds[nearest.level].times(factor)

    def level_seconds(self, work: LevelWork) -> float | None:
        """Return the seconds of a level with its loading; None if no speed is known."""
        speed = self.speed(work)
        return None if speed is None else speed.load + work.seconds(speed)

    @property
    def seconds(self) -> float | None:
        """Seconds of all of it; None if no speed is known and something is to be made."""
        return _sum([self.before, *map(self.level_seconds, (*self.work, *self.later)), self.after])


class Eta:
    """Progress of a song and the time it has left: a forecast at first, corrected by what is measured.

    The rest is assumed to take as many times longer than forecast as the finished part did. Levels that have not begun
    are corrected by all that is done, the level at work by its own windows alone.
    """

    def __init__(self, forecast: Forecast, clock: Callable[[], float] = time.monotonic) -> None:
        self.forecast = forecast
        self._clock = clock
        self._began: dict[Level, float] = {}
        self._first: dict[Level, int] = {}
        self._took: dict[Level, float] = {}  # of levels that are done, measured

    def learn(self, level: Level, speed: Speed) -> None:
        """Use a level's own speed from here on."""
        self.forecast = replace(self.forecast, speeds={**self.forecast.speeds, level: speed})

    def has_speed(self, level: Level) -> bool:
        """Return True if a level's own speed is known."""
        return level in self.forecast.speeds

    def work(self, level: Level) -> LevelWork:
        """Return the work at a level."""
        return next(one for one in self.forecast.work if one.level is level)

    def event(self, level: Level, done: int, total: int, *, saved: float | None = None) -> LevelProgress:
        """Return the progress of a level that has `done` of `total` codes; the first call begins the level.

        `saved` are the seconds of it that are on disk, if a round was just finished.
        """
        now = self._clock()
        work = self.work(level)
        began, first = self._began.setdefault(level, now), self._first.setdefault(level, done)
        took = now - began
        number = work.round_at(max(done - (saved is not None), 0))  # a saved round is the one before
        if done >= work.rounds[-1].stop:
            self._took[level] = took
        return LevelProgress(
            level=level.label,
            window=number + 1,
            windows=len(work.rounds),
            done=done,
            total=total,
            codes_per_second=(done - first) / took if done > first and took > 0 else None,
            seconds_left=self._left(work, done, took),
            seconds_saved=saved,
        )

    def _left(self, work: LevelWork, done: int, took: float) -> float | None:
        """Return the seconds until the song is done."""
        order = [one.level for one in self.forecast.work]
        here = order.index(work.level)
        speed = self.forecast.speed(work)
        if speed is None:
            return None
        forecast = work.seconds(speed, done) if done > self._first[work.level] else 0.0
        weight = CALIBRATION_WEIGHT * work.seconds(speed) / len(work.rounds)
        own = (took + weight) / (forecast + weight) if forecast else 1.0
        left = own * (work.seconds(speed) - forecast)
        factor = self._factor(self.forecast.work[:here], took if forecast else 0.0, forecast, weight)
        rest_of_work = (*self.forecast.work[here + 1 :], *self.forecast.later)
        later = [self.forecast.level_seconds(one) for one in rest_of_work]
        rest = _sum([*later, self.forecast.after])
        return None if rest is None else left + rest * factor

    def _factor(self, finished: Sequence[LevelWork], took: float, forecast: float, weight: float) -> float:
        """Return how many times longer than forecast everything took so far."""
        for one in finished:
            speed = self.forecast.speed(one)
            if speed is not None and one.level in self._took:
                took += self._took[one.level]
                forecast += one.seconds(speed)
        return (took + weight) / (forecast + weight) if forecast + weight else 1.0


def duration(seconds: float) -> str:
    """Return a duration in words, as exact as an estimate is: 0.4 s, 21 s, 5.3 min, 9 h."""
    if seconds < 100:
        return f"{max(seconds, 0.1):.2g} s"
    return f"{seconds / 60:.2g} min" if seconds < 6000 else f"{seconds / 3600:.2g} h"


def plainly(seconds: float, memory_bytes: int, device: str) -> str:
    """Return an estimate in one line: about 12 s on this CPU, 0.5 GB of memory."""
    place = "CPU" if device.startswith("cpu") else "GPU"
    memory = f", {max(memory_bytes / 1e9, 0.1):.1f} GB of memory" if memory_bytes else ""
    return f"about {duration(round(seconds) if seconds >= 1 else seconds)} on this {place}{memory}"


def _sum(seconds: Iterable[float | None]) -> float | None:
    total = 0.0
    for one in seconds:
        if one is None:
            return None
        total += one
    return total
