"""Spectrograms for pictures: logarithmic frequency, and as many columns as a picture has room for."""

from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from jukectl.audio.mix import Samples

LOWEST = 40.0  # Hz, of the first band
WINDOW_SECONDS = 0.09  # long enough to separate the notes of a chord, short enough to separate beats
OVERLAP = 4  # frames per window at least, however long the recording
BLOCK = 1 << 22  # samples transformed at a time

Bands = NDArray[np.float32]


def band_powers(samples: Samples, sample_rate: int, *, column_seconds: float, bands: int) -> Bands:
    """Return the mean power (bands, columns) of samples (N,), in columns of so many seconds and musical bands.

    Bands of equal intervals go from LOWEST to half the sample rate. A full-scale sine has about 1 in its own band.
    """
    width = column_seconds * sample_rate  # audio samples per column, not a whole number
    columns = max(1, ceil(len(samples) / width))
    n_fft = fft_size(sample_rate)
    frames = ceil(width / (n_fft / OVERLAP))  # per column
    centres = ((np.arange(columns * frames) + 0.5) * width / frames).astype(np.int64)
    # mirrored at the ends: an abrupt change from music to silence would be a click
    padded = np.pad(samples, (n_fft // 2, n_fft // 2 + ceil(width)), mode="symmetric")
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    window *= 2 / window.sum()  # so that a sine has the magnitude of its amplitude
    bank = _filterbank(n_fft, sample_rate, bands)
    blocks = []
    columns_per_block = max(1, BLOCK // (n_fft * frames))
    for first in range(0, columns, columns_per_block):
        starts = centres[first * frames : (first + columns_per_block) * frames]
        spectra = np.fft.rfft(padded[starts[:, None] + np.arange(n_fft)] * window)  # (columns * frames, bins)
        power = (np.square(spectra.real) + np.square(spectra.imag)).astype(np.float32) @ bank.T  # (…, bands)
        blocks.append(power.reshape(-1, frames, bands).mean(axis=1))
    return np.concatenate(blocks).T


def decibels(power: Bands, loudest: float, *, span: float) -> Bands:
    """Return powers as decibels below `loudest`, from -span to 0."""
    floor = 10 ** (-span / 10)
    ratio = np.clip(power / loudest, floor, 1) if loudest > 0 else np.full_like(power, floor)
    result: Bands = 10 * np.log10(ratio)
    return result


def band_of(frequency: float, sample_rate: int, bands: int) -> float:
    """Return the position of a frequency in Hz among the bands, 0 to bands - 1."""
    return (bands - 1) * log2(frequency / LOWEST) / log2(sample_rate / 2 / LOWEST)


def fft_size(sample_rate: int) -> int:
    """Return the audio samples of a frame: the power of two nearest to WINDOW_SECONDS."""
    return int(2 ** max(4, round(log2(WINDOW_SECONDS * sample_rate))))


def _filterbank(n_fft: int, sample_rate: int, bands: int) -> Bands:
    """Return weights (bands, bins): triangles from a band to its neighbours, at least one bin wide on either side."""
    bins = np.arange(n_fft // 2 + 1) * sample_rate / n_fft  # Hz
    ratio = (sample_rate / 2 / LOWEST) ** (1 / (bands - 1))
    centres = LOWEST * ratio ** np.arange(bands)[:, None]  # Hz
    half = np.maximum(centres * (ratio - 1), sample_rate / n_fft)
    weights = np.clip(1 - np.abs(bins - centres) / half, 0, None)
    result: Bands = (weights / weights.max(axis=1, keepdims=True)).astype(np.float32)
    return result
