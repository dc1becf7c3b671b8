import numpy as np
import pytest

from jukectl.plots import spectrogram
from jukectl.plots.spectrogram import band_of, band_powers, decibels

RATE, BANDS = 22_050, 96


def sine(frequency: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE).astype(np.float32)


@pytest.mark.parametrize("frequency", [55, 110, 440, 1_000, 4_321, 9_000])
def test_a_full_scale_sine_has_a_power_of_about_one_in_the_band_of_its_frequency(frequency):
    power = band_powers(sine(frequency), RATE, column_seconds=0.05, bands=BANDS)[:, 5:-5].mean(axis=1)
    assert int(power.argmax()) == pytest.approx(band_of(frequency, RATE, BANDS), abs=1.5)
    assert 10 * np.log10(power.max()) == pytest.approx(0, abs=3)


@pytest.mark.parametrize("column_seconds", [0.004, 0.02, 0.31])
def test_a_click_is_loudest_in_the_column_of_its_time(column_seconds):
    samples = np.zeros(3 * RATE, dtype=np.float32)
    samples[round(1.7 * RATE)] = 1
    power = band_powers(samples, RATE, column_seconds=column_seconds, bands=BANDS).sum(axis=0)
    assert len(power) == np.ceil(3 / column_seconds)
    assert int(power.argmax()) == pytest.approx(1.7 / column_seconds, abs=1.5)


def test_blocks_leave_no_seam(monkeypatch):
    noise = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    whole = band_powers(noise, RATE, column_seconds=0.013, bands=BANDS)
    monkeypatch.setattr(spectrogram, "BLOCK", 20_000)
    assert np.allclose(band_powers(noise, RATE, column_seconds=0.013, bands=BANDS), whole)


def test_white_noise_is_even_over_all_bands():
    noise = np.random.default_rng(0).standard_normal(20 * RATE).astype(np.float32)
    power = band_powers(noise, RATE, column_seconds=0.5, bands=BANDS).mean(axis=1)
    per_bin = power / spectrogram._filterbank(2_048, RATE, BANDS).sum(axis=1)
    assert np.ptp(10 * np.log10(per_bin)) < 3


@pytest.mark.parametrize("length", [1, 2, 100, 5_000])
@pytest.mark.parametrize("rate", [1_000, 8_000, 96_000])
def test_any_length_and_rate_has_a_spectrogram(length, rate):
    power = band_powers(np.ones(length, np.float32), rate, column_seconds=length / rate / 540, bands=BANDS)
    assert power.shape[0] == BANDS
    assert abs(power.shape[1] - 540) <= 1
    assert np.all(np.isfinite(power))


def test_decibels_count_down_from_the_loudest_and_end_at_the_span():
    power = np.array([[1.0, 0.1, 1e-5, 0.0]], dtype=np.float32)
    assert decibels(power, 1.0, span=40).tolist() == [[0.0, pytest.approx(-10), -40.0, -40.0]]


def test_silence_is_background_everywhere():
    assert np.allclose(decibels(np.zeros((3, 4), np.float32), 0.0, span=70), -70)
