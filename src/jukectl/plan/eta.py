"""How long a song takes: its windows, times what a machine needs for them; and what is left, by what is measured."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from jukectl.codes.level import Level
from jukectl.progress import LevelProgress
from jukectl.sampling.windows import Window

DOUBT = 0.1  # rounds that a measurement must be long to count as much as the calibration does


@dataclass(frozen=True)
class Speed:
    """What a level costs on a machine, in seconds, where a given number of samples is made at a time."""

    load: float  # until the prior is in memory
    setup: float  # until its first window can begin
    window: float  # what any window takes to begin: its conditioning, and reading nothing
    known: float  # a code that a window knows and reads
    new: float  # a code that it adds

    def until_new(self, span: "Round") -> float:
        """The seconds until a round adds its first code."""
        return self.window + self.known * span.known

    def seconds(self, span: "Round") -> float:
        """Those of a whole round."""
        return self.until_new(span) + self.new * span.new

    def times(self, factor: float) -> "Speed":
        """That of a machine which needs so much longer."""
        return Speed(*(factor * one for one in (self.load, self.setup, self.window, self.known, self.new)))


@dataclass(frozen=True)
class Round:
    """A window of a level, or the windows of all its spans that are made side by side."""

    begin: int  # where the level stands before it, as its progress counts
    stop: int  # and after it
    known: int  # codes that each window reads
    new: int  # codes that each window adds

    @classmethod
    def of(cls, window: Window) -> "Round":
        """A window by itself."""
        return cls(window.start + window.prefix, window.stop, window.prefix, window.new)


@dataclass(frozen=True)
class LevelWork:
    """What is to be done at one level."""

    level: Level
    rounds: tuple[Round, ...] = field(repr=False)
    rows: int = 1  # samples, or spans of samples, each with a window in every round
    at_a_time: int = 1  # rows
    saving: float = 0.0  # seconds that it takes to put a round's codes on the disk
    weights: int = 1  # numbers that the prior consists of, by which levels are compared

    @property
    def passes(self) -> int:
        """How often each round is gone through, for some of the rows at a time."""
        return ceil(self.rows / self.at_a_time)

    @property
    def new(self) -> int:
        """Codes to make, of all rows."""
        return self.rows * sum(one.new for one in self.rounds)

    @property
    def known(self) -> int:
        """Codes to read before, of all rows and rounds."""
        return self.rows * sum(one.known for one in self.rounds)

    @property
    def usual_known(self) -> int:
        """About how many codes a window reads."""
        known = sorted(one.known for one in self.rounds)
        return known[len(known) // 2] if known else 0

    def round_at(self, done: int) -> int:
        """The number, from 0, of the round that goes on from `done`; that of the last one at the level's end."""
        return min(sum(one.stop <= done for one in self.rounds), len(self.rounds) - 1)

    def seconds(self, speed: Speed, done: int | None = None) -> float:
        """What it takes until the level stands at `done`, or at its end; loading is not in it."""
        whole, saved = 0.0, 0
        for one in self.rounds:
            if done is None or one.stop <= done:
                whole, saved = whole + speed.seconds(one), saved + 1
            elif done > one.begin:
                whole += speed.until_new(one) + speed.new * one.new * (done - one.begin) / (one.stop - one.begin)
        return speed.setup + self.passes * whole + self.saving * saved


