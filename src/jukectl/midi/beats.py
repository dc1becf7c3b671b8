"""The beats and bars of a recording: times in seconds, and the JSON file beside the audio that holds them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from jukectl.errors import BadInput
from jukectl.files import atomic_write
from jukectl.tables import read_json

SUFFIX = ".beats.json"  # "song.beats.json" beside "song.flac"
FORMAT = 1
SLOWEST, FASTEST = 50.0, 210.0  # beats a minute; slower beats of a MIDI file are divided, faster ones are paired
DEFAULT_METER = "4/4"

Times = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BeatGrid:
    """The beats of a recording. N beats.

    Positions are counted in beats from the first downbeat. Times before the first beat and after the last one are
    extrapolated with the tempo at that end.
    """

    beats: Times  # (N,) seconds, increasing, two or more
    beats_per_bar: int
    first_downbeat: int = 0  # index of the first beat that begins a bar
    downbeats: npt.NDArray[np.int64] | None = None  # indices of all downbeats, where bars differ in length
    meter: str = DEFAULT_METER  # time signature; in 6/8, 9/8 and 12/8 a beat is a dotted quarter note

    def __post_init__(self) -> None:
        if self.beats.ndim != 1 or len(self.beats) < 2:
            raise ValueError(f"a beat grid needs two beats or more, got {self.beats.size}")
        if not np.isfinite(self.beats).all() or not (np.diff(self.beats) > 0).all():
            raise ValueError("the beats must be finite, each later than the one before")
        if self.beats_per_bar < 1:
            raise ValueError(f"a bar has one beat or more, got {self.beats_per_bar}")
        if not 0 <= self.first_downbeat < max(len(self.beats), self.beats_per_bar):
            raise ValueError(
                f"the first downbeat must be one of the {len(self.beats)} beats, got {self.first_downbeat}"
            )
        if self.downbeats is not None and not (
            len(self.downbeats)
            and self.downbeats[0] == self.first_downbeat
            and self.downbeats[-1] < len(self.beats)
            and (np.diff(self.downbeats) > 0).all()
        ):
            raise ValueError("the downbeats must be increasing indices of beats, from the first downbeat on")

    @property
    def tempo(self) -> float:
        """Beats a minute, the median over the recording."""
        return 60 / float(np.median(np.diff(self.beats)))

    @classmethod
    def from_tempo(cls, bpm: float, meter: str, seconds: float, *, start: float = 0.0) -> Self:
        """Return a grid of constant tempo from a downbeat at `start` until `seconds`. BadInput for a wrong meter."""
        if not (np.isfinite(bpm) and bpm > 0):
            raise BadInput(f"the tempo must be more than 0 beats a minute, got {bpm}")
        count = max(2, int(np.ceil((seconds - start) * bpm / 60)) + 1)
        return cls(start + np.arange(count) * 60 / bpm, beats_of(meter), meter=meter)

    @classmethod
    def from_midi(cls, data: bytes, path: Path, *, pickup: float = 0.0) -> Self:
        """Return the beats of a MIDI file by its tempo map and time signatures.

        `pickup`: quarter notes before the first downbeat, for files whose first bar is short without saying so.
        `path` is for messages. BadInput where the file cannot be read or has no notes.
        """
        import symusic

        try:
            score: Any = symusic.Score.from_midi(data, ttype="tick")
        except (RuntimeError, ValueError) as error:
            raise BadInput(f"{path} is no MIDI file: {error}") from error
        end = max((note.time + note.duration for track in score.tracks for note in track.notes), default=0)
        if not end:
            raise BadInput(f"{path} holds no notes")
        resolution = score.ticks_per_quarter
        meters = [(sign.time / resolution, sign.numerator, sign.denominator) for sign in score.time_signatures]
        places, downs, meter = _bars(meters, end / resolution, pickup)
        seconds = _seconds([(tempo.time / resolution, tempo.qpm) for tempo in score.tempos], places)
        return cls._of_bars(seconds, downs, meter)

    @classmethod
    def _of_bars(cls, beats: Times, downs: npt.NDArray[np.bool_], meter: str) -> Self:
        """Return a grid of beats that are downbeats or not, at a tempo that people count in."""
        tempo = 60 / float(np.median(np.diff(beats)))
        per_bar = beats_of(meter)
        downbeats = np.flatnonzero(downs)
        if tempo > FASTEST and per_bar % 2 == 0 and (np.diff(downbeats) % 2 == 0).all() and len(beats) > 4:
            phase = int(downbeats[0]) % 2
            beats, downs, per_bar = beats[phase::2], downs[phase::2], per_bar // 2
        elif tempo < SLOWEST:
            parts = 3 if _is_compound(*_parse_meter(meter)) else 2
            fine = np.arange(parts * (len(beats) - 1) + 1) / parts
            beats = np.interp(fine, np.arange(len(beats)), beats)
            downs = np.repeat(downs, parts)[: len(beats)] & (np.arange(len(beats)) % parts == 0)
            per_bar *= parts
        downbeats = np.flatnonzero(downs)
        regular = bool((np.diff(downbeats) == per_bar).all())
        return cls(beats, per_bar, int(downbeats[0]), None if regular else downbeats, meter)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a grid from JSON; BadInput names what is wrong."""
        table = read_json(path, BadInput, "beats")
        try:
            if table["format"] > FORMAT:
                raise ValueError(f"it is of format {table['format']}, newer than this jukectl reads ({FORMAT})")
            downbeats = table.get("downbeats")
            meter = table.get("meter", DEFAULT_METER)
            beats_of(meter)
            return cls(
                np.array(table["beats"], np.float64),
                _whole(table["beats_per_bar"]),
                _whole(table.get("first_downbeat", 0)),
                None if downbeats is None else np.array([_whole(one) for one in downbeats], np.int64),
                meter,
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, BadInput) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise BadInput(f"{path} holds no beats: {reason}") from error

    def save(self, path: Path) -> None:
        """Write the grid as JSON, with the tempo for people to read. Raises CannotWrite."""
        table: dict[str, Any] = {
            "format": FORMAT,
            "tempo": round(self.tempo, 2),
            "meter": self.meter,
            "beats_per_bar": self.beats_per_bar,
            "first_downbeat": self.first_downbeat,
        }
        if self.downbeats is not None:
            table["downbeats"] = self.downbeats.tolist()
        table["beats"] = [round(time, 4) for time in self.beats.tolist()]
        with atomic_write(path) as file:
            file.write((json.dumps(table) + "\n").encode())

    def phase(self, times: Times) -> Times:
        """Return the positions of times in beats, 0 at the first downbeat. Whole numbers are beats."""
        return _interpolate(times, self.beats) - self.first_downbeat

    def bars(self, times: Times) -> Times:
        """Return the positions of times in bars, 0 at the first downbeat. Whole numbers are downbeats."""
        position = self.phase(times)
        if self.downbeats is None or len(self.downbeats) < 2:
            return position / self.beats_per_bar
        starts = (self.downbeats - self.first_downbeat).astype(np.float64)
        inside = np.interp(position, starts, np.arange(len(starts)))
        before = np.minimum(position, 0) / self.beats_per_bar
        after = np.maximum(position - starts[-1], 0) / self.beats_per_bar
        bars: Times = inside + before + after
        return bars

    def moved(self, seconds: float) -> Self:
        """Return the same beats so much later."""
        return replace(self, beats=self.beats + seconds)

    def between(self, start: float, stop: float) -> Self:
        """Return the beats from `start` until `stop`, with the same bars. ValueError where fewer than two are left."""
        kept = np.flatnonzero((self.beats >= start) & (self.beats <= stop))
        if len(kept) < 2:
            raise ValueError(f"there are {len(kept)} beats between {start:.2f} and {stop:.2f} seconds")
        skipped = int(kept[0])
        beats = self.beats[kept]
        if self.downbeats is None:
            first = (self.first_downbeat - skipped) % self.beats_per_bar if skipped > self.first_downbeat else None
            return replace(self, beats=beats, first_downbeat=self.first_downbeat - skipped if first is None else first)
        downbeats = self.downbeats[(self.downbeats >= skipped) & (self.downbeats <= kept[-1])] - skipped
        if not len(downbeats):  # all beats lie within one long bar
            return replace(self, beats=beats, first_downbeat=0, downbeats=None)
        return replace(self, beats=beats, first_downbeat=int(downbeats[0]), downbeats=downbeats)


