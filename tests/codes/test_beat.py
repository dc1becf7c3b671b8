"""The beat of a recipe, and the beat grid that it stands for."""

import numpy as np
import pytest

from jukectl.codes.beat import Beat, beat_since, grid_of
from jukectl.codes.schedule import Change, since
from jukectl.errors import BadInput

TIMES = np.arange(0, 60, 0.37)


def same(one, other, *, period):
    """Whether two phases are equal, but for whole periods."""
    return np.abs((np.asarray(one) - other + period / 2) % period - period / 2).max() < 1e-4


def test_a_constant_tempo_has_its_first_bar_where_the_recipe_says():
    grid = grid_of(Beat(tempo=90, meter="3/4", first=7.3), (), 60)
    assert same(grid.phase(TIMES), (TIMES - 7.3) * 1.5, period=3)
    assert same(grid.bars(TIMES), (TIMES - 7.3) * 0.5, period=2)
    assert grid.beats[0] < -2 and grid.beats[-1] > 62


@pytest.mark.parametrize("first", [-3.0, 0.0, 0.4, 50.0])
def test_the_first_bar_may_lie_anywhere(first):
    bars = grid_of(Beat(tempo=120, first=first), (), 60).bars(np.array([first, first + 2.0, first - 0.5]))
    assert same(bars, [0, 1, -0.25], period=2)


def test_a_change_of_tempo_keeps_the_phase():
    grid = grid_of(Beat(tempo=60), [Change(at=10.25, tempo=120)], 40)
    assert same(grid.phase(np.array([10.0, 11.25, 20.25])), [10, 12.25, 30.25], period=8)
    two = grid_of(Beat(tempo=60), [Change(at=10, tempo=120), Change(at=20, tempo=30)], 60)
    assert same(two.phase(np.array([10.0, 20.0, 40.0])), [10, 30, 40], period=8)


def test_a_change_of_meter_begins_a_bar_at_the_nearest_beat():
    grid = grid_of(Beat(tempo=60), [Change(at=9.4, meter="3/4")], 60)
    assert same(grid.bars(np.array([0.0, 4.0, 8.0, 9.0, 12.0, 18.0])), [0, 1, 2, 3, 4, 6], period=2)
    assert grid.meter == "3/4"
    assert grid.bars(np.array([200.0])) - grid.bars(np.array([197.0])) == pytest.approx(1)


@pytest.mark.parametrize("second", [5.0, 10.0, 17.77, 30.0])
def test_the_rest_of_a_song_has_the_beats_that_it_had(second):
    beat = Beat(tempo=93.7, meter="3/4", first=0.8, start=12.0)
    changes = [Change(at=10, tempo=140), Change(at=15, artist="A", meter="4/4"), Change(at=40, tempo=70)]
    whole = grid_of(beat, changes, 60)
    rest = beat_since(beat, changes, second)
    grid = grid_of(rest, since(changes, second), 60 - second)
    times = np.arange(second + 1, 60, 0.23)  # a beat that a change falls in is evened out
    assert same(grid.phase(times - second), whole.phase(times), period=1)
    assert same(grid.bars(times - second), whole.bars(times), period=2)
    assert rest.start == max(12 - second, 0)
    assert beat_since(None, changes, second) is None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"tempo": 5}, r"beat\.tempo must be 20 to 400 beats a minute, got 5"),
        ({"tempo": float("nan")}, r"beat\.tempo"),
        ({"tempo": 100, "meter": "4"}, r"beat\.meter: '4' is no time signature"),
        ({"tempo": 100, "first": float("inf")}, r"beat\.first"),
        ({"tempo": 100, "start": -1}, r"beat\.start"),
    ],
)
def test_a_beat_that_cannot_be_is_refused_with_its_key(wrong, named):
    with pytest.raises(BadInput, match=named):
        Beat(**wrong)