@dataclass(frozen=True)
class Forecast:
    """What a song's levels will take, by the speed of each that is known."""

    work: tuple[LevelWork, ...]  # in the order they are made
    speeds: Mapping[Level, Speed]
    before: float = 0.0  # seconds until the first level begins
    after: float = 0.0  # seconds that are left when the last one is done

    def speed(self, work: LevelWork) -> Speed | None:
        """A level's own speed, or that of the nearest one above or below by the sizes of both; None of no level."""
        known = [one for one in self.work if one.level in self.speeds]
        if not known:
            return None
        nearest = min(known, key=lambda one: abs(one.level - work.level))
        factor = work.weights * work.at_a_time / (nearest.weights * nearest.at_a_time)
        own = nearest.level == work.level
        return self.speeds[nearest.level] if own else self.speeds[nearest.level].times(factor)

    def level_seconds(self, work: LevelWork) -> float | None:
        """All that a level takes, its loading too."""
        speed = self.speed(work)
        return None if speed is None else speed.load + work.seconds(speed)

    @property
    def seconds(self) -> float | None:
        """All of it; None where no speed is known and there is something to make."""
        return _sum([self.before, *map(self.level_seconds, self.work), self.after])


class Pace:
    """How a song gets on: foreseen at first, and then corrected by what is measured.

    What has been made took so many times as long as foreseen; what is left will too. A level that has not begun is
    corrected as all that is done; the level at work by its own windows alone.
    """

    def __init__(self, forecast: Forecast, clock: Callable[[], float] = time.monotonic) -> None:
        self.forecast = forecast
        self._clock = clock
        self._began: dict[Level, float] = {}
        self._first: dict[Level, int] = {}
        self._took: dict[Level, float] = {}  # of levels that are done, measured

    def learn(self, level: Level, speed: Speed) -> None:
        """Take a level's speed from here on."""
        self.forecast = Forecast(
            self.forecast.work, {**self.forecast.speeds, level: speed}, self.forecast.before, self.forecast.after
        )

    def knows(self, level: Level) -> bool:
        """Whether a level's own speed was given."""
        return level in self.forecast.speeds

    def work(self, level: Level) -> LevelWork:
        """What is to be done at a level."""
        return next(one for one in self.forecast.work if one.level is level)

    def event(self, level: Level, done: int, total: int, *, saved: float | None = None) -> LevelProgress:
        """Return the progress of a level that has `done` of `total` codes; the first call begins the level.

        `saved` are the seconds of it that are on disk, if a round was just finished.
        """
        now = self._clock()
        work = self.work(level)
        began, first = self._began.setdefault(level, now), self._first.setdefault(level, done)
        took = now - began
        number = work.round_at(max(done - (saved is not None), 0))
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
        """Seconds until the song is done."""
        order = [one.level for one in self.forecast.work]
        here = order.index(work.level)
        speed = self.forecast.speed(work)
        if speed is None:
            return None
        foreseen = work.seconds(speed, done) if done > self._first[work.level] else 0.0
        doubt = DOUBT * work.seconds(speed) / len(work.rounds)
        own = (took + doubt) / (foreseen + doubt) if foreseen else 1.0
        left = own * (work.seconds(speed) - foreseen)
        factor = self._factor(self.forecast.work[:here], took if foreseen else 0.0, foreseen, doubt)
        later = [self.forecast.level_seconds(one) for one in self.forecast.work[here + 1 :]]
        rest = _sum([*later, self.forecast.after])
        return None if rest is None else left + rest * factor

    def _factor(self, finished: Sequence[LevelWork], took: float, foreseen: float, doubt: float) -> float:
        """How many times as long as foreseen all that was made took."""
        for one in finished:
            speed = self.forecast.speed(one)
            if speed is not None and one.level in self._took:
                took += self._took[one.level]
                foreseen += one.seconds(speed)
        return (took + doubt) / (foreseen + doubt) if foreseen + doubt else 1.0


def duration(seconds: float) -> str:
    """A duration in words, as exact as an estimate is: 0.4 s, 21 s, 5.3 min, 9 h."""
    if seconds < 100:
        return f"{max(seconds, 0.1):.2g} s"
    return f"{seconds / 60:.2g} min" if seconds < 6000 else f"{seconds / 3600:.2g} h"


def _sum(seconds: Iterable[float | None]) -> float | None:
    total = 0.0
    for one in seconds:
        if one is None:
            return None
        total += one
    return total