def find_beats(song: Path) -> Path | None:
    """Return the path of the beats beside a recording, None if that file does not exist."""
    path = song.with_suffix(SUFFIX)
    return path if path.is_file() else None


def beats_of(meter: str) -> int:
    """Return the beats in a bar: 4 in 4/4, 2 in 6/8, 7 in 7/8. BadInput where it is no time signature."""
    numerator, denominator = _parse_meter(meter)
    return numerator // 3 if _is_compound(numerator, denominator) else numerator


def _parse_meter(meter: str) -> tuple[int, int]:
    top, _, bottom = meter.partition("/")
    if (
        not (top.isdecimal() and bottom.isdecimal())
        or not 1 <= int(top) <= 64
        or int(bottom) not in (1, 2, 4, 8, 16, 32)
    ):
        raise BadInput(f"{meter!r} is no time signature such as 4/4, 3/4 or 6/8")
    return int(top), int(bottom)


def _is_compound(numerator: int, denominator: int) -> bool:
    """Return whether beats are dotted notes, three of the signature's units each."""
    return denominator >= 8 and numerator % 3 == 0


def _interpolate(times: Times, beats: Times) -> Times:
    """Return fractional indices of times among beats, extrapolated with the tempo at both ends."""
    times = np.asarray(times, np.float64)
    index = np.interp(times, beats, np.arange(len(beats), dtype=np.float64))
    before = np.minimum(times - beats[0], 0) / (beats[1] - beats[0])
    after = np.maximum(times - beats[-1], 0) / (beats[-1] - beats[-2])
    places: Times = index + before + after
    return places


