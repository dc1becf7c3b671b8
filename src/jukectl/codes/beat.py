"""The beat that a song is conditioned on: `[beat]` of song.toml, and the beat grid that it stands for.

The recipe has numbers, not beats that were tracked: a run that is resumed has the same grid to the bit.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jukectl.errors import BadInput, need
from jukectl.midi.beats import BeatGrid, beats_of

if TYPE_CHECKING:
    from jukectl.codes.schedule import Change

SLOWEST, FASTEST = 20.0, 400.0
"""Beats a minute that a song may have."""

MARGIN = 4
"""Bars of a grid before the song and after it, so that no window extrapolates."""


@dataclass(frozen=True, kw_only=True)
class Beat:
    """Tempo and meter of a song from its beginning on; a schedule may change both. BadInput, naming the key."""

    tempo: float  # beats a minute
    meter: str = "4/4"  # in 6/8, 9/8 and 12/8 a beat is a dotted quarter note
    first: float = 0.0  # seconds of the audio at which a bar begins; a beat, where bars are unknown
    bars: bool = True  # False: the beats of a recording are known, and its bars are not
    start: float = 0.0  # seconds of the audio before which no beat is given, as of a prompt whose beat is unsure

    def __post_init__(self) -> None:
        for name in ("tempo", "first", "start"):
            object.__setattr__(self, name, float(getattr(self, name)))
        check_tempo("beat.tempo", self.tempo)
        check_meter("beat.meter", self.meter)
        need(math.isfinite(self.first), "beat.first", "a number of seconds", self.first)
        need(math.isfinite(self.start) and self.start >= 0, "beat.start", "0 seconds or more", self.start)


def check_tempo(key: str, tempo: float) -> None:
    """Raise BadInput for a tempo that no music has."""
    need(SLOWEST <= tempo <= FASTEST, key, f"{SLOWEST:g} to {FASTEST:g} beats a minute", tempo)


def check_meter(key: str, meter: str) -> None:
    """Raise BadInput for what is no time signature."""
    try:
        beats_of(meter)
    except BadInput as error:
        raise BadInput(f"{key}: {error}") from error


def grid_of(beat: Beat, changes: "Iterable[Change]", seconds: float) -> BeatGrid:
    """Return the beats of `seconds` of a song, in seconds of the audio.

    A change of tempo holds from its second on; the beat that it falls in is evened out, since a grid has beats alone. A
    change of meter holds from the nearest beat on, which begins a bar.
    """
    import numpy as np

    moments = [one for one in changes if one.tempo is not None or one.meter is not None]
    times, places = _tempo_map(beat, moments, seconds)
    numbers = np.arange(math.ceil(places[0]), math.floor(places[-1]) + 1)  # of beats; 0 is the one at `first`
    meters = [(int(numbers[0]), beat.meter)]
    for change in moments:
        if change.meter is not None:
            meters.append((round(float(np.interp(change.at, times, places))), change.meter))
    downbeats: list[int] = []
    for (start, meter), (stop, _) in zip(meters, [*meters[1:], (int(numbers[-1]) + 1, "")], strict=True):
        step = beats_of(meter)
        # bars before the first change are counted from beat 0, in pairs: the phase within two bars is a feature too
        first = start if downbeats else start + -start % (2 * step)
        downbeats += range(first, stop, step)
    indices = np.array(downbeats) - numbers[0]
    regular = len(meters) == 1
    return BeatGrid(
        np.interp(numbers, places, times),
        beats_of(meters[-1][1]),
        int(indices[0]),
        None if regular else indices,
        meters[-1][1],
    )


def _tempo_map(beat: Beat, changes: "Sequence[Change]", seconds: float) -> tuple[list[float], list[float]]:
    """Return times at which the tempo changes, and the beats that have passed then, counted from `first`.

    The first and the last time lie a few bars outside the song.
    """
    bar = 60 / beat.tempo * beats_of(beat.meter)
    times = [min(0.0, beat.first) - MARGIN * bar]
    places = [(times[0] - beat.first) * beat.tempo / 60]
    tempo = beat.tempo
    for change in changes:
        if change.tempo is not None and change.at > times[-1]:
            places.append(places[-1] + (change.at - times[-1]) * tempo / 60)
            times.append(change.at)
            tempo = change.tempo
    end = max(seconds, times[-1], beat.first) + MARGIN * 60 / tempo * 8
    return [*times, end], [*places, places[-1] + (end - times[-1]) * tempo / 60]


def beat_since(beat: Beat | None, changes: "Iterable[Change]", seconds: float) -> Beat | None:
    """Return the beat of the rest of a song from some second on, counted from there.

    Changes up to there are part of it; `schedule.since` leaves their tempo and meter out.
    """
    if beat is None:
        return None
    before = [one for one in changes if one.at <= seconds]
    tempo = next((one.tempo for one in reversed(before) if one.tempo is not None), beat.tempo)
    meter = next((one.meter for one in reversed(before) if one.meter is not None), beat.meter)
    if (tempo, meter) == (beat.tempo, beat.meter) and not any(one.tempo or one.meter for one in before):
        return replace(beat, first=beat.first - seconds, start=max(beat.start - seconds, 0.0))
    # a downbeat after the changes, an even number of bars after the first one
    grid = grid_of(beat, before, seconds + 2 * MARGIN * 60 / tempo * beats_of(meter))
    places = range(grid.first_downbeat, len(grid.beats), grid.beats_per_bar)
    downbeats = grid.beats[list(places) if grid.downbeats is None else grid.downbeats][::2]
    # numbers of the recipe are written as decimals: rounded ones read well, and a microsecond is no phase
    first = round(float(next(one for one in downbeats if one >= seconds)) - seconds, 6)
    return replace(beat, tempo=tempo, meter=meter, first=first, start=max(beat.start - seconds, 0.0))
