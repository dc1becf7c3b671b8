"""Beats of recordings by their onsets."""

import numpy as np
import pytest

from jukectl.midi.tracking import track_beats

RATE = 22_050


def clicks(seconds, bpm, first, accent):
    """Noise with bursts on the beats, and a bass drum on every fourth."""
    random = np.random.default_rng(0)
    wave = random.normal(0, 1e-3, round(RATE * seconds)).astype(np.float32)
    for number in range(int((seconds - first) * bpm / 60)):
        place = round((first + number * 60 / bpm) * RATE)
        burst = np.exp(-np.arange(3_000) / 600) * random.normal(0, 0.3, 3_000)
        if number % 4 == accent:
            burst += np.sin(np.arange(3_000) * 0.02) * np.exp(-np.arange(3_000) / 900)
        wave[place : place + 3_000] += burst.astype(np.float32)[: len(wave) - place]
    return wave


def test_beats_are_found_in_clicks_and_not_in_noise():
    grid = track_beats(clicks(40, 117, 0.3, 2), RATE)
    assert grid.tempo == pytest.approx(117, abs=0.2)
    late = (grid.beats - 0.3) * 117 / 60
    assert np.abs(late - np.round(late)).max() < 0.04
    assert round(late[grid.first_downbeat]) % 4 == 2
    noise = np.random.default_rng(1).normal(0, 0.1, RATE * 40).astype(np.float32)
    assert track_beats(noise, RATE) is None


def test_a_short_recording_has_beats_if_fewer_are_required():
    wave = clicks(8, 100, 0.2, 0)
    assert track_beats(wave, RATE) is None
    grid = track_beats(wave, RATE, meter="3/4", least=8)
    assert grid.tempo == pytest.approx(100, abs=0.5)
    assert (grid.meter, grid.beats_per_bar) == ("3/4", 3)


def test_silence_and_recordings_shorter_than_a_beat_have_no_beats():
    assert track_beats(np.zeros(RATE * 40, np.float32), RATE) is None
    assert track_beats(clicks(0.3, 100, 0.1, 0), RATE, least=1) is None
