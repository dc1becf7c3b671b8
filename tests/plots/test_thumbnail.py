"""Small pictures of sound: what they show is where it sounds."""

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.image import imread

from jukectl.plots.spectrogram import band_of
from jukectl.plots.thumbnail import BANDS, SHADES, draw_thumbnail, peaks_of

RATE = 22_050


@pytest.mark.parametrize("frequency", [110.0, 440.0, 3_000.0])
def test_a_tone_is_a_bright_line_at_its_height(frequency, tmp_path):
    time = np.arange(2 * RATE) / RATE
    samples = np.where(time < 1, 0, np.sin(2 * np.pi * frequency * time)).astype(np.float32)
    draw_thumbnail(samples, RATE, tmp_path / "tone.png")
    picture = imread(tmp_path / "tone.png")[..., :3]
    assert picture.shape == (BANDS, len(samples) // 256, 3)
    light = picture.sum(axis=2)
    silent, sounding = light[:, : light.shape[1] // 2 - 10], light[:, light.shape[1] // 2 + 10 :]
    assert silent.max() < 0.1
    rows = sounding.mean(axis=1).argmax()
    assert abs(BANDS - 1 - rows - band_of(frequency, RATE, BANDS)) <= 1
    magma = colormaps["magma"](np.linspace(0, 1, SHADES))[:, :3]
    assert np.abs(picture[:, :, None] - magma).sum(axis=3).min(axis=2).max() < 0.02  # to 8 bits


def test_the_outline_has_every_sample_in_it():
    samples = np.random.default_rng(0).uniform(-1, 1, 12_345).astype(np.float32)
    peaks = np.array(peaks_of(samples, 100))
    assert peaks.shape == (100, 2)
    assert (peaks.min(), peaks.max()) == (round(127 * samples.min()), round(127 * samples.max()))
