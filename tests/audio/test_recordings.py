"""Faults of recordings: low notes are no offset, loud music is not clipped, inverted channels are not silence."""

import numpy as np
import pytest

from jukectl.audio.recordings import clipped_share, faults, level_db, offset

RATE = 8_000


def tone(seconds: float, frequency: float = 220.0, loud: float = 0.3) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (loud * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


@pytest.mark.parametrize("constant", [-0.5, 0.02, 0.5])
@pytest.mark.parametrize("sound", [tone(3), tone(0.5, 440), np.zeros(4_000, np.float32)])
def test_a_constant_offset_is_measured(sound, constant):
    assert offset(sound + np.float32(constant), RATE) == pytest.approx(constant, abs=0.01)


@pytest.mark.parametrize("frequency", [3.0, 11.0, 27.5, 41.2, 55.0, 110.0])
@pytest.mark.parametrize("seconds", [0.03, 0.11, 0.5, 1.03, 7.01])
def test_low_notes_that_end_anywhere_have_no_offset(frequency, seconds):
    assert offset(tone(seconds, frequency, loud=0.9), RATE) == 0


def test_noise_and_nothing_have_no_offset():
    noise = np.random.default_rng(0).normal(0, 0.2, 9_000).astype(np.float32)
    assert offset(noise, RATE) == offset(noise[:3], RATE) == offset(noise[:0], RATE) == 0
    assert offset(tone(2) + np.float32(0.005), RATE) == 0  # not material


def test_runs_at_full_scale_are_clipped_and_single_peaks_are_not():
    loud = np.stack([tone(1, loud=2.0).clip(-1, 1), tone(1, loud=0.5)])
    # a sine of twice full scale is over it for two thirds of the time
    assert clipped_share(loud) == pytest.approx(2 / 3 / 2, abs=0.01)
    assert clipped_share(tone(1, loud=0.99)[None]) == 0
    peaks = np.zeros((1, 100), np.float32)
    peaks[0, [5, 6, 40, 99]] = 1  # two in a row at most
    assert clipped_share(peaks) == 0
    peaks[0, 96:] = -1
    assert clipped_share(peaks) == 0.04


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.stack([tone(1), -tone(1)]), "silent as mono, since its channels cancel each other"),
        (np.zeros((2, RATE)), "is silent"),
        (tone(1, loud=0.004)[None], "is nearly silent, at -51 dB"),
        (tone(1, loud=3.0).clip(-1, 1)[None], "is clipped: 7"),
        (tone(1)[None], None),
        (tone(1, loud=0.01)[None], None),  # -43 dB
        (np.stack([tone(1), 0 * tone(1)]), None),
    ],
)
def test_each_fault_is_said_in_a_phrase(samples, said):
    found = faults(samples.astype(np.float32), samples.mean(axis=0).astype(np.float32))
    assert [said in one for one in found] == ([] if said is None else [True])


def test_levels_are_root_mean_squares():
    assert level_db(tone(1, loud=1.0)) == pytest.approx(-3.01, abs=0.01)
    assert level_db(np.zeros(5, np.float32)) == level_db(np.zeros(0, np.float32)) == -np.inf
