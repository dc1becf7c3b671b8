"""Faults in the spectrum: too much power in the lowest bass, and constant tones at multiples of the code rate."""

from math import nan

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from jukectl.audio.mix import Samples

BASS_HZ = 150.0
TONE_SECONDS = 0.19  # of a spectrum, which resolves 5 Hz
WIDTH = 1  # bins to either side of a multiple, which may lie between two
SKIRT = 4  # bins to either side over which the Hann window spreads a tone
NEIGHBOUR_HZ = 100.0  # to either side, of which the neighbourhood is made
QUARTILE = 25  # percentile over time: notes pass, tones of the codec stay
FLOOR = 1e-10  # lowest power, relative to the loudest

Vector = NDArray[np.float64]


def low_share(samples: Samples, sample_rate: int) -> float:
    """Return the share, 0 to 1, of the power of samples (N,) that lies under 150 Hz; nan for silence.

    The power is that of the Fourier transform of all samples, without its constant part.
    """
    power = np.square(np.abs(np.fft.rfft(samples))[1:])
    frequencies = np.fft.rfftfreq(len(samples), 1 / sample_rate)[1:]
    total = float(power.sum())
    return float(power[frequencies < BASS_HZ].sum()) / total if total > 0 else nan


def code_tones_db(samples: Samples, sample_rate: int, code_rate: float) -> float:
    """Return how far the strongest constant tone at a multiple of `code_rate` Hz rises over its neighbourhood, in dB.

    The power of a bin is its lower quartile over frames of 0.19 s of samples (N,), so that only what sounds three
    quarters of the time counts. A multiple's power is the highest of three bins; its neighbourhood is the median of the
    same 100 Hz to either side. Noise has 1 dB, recordings have 1 to 12 dB, where notes are held close by. nan for less
    than one frame, or if no multiple lies in the spectrum.
    """
    size = 2 ** round(np.log2(TONE_SECONDS * sample_rate))
    if len(samples) < size:
        return nan
    frames = sliding_window_view(samples, size)[:: size // 2] * np.hanning(size).astype(np.float32)
    power = np.percentile(np.square(np.abs(np.fft.rfft(frames, axis=1))), QUARTILE, axis=0)  # (bins,)
    decibels = 10 * np.log10(np.maximum(power, max(float(power.max()), 1e-30) * FLOOR))
    highest = sliding_window_view(np.pad(decibels, WIDTH, mode="edge"), 2 * WIDTH + 1).max(axis=1)  # (bins,)
    reach = round(min(NEIGHBOUR_HZ, code_rate / 2) * size / sample_rate)
    places = np.round(np.arange(code_rate, sample_rate / 2, code_rate) * size / sample_rate).astype(int)
    rises = [_rise(highest, place, reach) for place in places if place + SKIRT < len(highest)]
    return max(rises, default=nan)


def _rise(decibels: Vector, place: int, reach: int) -> float:
    """Return how far a bin rises over the median of those up to `reach` bins away, without its skirt."""
    around = np.concatenate(
        [decibels[max(0, place - reach) : place - SKIRT], decibels[place + SKIRT + 1 : place + reach + 1]]
    )
    return float(decibels[place] - np.median(around)) if len(around) else 0.0
