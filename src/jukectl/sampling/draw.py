"""Sampling of one code from logits with a given uniform number: temperature, top-k, nucleus, inverse CDF."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from jukectl.codes.level import Level
from jukectl.codes.recipe import LARGEST_SEED, LevelSampling

NOT_FINITE = -1
"""In place of a code whose logits are not finite. On a GPU an exception would have to wait for every step."""


def draw_by(settings: LevelSampling, logits: Tensor, uniform: Tensor, vectors: Tensor | None) -> Tensor:
    """Return codes (B,) by the settings of a level, which may ask for expected codes by its quantizer's `vectors`."""
    return draw(
        logits,
        uniform,
        temperature=settings.temperature,
        top_k=settings.top_k,
        top_p=settings.top_p,
        vectors=vectors if settings.expected else None,
    )


def draw(
    logits: Tensor, uniform: Tensor, *, temperature: float, top_k: int, top_p: float, vectors: Tensor | None = None
) -> Tensor:
    """Return codes (B,) for logits (B, K) and uniform numbers (B,) in [0, 1), float64.

    The code is the first whose cumulative probability exceeds the number. `temperature` 0 and `top_k` 1 return the most
    likely code; `top_k` 0 and `top_p` 1 keep all codes. `top_p` keeps the fewest most likely codes that hold that much
    probability (Holtzman et al. 2020), among those that `top_k` keeps. Of equally likely codes the first ranks higher.
    With the `vectors` (S, K / S, D) of the S stages of a quantizer nothing is drawn: see `expected`.
    The code is NOT_FINITE where a logit is not a number or is infinite; -inf is allowed beside finite ones.
    """
    highest = logits.amax(dim=-1, keepdim=True)  # carries every NaN and infinity
    if vectors is None or temperature == 0:
        code = _drawn(logits, highest, uniform, temperature, top_k, top_p)
    else:
        code = expected(logits, vectors, temperature)
    return torch.where(highest.squeeze(-1).isfinite(), code, NOT_FINITE)


def _drawn(logits: Tensor, highest: Tensor, uniform: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """Return codes (B,) of finite logits (B, K), of which `highest` (B, 1) are the largest."""
    if temperature == 0 or top_k == 1:
        return logits.argmax(dim=-1)
    # Subtract the maximum before dividing: a tiny temperature then cannot overflow. In float64, as the uniform numbers
    # are: the cumulative sum of thousands of small probabilities would lose the least likely codes in float32.
    scaled = (logits.double() - highest) / temperature
    whole = top_p >= 1 and not 0 < top_k < logits.shape[-1]
    probabilities = scaled.softmax(dim=-1) if whole else _likeliest(scaled, top_k or logits.shape[-1], top_p)
    # Inverse CDF instead of `torch.multinomial`: a code takes exactly one number, known in advance by its position, so
    # batch, device and interruptions do not change which number a code is sampled with.
    cumulative = probabilities.cumsum(dim=-1)
    # scaled by the last sum, which rounding may leave below 1: otherwise the number could lie past every code
    threshold = (uniform * cumulative[:, -1]).unsqueeze(-1)
    return torch.searchsorted(cumulative, threshold, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)


def expected(logits: Tensor, vectors: Tensor, temperature: float) -> Tensor:
    """Return the codes (B,) whose vectors are nearest to the expected ones, for logits (B, K).

    `vectors` (S, K / S, D) are those of the S stages of a residual quantizer; the stage is that of the likeliest code.
    Later stages encode what is mostly noise to a small prior, whose every code is unlikely: a draw adds its own noise,
    and the likeliest codes drift to those that are frequent. The expected vector does neither.
    """
    size = vectors.shape[1]
    stage = logits.argmax(dim=-1) // size
    rows = torch.arange(len(logits), device=logits.device)
    own, choices = logits.double().view(len(logits), -1, size)[rows, stage], vectors.double()[stage]  # (B, n, D)
    means = ((own - own.amax(dim=-1, keepdim=True)) / temperature).softmax(dim=-1).unsqueeze(1) @ choices  # (B, 1, D)
    return stage * size + (choices - means).square().sum(dim=-1).argmin(dim=-1)


def guided(logits: Tensor, strength: float) -> Tensor:
    """Apply classifier-free guidance: logits (2B, K), conditional then unconditional, to logits (B, K) float32.

    The result is unconditional + strength * (conditional - unconditional) (Ho and Salimans 2022; strength = 1 + w).
    With a strength of 1 the logits are returned as they are: the batch then has no unconditional rows.
    """
    if strength == 1:
        return logits
    conditional, unconditional = logits.float().chunk(2)
    return unconditional + strength * (conditional - unconditional)


def _likeliest(logits: Tensor, top_k: int, top_p: float) -> Tensor:
    """Return probabilities (B, K) that are zero outside the `top_k` most likely codes and the nucleus of these."""
    # stable: otherwise the order of equal logits, and so the code, could depend on the batch
    ranked, order = logits.sort(dim=-1, descending=True, stable=True)
    ranked[:, top_k:] = -torch.inf
    kept = ranked.softmax(dim=-1)
    # drop codes whose more likely ones hold `top_p` already; before the most likely code there is 0, so it always stays
    outside = kept.cumsum(dim=-1) - kept >= top_p
    # back from rank order to code order, since the inverse CDF runs over codes
    return torch.zeros_like(kept).scatter(-1, order, kept.masked_fill(outside, 0.0))


def uniforms(seed: int, level: Level, sample: int, start: int, stop: int) -> npt.NDArray[np.float64]:
    """Return the uniform numbers (stop - start,) in [0, 1) of positions `start`..`stop` of a random stream.

    They depend on seed, level, sample and position alone (Philox4x64-10, Salmon et al. 2011), so windows, batches and
    resumed runs all find the same numbers. They have 53 random bits: compare them in float64, since in float32 the
    largest become 1. Raise ValueError for a seed outside 0..2^63-1, a negative sample or position, or a stop before
    start.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"a seed is 0 to {LARGEST_SEED}, got {seed}")
    if sample < 0 or not 0 <= start <= stop:
        raise ValueError(f"no such positions: {start} to {stop} of sample {sample}")
    # an explicit uint64: numpy would convert a list of large Python integers through float64
    key = np.array([seed, 0], dtype=np.uint64)
    counter = np.array([start, sample, int(level), 0], dtype=np.uint64)
    # each counter value gives four words; only the first is used, so that counter and position advance together
    words = np.random.Philox(key=key, counter=counter).random_raw(4 * (stop - start))[::4]
    # the upper 53 bits over 2^53: every float64 of that spacing in [0, 1), and never 1
    return (words >> np.uint64(11)).astype(np.float64) * np.float64(2.0**-53)
