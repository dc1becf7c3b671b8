"""Phases of beats and bars at the codes' times."""

import numpy as np
import pytest

from jukectl.midi.beats import BeatGrid
from jukectl.midi.phases import BEAT_PERIODS, CHANNELS, beat_phases

BARS = 3 + 2 * len(BEAT_PERIODS)  # the first channel of the bar's phase


def angles(features, channel):
    return np.arctan2(features[:, channel], features[:, channel + 1]) % (2 * np.pi) / (2 * np.pi)


def test_beat_phases_are_taken_at_the_middle_of_each_code():
    grid = BeatGrid.from_tempo(120, "3/4", 60)  # two beats a second, a bar of 1.5 seconds
    features = beat_phases(grid, 10, 50, rate=40)
    times = (10 + np.arange(50) + 0.5) / 40
    assert features.shape == (50, CHANNELS)
    assert features.dtype == np.float32
    for number, period in enumerate((*(one / 2 for one in BEAT_PERIODS), 1.5, 3.0)):
        wrapped = (angles(features, 3 + 2 * number) - times / period + 0.5) % 1 - 0.5
        assert np.abs(wrapped).max() < 1e-4
    assert np.all(features[:, :2] == 1)


def test_the_same_place_in_a_later_phrase_has_the_same_phases():
    grid = BeatGrid.from_tempo(120, "4/4", 4_000)
    early, late = (beat_phases(grid, start, 100, rate=40) for start in (0, 40 * 4 * 900))  # phrases of 4 seconds
    assert np.allclose(early, late, atol=1e-4)


@pytest.mark.parametrize(("bpm", "value"), [(120, 0), (240, 1), (60, -1), (10, -2)])
def test_the_tempo_channel_is_in_octaves_from_120_bpm(bpm, value):
    features = beat_phases(BeatGrid.from_tempo(bpm, "4/4", 60), 0, 20, rate=43)
    assert np.allclose(features[:, 2], value, atol=1e-3)


def test_without_bars_their_channels_are_zero_and_the_beats_stay():
    grid = BeatGrid.from_tempo(100, "4/4", 60)
    whole, beats = (beat_phases(grid, 3, 60, rate=43, bars=bars) for bars in (True, False))
    assert np.array_equal(whole[:, 2:BARS], beats[:, 2:BARS])
    assert not beats[:, BARS:].any() and not beats[:, 1].any()
    assert np.all(beats[:, 0] == 1)
