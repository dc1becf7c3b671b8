"""Measures that need no model: how near one signal is to another, and how evenly codes are used."""

from math import inf, log10, nan

import numpy as np
from numpy.typing import ArrayLike, NDArray


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


def entropy_bits(counts: NDArray[np.integer]) -> float:
    """Entropy in bits of the distribution that counts (K,) were drawn from, as they show it; 0 where all are zero."""
    seen = counts[counts > 0]
    if not seen.size:
        return 0.0
    shares = seen / seen.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0  # no -0.0 for a single code
