"""Measures that need no model: how near one signal is to another."""

from collections.abc import Callable
from math import inf, log10, nan, sqrt

import numpy as np
import torch
from numpy.typing import ArrayLike

from jukectl.audio.mix import Samples, peak, resample
from jukectl.audio.spectral import SETTINGS, magnitudes
from jukectl.errors import MissingTool

LEAST_MAGNITUDE = 1e-4  # of a spectrum: what is lower counts as this, so that silence has a logarithm
PIECE = 1 << 20  # audio samples transformed at a time


def si_sdr_db(target: ArrayLike, predicted: ArrayLike) -> float:
    """Scale-invariant signal-to-distortion ratio of two signals (N,) in dB: higher is better (Le Roux et al. 2019).

    Both are freed of their mean first. The target, scaled to lie nearest to the prediction, is the signal; the rest of
    the prediction is distortion. +inf is the target itself at any volume, -inf has nothing of it, and against a
    constant target, which has no scale, the result is nan.
    """
    reference, estimate = (np.asarray(signal, dtype=np.float64) for signal in (target, predicted))
    if reference.shape != estimate.shape or reference.ndim != 1:
        raise ValueError(f"needs two signals (N,) of one length, got {reference.shape} and {estimate.shape}")
    reference, estimate = reference - reference.mean(), estimate - estimate.mean()
    power = float(reference @ reference)
    if power == 0:
        return nan
    scaled = float(estimate @ reference) / power * reference
    signal, distortion = float(scaled @ scaled), float(np.square(estimate - scaled).sum())
    if signal == 0:
        return -inf
    return inf if distortion == 0 else 10 * log10(signal / distortion)


@torch.no_grad()
def multi_resolution_stft(target: ArrayLike, predicted: ArrayLike) -> float:
    """Distance of the STFT magnitudes S and S' of two signals (N,), mean of three resolutions: lower is better.

    At each ||S - S'|| / ||S|| and the mean of |ln S - ln S'| are added (Yamamoto et al. 2020, eq. 3 to 6), with the
    settings of the spectral loss. What is loud dominates the first, what is soft counts as much in the second. Long
    signals go in pieces of PIECE samples. nan against silence.
    """
    pair = torch.as_tensor(np.stack([np.asarray(target, np.float32), np.asarray(predicted, np.float32)]))  # (2, N)
    if pair.ndim != 2 or not pair.shape[1]:
        raise ValueError(f"needs two signals (N,), N more than 0, got {tuple(pair.shape[1:])}")
    distances = []
    for setting in SETTINGS:
        error = power = logarithms = 0.0
        count = 0
        for first in range(0, pair.shape[1], PIECE):
            ours, theirs = magnitudes(pair[:, first : first + PIECE], setting).clamp(min=LEAST_MAGNITUDE)
            error += float((ours - theirs).square().sum(dtype=torch.float64))
            power += float(ours.square().sum(dtype=torch.float64))
            logarithms += float((ours.log() - theirs.log()).abs().sum(dtype=torch.float64))
            count += ours.numel()
        distances.append(sqrt(error / power) + logarithms / count)
    return float(np.mean(distances)) if np.any(pair[0].numpy()) else nan


RATE = 48_000  # Hz, of its audio mode
SHORTEST = 1.0  # seconds; what is shorter is not rated

Rate = Callable[[Samples, Samples, int], float]


def load() -> Rate:
    """A function of target (N,), rendering (N,) and sample rate to a mean opinion score from 1 to about 4.7.

    It gives nan for silence and for less than SHORTEST seconds. MissingTool where the package is not installed.
    """
    try:
        from visqol import VisqolApi
    except ImportError as error:
        raise MissingTool("--visqol needs a package of its own: pip install 'visqol-python[accel]'") from error
    api = VisqolApi()
    api.create(mode="audio")

    def rate(target: Samples, rendering: Samples, sample_rate: int) -> float:
        if len(target) < SHORTEST * sample_rate or peak(target) == 0:
            return nan
        pair = [resample(np.asarray(one), sample_rate, RATE).astype(np.float64) for one in (target, rendering)]
        return float(api.measure_from_arrays(*pair, RATE).moslqo)

    return rate