def _seconds(tempos: Sequence[tuple[float, float]], quarters: Times) -> Times:
    """Return the seconds at which quarter notes begin. `tempos`: quarter note, quarter notes a minute from there on."""
    changes = {0.0: 120.0} | dict(tempos)  # of two at one place the later one holds
    places = np.array(sorted(changes))
    rates = np.array([60 / changes[place] for place in places])  # seconds a quarter note
    starts = np.concatenate([[0.0], np.cumsum(np.diff(places) * rates[:-1])])
    piece = np.searchsorted(places, quarters, side="right") - 1
    piece = np.maximum(piece, 0)
    times: Times = starts[piece] + (quarters - places[piece]) * rates[piece]
    return times


@dataclass(frozen=True)
class _Section:
    """A stretch of one time signature. Lengths are in quarter notes."""

    start: float
    stop: float
    numerator: int
    denominator: int

    @property
    def bar(self) -> float:
        return 4 * self.numerator / self.denominator

    @property
    def beat(self) -> float:
        return (3 if _is_compound(self.numerator, self.denominator) else 1) * 4 / self.denominator

    def is_part_of(self, other: "_Section") -> bool:
        """Return whether this is one bar, shorter than those of another section."""
        return self.stop - self.start <= self.bar + 1e-6 and self.bar < other.bar - 1e-6


def _sections(meters: Sequence[tuple[float, int, int]], end: float) -> list[_Section]:
    """Return the stretches of one time signature; a signature that is repeated on a bar line is no new stretch."""
    signs = {0.0: (4, 4)} | {start: (top, bottom) for start, top, bottom in sorted(meters) if top > 0 and start < end}
    starts = sorted(signs)
    sections: list[_Section] = []
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        new = _Section(start, stop, *signs[start])
        after = _Section(stop, end, *signs[stop]) if stop in signs else None
        if sections and _goes_on(sections[-1], new, after):
            sections[-1] = replace(sections[-1], stop=stop)
        else:
            sections.append(new)
    return sections


def _goes_on(last: _Section, new: _Section, after: _Section | None) -> bool:
    """Return whether a signature only repeats the one before.

    A single short bar that is repeated before longer ones is the end of a bar and a pickup, as around a repeat sign.
    """
    bars = (new.start - last.start) / last.bar
    is_same = (last.numerator, last.denominator) == (new.numerator, new.denominator) and abs(bars - round(bars)) < 0.01
    is_pickup = bars < 1.01 and after is not None and after.bar > last.bar
    return is_same and not is_pickup


def _bars(
    meters: Sequence[tuple[float, int, int]], end: float, pickup: float
) -> tuple[Times, npt.NDArray[np.bool_], str]:
    """Return the beats in quarter notes (N,), which of them are downbeats (N,), and the commonest time signature."""
    sections = _sections(meters, end)
    places: list[float] = []
    downs: list[bool] = []
    for index, one in enumerate(sections):
        before = sections[index - 1] if index else None
        after = sections[index + 1] if index + 1 < len(sections) else None
        if _is_pickup(sections, index) and after is not None:
            first, unit, bar = one.stop, after.beat, after.bar
        elif before is not None and one.is_part_of(before):  # a bar that was cut off
            first, unit, bar = one.start, before.beat, before.bar
        else:
            first, unit, bar = one.start + (0 if index else pickup), one.beat, one.bar
        lead = np.arange(int((first - one.start) / unit + 1e-6), 0, -1)
        bars = np.arange(int(np.ceil((one.stop - first) / bar - 1e-6)))
        inside = np.arange(round(bar / unit))
        grid = (first + bars[:, None] * bar + inside[None] * unit).ravel()
        kept = grid < one.stop - 1e-6
        places += [*(first - lead * unit).tolist(), *grid[kept].tolist()]
        downs += [False] * len(lead) + np.tile(inside == 0, len(bars))[kept].tolist()
    if len(places) < 2:  # music of one beat
        places, downs = [0.0, max(end, 1.0)], [True, False]
    if not any(downs):
        downs[0] = True
    return np.array(places), np.array(downs), _commonest(sections)


def _is_pickup(sections: Sequence[_Section], index: int) -> bool:
    """Return whether a short bar belongs to the bars after it: at the beginning, or after another short bar."""
    if index + 1 >= len(sections) or not sections[index].is_part_of(sections[index + 1]):
        return False
    return index == 0 or (index > 1 and sections[index - 1].is_part_of(sections[index - 2]))


def _commonest(sections: Sequence[_Section]) -> str:
    """Return the time signature that lasts longest in all."""
    lasting: dict[str, float] = {}
    for one in sections:
        name = f"{one.numerator}/{one.denominator}"
        lasting[name] = lasting.get(name, 0) + one.stop - one.start
    return max(lasting, key=lambda name: lasting[name])


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no whole number")
    return value
