"""Drawing a code from logits with a given uniform number: temperature, top-k, nucleus, inverse CDF."""

import torch
from torch import Tensor


def draw(logits: Tensor, uniform: Tensor, *, temperature: float, top_k: int, top_p: float) -> Tensor:
    """Codes (B,) for logits (B, K) and uniform numbers (B,) in [0, 1), float64.

    The code is the first whose cumulative probability exceeds the number. `temperature` 0 and `top_k` 1 take the likeliest code; `top_k` 0
    and `top_p` 1 leave all codes in. `top_p` keeps the fewest likeliest codes that hold that much probability (Holtzman et al. 2020).
    """
    if temperature == 0 or top_k == 1:
        return logits.argmax(dim=-1)
    scaled = logits.double() / temperature
    if 0 < top_k < logits.shape[-1]:
        weakest = scaled.topk(top_k, dim=-1).values[:, -1:]
        scaled = scaled.masked_fill(scaled < weakest, -torch.inf)
    probabilities = scaled.softmax(dim=-1)
    if top_p < 1:
        probabilities = _nucleus(probabilities, top_p)
    cumulative = probabilities.cumsum(dim=-1)
    # scaled by the last sum, so that rounding cannot put the number past every code
    threshold = (uniform * cumulative[:, -1]).unsqueeze(-1)
    return torch.searchsorted(cumulative, threshold, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Probabilities (B, K) with all but the nucleus set to zero; the likeliest code always stays."""
    ranked, order = probabilities.sort(dim=-1, descending=True)
    outside = ranked.cumsum(dim=-1) - ranked >= top_p
    return torch.zeros_like(probabilities).scatter(-1, order, ranked.masked_fill(outside, 0.0))
