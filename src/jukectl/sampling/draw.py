"""Drawing a code from logits with a given uniform number: temperature, top-k, nucleus, inverse CDF."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from jukectl.codes.level import Level
from jukectl.codes.recipe import LARGEST_SEED


def draw(logits: Tensor, uniform: Tensor, *, temperature: float, top_k: int, top_p: float) -> Tensor:
    """Codes (B,) for logits (B, K) and uniform numbers (B,) in [0, 1), float64.

    The code is the first whose cumulative probability exceeds the number. `temperature` 0 and `top_k` 1 take the
    likeliest code; `top_k` 0 and `top_p` 1 leave all codes in. `top_p` keeps the fewest likeliest codes that hold that
    much probability (Holtzman et al. 2020), of those that `top_k` leaves. Of equal codes the first is the likelier.
    """
    if temperature == 0 or top_k == 1:
        return logits.argmax(dim=-1)
    # the largest becomes 0 first: then no temperature is too small for the division
    scaled = (logits.double() - logits.amax(dim=-1, keepdim=True)) / temperature
    whole = top_p >= 1 and not 0 < top_k < logits.shape[-1]
    probabilities = scaled.softmax(dim=-1) if whole else _likeliest(scaled, top_k or logits.shape[-1], top_p)
    cumulative = probabilities.cumsum(dim=-1)
    # scaled by the last sum, so that rounding cannot put the number past every code
    threshold = (uniform * cumulative[:, -1]).unsqueeze(-1)
    return torch.searchsorted(cumulative, threshold, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)


def guided(logits: Tensor, strength: float) -> Tensor:
    """Logits (2B, K), first all with labels, then all without, to the logits (B, K) that are drawn from, float32.

    What the labels change is taken `strength` times (Ho and Salimans 2022, with their w one less). At a strength of 1
    nothing is done: then there are no rows without labels.
    """
    if strength == 1:
        return logits
    labelled, unlabelled = logits.float().chunk(2)
    return unlabelled + strength * (labelled - unlabelled)


def _likeliest(logits: Tensor, top_k: int, top_p: float) -> Tensor:
    """Probabilities (B, K), zero outside the `top_k` likeliest codes and, of those, the nucleus."""
    ranked, order = logits.sort(dim=-1, descending=True, stable=True)  # or the batch would decide between equals
    ranked[:, top_k:] = -torch.inf
    kept = ranked.softmax(dim=-1)
    outside = kept.cumsum(dim=-1) - kept >= top_p  # what is likelier holds enough already; the likeliest always stays
    return torch.zeros_like(kept).scatter(-1, order, kept.masked_fill(outside, 0.0))


def uniforms(seed: int, level: Level, sample: int, start: int, stop: int) -> npt.NDArray[np.float64]:
    """The numbers (stop - start,) in [0, 1) of the positions `start`..`stop` of one sample at one level.

    They have 53 random bits each: compare them in float64, since in float32 the largest become 1. ValueError for a seed
    out of 0..2^63-1, a negative sample or position, or a stop before start.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"a seed is 0 to {LARGEST_SEED}, got {seed}")
    if sample < 0 or not 0 <= start <= stop:
        raise ValueError(f"no such positions: {start} to {stop} of sample {sample}")
    # uint64 said outright: numpy would pass large whole numbers in a list through float64
    key = np.array([seed, 0], dtype=np.uint64)
    counter = np.array([start, sample, int(level), 0], dtype=np.uint64)
    # a counter value gives four words; the first is taken, so that position and counter move on together
    words = np.random.Philox(key=key, counter=counter).random_raw(4 * (stop - start))[::4]
    return (words >> np.uint64(11)).astype(np.float64) * np.float64(2.0**-53)
