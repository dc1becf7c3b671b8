"""Where a prior looks in the lyrics while it makes codes: the weights of its attention to them.

B batch, H heads, T codes, L characters of the window, D numbers a head. The column of a character is the first state
that has read it, the one that foretells the next (paper, section 2.5 and figure 3): see `by_character`.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from jukectl.prior.attention import EncoderAttention
from jukectl.prior.config import AttentionKind, PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Conditioning, Prior
from jukectl.prior.transformer import Block

QUERIES = 1_024
"""Codes whose weights are computed at once, which bounds the memory."""


def hearing_layers(config: PriorConfig) -> list[int]:
    """The numbers of the layers that attend to lyrics; none where a prior is told none."""
    if config.lyrics is None:
        return []
    kinds = {AttentionKind.ENCODER} if not config.lead else {AttentionKind.LYRICS, AttentionKind.DENSE}
    return [layer for layer, kind in enumerate(config.kinds) if kind in kinds]


def attention_of(
    prior: Prior, codes: Tensor, told: LabelBatch | Conditioning, layer: int, head: int, upper: Tensor | None = None
) -> Tensor:
    """Weights (B, T, L) that a head of a layer gives to the characters for the codes (B, T) of a window, float32.

    `told` is what the window is told, as labels or as the conditioning made of them. The weights at t are of the code
    at t, whose place has read the codes before it. They sum to 1 or less: the layer may see codes too, or the state
    before the first character. ValueError for a layer that does not attend to lyrics, or a head that is not there.
    """
    if layer not in (hearing := hearing_layers(prior.config)):
        raise ValueError(f"layer {layer} does not attend to lyrics: those that do are {hearing or 'none'}")
    if not 0 <= head < prior.config.heads:
        raise ValueError(f"there are the heads 0 to {prior.config.heads - 1}, not {head}")
    for number, (query, key) in _queries(prior, codes, told, upper, layer + 1):
        if number == layer:
            return _weights(prior.config, number, query[:, head : head + 1], key[:, head : head + 1])[:, 0]
    raise AssertionError


def attentions_of(
    prior: Prior, codes: Tensor, told: LabelBatch | Conditioning, upper: Tensor | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Each layer that attends to lyrics, and the weights (B, H, T, L) of all its heads, see `attention_of`."""
    for layer, (query, key) in _queries(prior, codes, told, upper, prior.config.depth):
        yield layer, _weights(prior.config, layer, query, key)


def score_heads(
    prior: Prior,
    codes: Tensor,
    told: LabelBatch | Conditioning,
    score: Callable[[int, npt.NDArray[np.float32]], float],
    upper: Tensor | None = None,
) -> dict[tuple[int, int], float]:
    """What a function says of each head, by layer and head, in the mean over the rows of a batch.

    It is given the number of a row and the head's weights (T, L) there. `following.monotonicity` is one that needs no
    times of words; `following.mass_near` is for those who know which character is sung.
    """
    return {
        (layer, head): float(np.mean([score(row, weights[row, head].cpu().numpy()) for row in range(len(weights))]))
        for layer, weights in attentions_of(prior, codes, told, upper)
        for head in range(weights.shape[1])
    }


@torch.inference_mode()
def _queries(
    prior: Prior, codes: Tensor, told: LabelBatch | Conditioning, upper: Tensor | None, stop: int
) -> Iterator[tuple[int, tuple[Tensor, Tensor]]]:
    """Of each layer below `stop` that attends to lyrics the codes' queries (B, H, T, D) and the keys (B, H, n, D)."""
    config, lead = prior.config, prior.config.lead
    conditioning = told if isinstance(told, Conditioning) else prior.conditioning(told, upper)
    hearing = hearing_layers(config)
    x = prior.inputs(codes[:, :-1], conditioning, 0, lead + codes.shape[1])
    states = prior.transformer.states(conditioning.lyrics if not lead else None)
    for layer, (block, lyrics) in enumerate(zip(prior.transformer.blocks, states, strict=True)):
        if layer >= stop:
            return
        assert isinstance(block, Block)
        if layer in hearing:
            attention, normed = block.attention, block.attention_norm(x)
            if isinstance(attention, EncoderAttention):
                assert lyrics is not None
                query, key = attention.q(normed), attention.kv(block.heard(lyrics)).chunk(2, dim=-1)[0]
            else:
                query, key, _ = attention.qkv(normed).chunk(3, dim=-1)
            yield layer, (_heads(query[:, lead:], config.heads), _heads(key, config.heads))
        x = block(x, lyrics=lyrics)


def _weights(config: PriorConfig, layer: int, query: Tensor, key: Tensor) -> Tensor:
    """Queries (B, H, T, D) of codes, and keys (B, H, n, D) of what the layer may see, to weights (B, H, T, L)."""
    assert config.lyrics is not None
    characters = config.lyrics.characters
    if config.kinds[layer] is AttentionKind.LYRICS:
        key = key[:, :, : config.stack.lyric_keys]
    parts = []
    for first in range(0, query.shape[2], QUERIES):
        some = query[:, :, first : first + QUERIES].float()
        scores = some @ key.float().transpose(2, 3) / query.shape[3] ** 0.5  # (B, H, q, n)
        if config.lead:
            places = torch.arange(some.shape[2], device=key.device)[:, None] + config.lead + first
            scores = scores.masked_fill(torch.arange(key.shape[2], device=key.device) > places, -torch.inf)
        parts.append(by_character(scores.softmax(dim=-1), characters))
    return torch.cat(parts, dim=2)


def by_character(weights: Tensor, characters: int) -> Tensor:
    """Weights (..., n) of states that read lyrics first, to those of so many characters: (..., L).

    A character has that of the state after its own, the first to have read it. Where there is none, the last one has 0.
    """
    read = weights[..., 1 : characters + 1]
    return F.pad(read, (0, characters - read.shape[-1]))


def _heads(x: Tensor, heads: int) -> Tensor:
    """(B, n, A) to (B, H, n, D)."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)
