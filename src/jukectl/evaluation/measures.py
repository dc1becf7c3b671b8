"""Comparisons that need no model: of two signals, by listeners' ratings as ViSQOL predicts them, and of notes."""

from collections.abc import Callable
from math import inf, log10, nan, sqrt

import numpy as np
import torch
from numpy.typing import ArrayLike

from jukectl.audio.mix import Samples, peak, resample
from jukectl.audio.spectral import SETTINGS, magnitudes
from jukectl.errors import MissingTool
from jukectl.midi.notes import Notes

LEAST_MAGNITUDE = 1e-4  # of a spectrum; silence has no logarithm
PIECE = 1 << 20  # audio samples per transform of a long signal


def si_sdr_db(target: ArrayLike, predicted: ArrayLike) -> float:
    """Return the scale-invariant signal-to-distortion ratio of two signals (N,) in dB, higher is better.

    Le Roux et al. 2019, on signals with zero mean. The target, scaled to lie nearest to the prediction, is the signal;
    the rest of the prediction is distortion. The result is +inf for the target itself at any volume, -inf for a
    prediction orthogonal to it, and nan for a constant target, which has no scale.
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
    """Return the distance of the STFT magnitudes S and S' of two signals (N,), lower is better.

    It is the mean over three resolutions, those of the spectral loss, of ||S - S'|| / ||S|| plus the mean of
    |ln S - ln S'| (Yamamoto et al. 2020, eq. 3 to 6). Loud parts dominate the first term, soft parts count as much in
    the second. Long signals are transformed in pieces of PIECE samples. nan against silence.
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


ONSET_TOLERANCE = 0.05  # seconds, customary in note transcription
TIME_DIGITS = 4  # of seconds, to which differences are rounded, as mir_eval does


def note_f1(reference: Notes, found: Notes) -> float:
    """Return the F1 of notes that start within 50 ms of one of the same pitch; each counts at most once.

    It is 0 if either has no notes, and equals mir_eval's precision_recall_f1_overlap without offsets.
    """
    if not len(reference) or not len(found):
        return 0.0
    hits = sum(
        _matches(*(sorted(one.starts[one.pitches == pitch].tolist()) for one in (reference, found)))
        for pitch in set(reference.pitches.tolist())
    )
    return 2 * hits / (len(reference) + len(found))


def _matches(reference: list[float], found: list[float]) -> int:
    """Return the largest number of pairs of onsets within the tolerance, both in rising order.

    Pairing the earliest of both when they are near, and else dropping the earlier, loses no pair.
    """
    count = first = second = 0
    while first < len(reference) and second < len(found):
        apart = round(reference[first] - found[second], TIME_DIGITS)
        if abs(apart) <= ONSET_TOLERANCE:
            count, first, second = count + 1, first + 1, second + 1
        elif apart < 0:
            first += 1
        else:
            second += 1
    return count


RATE = 48_000  # Hz, of ViSQOL's audio mode
SHORTEST = 1.0  # seconds that ViSQOL can rate

Rate = Callable[[Samples, Samples, int], float]
"""A function of target, rendering and sample rate to a rating."""


def load_visqol() -> Rate:
    """Load ViSQOL as a function of target (N,), rendering (N,) and sample rate to a mean opinion score, 1 to about 4.7.

    The function returns nan for silence and for less than SHORTEST seconds. Raises MissingTool without the package.
    """
    try:
        from visqol import VisqolApi
    except ImportError as error:
        raise MissingTool("--visqol needs another package: pip install 'visqol-python[accel]'") from error
    api = VisqolApi()
    api.create(mode="audio")

    def rate(target: Samples, rendering: Samples, sample_rate: int) -> float:
        if len(target) < SHORTEST * sample_rate or peak(target) == 0:
            return nan
        pair = [resample(np.asarray(one), sample_rate, RATE).astype(np.float64) for one in (target, rendering)]
        return float(api.measure_from_arrays(*pair, RATE).moslqo)

    return rate
