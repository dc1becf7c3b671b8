"""Attacks, dynamic range, near silence and the step at a seam, of signals whose levels are known."""

import numpy as np
import pytest

from jukectl.evaluation.beat import onset_strength
from jukectl.evaluation.dynamics import attack_contrast, dynamic_range, levels, loudness_step, nearly_silent

RATE = 22_050


def tone(seconds, frequency=440.0, amplitude=0.5):
    time = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def noise(seconds, amplitude=0.1, seed=0):
    return (amplitude * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def plucked(seconds, period, decay=0.1):
    """A tone that is struck every `period` seconds and fades in `decay`."""
    time = np.arange(round(seconds * RATE)) / RATE
    return tone(seconds) * np.exp(-(time % period) / decay).astype(np.float32) + noise(seconds, 1e-3)


def contrast(samples):
    return attack_contrast(onset_strength(samples, RATE))


def test_the_level_of_a_sine_is_3_db_under_its_peak_and_that_of_silence_the_floor():
    assert levels(tone(1, amplitude=0.5), RATE) == pytest.approx(20 * np.log10(0.5) - 3.01, abs=0.05)
    assert levels(np.zeros(RATE, np.float32), RATE).tolist() == [-60.0] * 20


@pytest.mark.parametrize("fall", [6.0, 20.0, 40.0])
def test_the_dynamic_range_of_noise_with_two_levels_is_their_difference(fall):
    soft = noise(3, 0.3 * 10 ** (-fall / 20), seed=1)
    assert dynamic_range(np.concatenate([noise(3, 0.3), soft]), RATE) == pytest.approx(fall, abs=0.8)


def test_steady_sound_and_silence_have_no_dynamic_range():
    assert dynamic_range(noise(5), RATE) < 1
    assert dynamic_range(tone(5), RATE) < 0.1
    assert dynamic_range(np.zeros(5 * RATE, np.float32), RATE) == 0


@pytest.mark.parametrize("period", [0.25, 0.5, 1.0])
def test_struck_notes_have_attacks_and_noise_drones_and_silence_have_not(period):
    struck = contrast(plucked(10, period))
    assert struck > 3
    assert contrast(noise(10)) < 0.25 * struck
    assert contrast(tone(10) + noise(10, 1e-3)) < 0.25 * struck
    assert contrast(np.zeros(10 * RATE)) == 0


def test_the_contrast_of_onsets_is_the_mean_of_the_strongest_twentieth_less_the_median():
    onsets = np.full(100, 1.0)
    onsets[[3, 30, 50, 70, 90]] = [6.0, 5.0, 4.0, 8.0, 2.0]
    assert attack_contrast(onsets) == pytest.approx(5.0 - 1.0)


@pytest.mark.parametrize(
    ("samples", "silent"),
    [
        (np.zeros(4 * RATE, np.float32), True),
        (noise(4, 1e-3), True),  # -60 dB
        (np.concatenate([noise(0.5), noise(9.5, 1e-4)]), True),  # a twentieth of it sounds
        (np.concatenate([noise(3), np.zeros(7 * RATE, np.float32)]), False),
        (noise(4, 0.01), False),  # -40 dB
    ],
)
def test_music_that_hardly_ever_sounds_is_nearly_silent(samples, silent):
    assert nearly_silent(samples, RATE) is silent


def test_the_step_at_a_seam_is_in_loudness_units_and_counts_silence_as_minus_70():
    before = tone(5, 1_000)
    assert loudness_step(before, before * np.float32(0.5), RATE) == pytest.approx(-6.02, abs=0.05)
    assert loudness_step(before * np.float32(0.1), before, RATE) == pytest.approx(20, abs=0.05)
    step = loudness_step(before, np.zeros_like(before), RATE)
    assert -70 - step == pytest.approx(20 * np.log10(0.5) - 3.01 - 0.691 + 0.7, abs=0.3)  # K-weighting at 1 kHz


def test_only_three_seconds_on_either_side_of_a_seam_count():
    quiet, loud = tone(3, amplitude=0.05), tone(3)
    assert loudness_step(np.concatenate([loud, quiet]), np.concatenate([quiet, loud]), RATE) == pytest.approx(
        0, abs=0.1
    )
