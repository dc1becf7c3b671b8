"""Where a prior looks in the lyrics while it makes codes: the weights of its attention to them.

B batch, H heads, T codes, L characters of the window, D numbers a head. The column of a character is the first state
that has read it, the one that foretells the next (paper, section 2.5 and figure 3): see `by_character`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from jukectl.prior.attention import EncoderAttention
from jukectl.prior.config import AttentionKind, PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import ConditioningTensors, Prior
from jukectl.prior.transformer import Block

QUERIES = 1_024
"""Codes whose weights are computed at once, which bounds the memory."""


def lyric_layers(config: PriorConfig) -> list[int]:
    """The numbers of the layers that attend to lyrics; none where a prior is told none."""
    if config.lyrics is None:
        return []
    kinds = {AttentionKind.ENCODER} if not config.lyric_tokens else {AttentionKind.LYRICS, AttentionKind.DENSE}
    return [layer for layer, kind in enumerate(config.kinds) if kind in kinds]


def attention_of(
    prior: Prior,
    codes: Tensor,
    told: LabelBatch | ConditioningTensors,
    layer: int,
    head: int,
    upper: Tensor | None = None,
) -> Tensor:
    """Weights (B, T, L) that a head of a layer gives to the characters for the codes (B, T) of a window, float32.

    `told` is what the window is told, as labels or as the conditioning made of them. The weights at t are of the code
    at t, whose place has read the codes before it. They sum to 1 or less: the layer may see codes too, or the state
    before the first character. ValueError for a layer that does not attend to lyrics, or a head that is not there.
    """
    if layer not in (hearing := lyric_layers(prior.config)):
        raise ValueError(f"layer {layer} does not attend to lyrics: those that do are {hearing or 'none'}")
    if not 0 <= head < prior.config.heads:
        raise ValueError(f"there are the heads 0 to {prior.config.heads - 1}, not {head}")
    for number, (query, key) in _queries(prior, codes, told, upper, layer + 1):
        if number == layer:
            return _weights(prior.config, number, query[:, head : head + 1], key[:, head : head + 1])[:, 0]
    raise AssertionError


def attentions_of(
    prior: Prior, codes: Tensor, told: LabelBatch | ConditioningTensors, upper: Tensor | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Each layer that attends to lyrics, and the weights (B, H, T, L) of all its heads, see `attention_of`."""
    for layer, (query, key) in _queries(prior, codes, told, upper, prior.config.depth):
        yield layer, _weights(prior.config, layer, query, key)


def score_heads(
    prior: Prior,
    codes: Tensor,
    told: LabelBatch | ConditioningTensors,
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
    prior: Prior, codes: Tensor, told: LabelBatch | ConditioningTensors, upper: Tensor | None, stop: int
) -> Iterator[tuple[int, tuple[Tensor, Tensor]]]:
    """Of each layer below `stop` that attends to lyrics the codes' queries (B, H, T, D) and the keys (B, H, n, D)."""
    config, lead = prior.config, prior.config.lyric_tokens
    conditioning = told if isinstance(told, ConditioningTensors) else prior.conditioning(told, upper)
    hearing = lyric_layers(config)
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
                query, key = attention.q(normed), attention.kv(block.lyric_states(lyrics)).chunk(2, dim=-1)[0]
            else:
                query, key, _ = attention.queries_keys_values(normed)
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
        if config.lyric_tokens:
            places = torch.arange(some.shape[2], device=key.device)[:, None] + config.lyric_tokens + first
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


Weights = npt.NDArray[np.floating]
Characters = npt.NDArray[np.int64]

DOUBT = 0.2
"""How much of each row is taken to tell nothing: it is spread over all characters."""

NEAR = 1.0
"""Characters that a weight counts for beside its own: the standard deviation of a bell."""

LEAP = 0.5
"""Nats that it costs to leap over a character."""

REACH = 3
"""Characters on either side of one that `mass_near` counts in."""


LOUD = 0.5
"""Of the weight that a word gets where it gets much, what tells that it is sung."""

TREMBLE = 0.1
"""Seconds over which that weight is a mean."""


@dataclass(frozen=True)
class WordTime:
    """When a word is sung, in seconds."""

    start: float
    end: float


def followed(weights: Weights) -> Characters:
    """The character that is sung at each of the rows (T,): of all ways through the lyrics that never go back, the best.

    The best has the largest product of weights, a little blurred, where leaps over characters cost a little.
    """
    rows, characters = weights.shape
    if not rows or not characters:
        return np.zeros(rows, dtype=np.int64)
    evidence = np.log((1 - DOUBT) * _blurred(weights) + DOUBT / characters)
    dues = LEAP * np.arange(characters)
    best = evidence[0] - np.maximum(dues - LEAP, 0)
    came_from = np.zeros((rows, characters), dtype=np.int32)
    everyone = np.arange(characters, dtype=np.int32)
    for row in range(1, rows):
        # a step to the next character is free, as staying is; one of more pays for what it leaps over
        source, value = everyone.copy(), best.copy()
        if characters > 1:
            stepped = best[:-1] > value[1:]
            value[1:][stepped] = best[:-1][stepped]
            source[1:][stepped] = everyone[:-1][stepped]
        if characters > 2:
            afar = best[:-2] + dues[:-2]
            highest = np.maximum.accumulate(afar)
            first = np.maximum.accumulate(np.where(afar == highest, everyone[:-2], 0))
            leapt = highest - dues[1:-1]
            taken = leapt > value[2:]
            value[2:][taken] = leapt[taken]
            source[2:][taken] = first[taken]
        came_from[row] = source
        best = value + evidence[row]
    path = np.empty(rows, dtype=np.int64)
    path[-1] = int(best.argmax())
    for row in range(rows - 1, 0, -1):
        path[row - 1] = came_from[row, path[row]]
    return path


def word_onsets(weights: Weights, words: Sequence[tuple[int, int]], seconds_a_row: float) -> list[WordTime]:
    """When words are sung, each given by its first and its last character, in rising order.

    A word has the rows that follow it, but for those at either end that hardly look at it: nothing is sung there. One
    that is leapt over is where that happens; one that is never reached begins and ends with the last row.
    """
    path = followed(weights)
    looking = _smoothed(_masses(weights, path, REACH), max(round(TREMBLE / seconds_a_row), 1))
    times = []
    for first, last in words:
        start, end = np.searchsorted(path, first, side="left"), np.searchsorted(path, last, side="right")
        if start < end:
            enough = LOUD * np.quantile(looking[start:end], 0.8)
            rows = start + np.flatnonzero(looking[start:end] >= enough)
            start, end = rows[0], rows[-1] + 1
        times.append(WordTime(float(start) * seconds_a_row, float(end) * seconds_a_row))
    return times


def even_spread(words: Sequence[tuple[int, int]], characters: int, seconds: float) -> list[WordTime]:
    """When words would be sung if all characters took equally long."""
    each = seconds / characters
    return [WordTime(first * each, (last + 1) * each) for first, last in words]


def onset_error(found: Sequence[WordTime], onsets: Sequence[float]) -> float:
    """How far the words' beginnings are from the true `onsets`, in seconds, in the mean."""
    return float(np.mean([abs(word.start - onset) for word, onset in zip(found, onsets, strict=True)]))


def mass_near(weights: Weights, characters: Characters, reach: int = REACH) -> float:
    """The share of the rows' weights that lies near the given characters (T,), `reach` on either side.

    Rows whose character is below 0, where none is sung, do not count; 0 where no row does.
    """
    sung = characters >= 0
    if not sung.any():
        return 0.0
    return float(np.mean(_masses(weights[sung], characters[sung], reach)))


def monotonicity(weights: Weights) -> float:
    """How much a head follows the lyrics, from 0 to 1, where nobody knows when they are sung.

    The weight that lies near the best way through the lyrics, less what lies near it at other times: a head that always
    looks at the same place follows nothing.
    """
    if not weights.size:
        return 0.0
    path = followed(weights)
    others = [mass_near(weights, np.roll(path, len(path) * shift // 4)) for shift in (1, 2, 3)]
    return max(mass_near(weights, path) - float(np.mean(others)), 0.0)


def _masses(weights: Weights, characters: Characters, reach: int) -> npt.NDArray[np.float64]:
    """The weight (T,) near the characters (T,), row by row."""
    sums = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights, axis=1, dtype=np.float64)], axis=1)
    rows = np.arange(len(weights))
    masses: npt.NDArray[np.float64] = (
        sums[rows, np.minimum(characters + reach + 1, weights.shape[1])] - sums[rows, np.maximum(characters - reach, 0)]
    )
    return masses


def _smoothed(values: npt.NDArray[np.float64], rows: int) -> npt.NDArray[np.float64]:
    """Means (T,) over some rows around each, or over those that there are."""
    wide, around = np.ones(rows), slice(rows // 2, rows // 2 + len(values))
    return np.convolve(values, wide)[around] / np.convolve(np.ones(len(values)), wide)[around]


def _blurred(weights: Weights) -> npt.NDArray[np.float32]:
    """Weights (T, L) spread over neighbouring characters."""
    reach = int(3 * NEAR)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1, dtype=np.float32) / NEAR) ** 2)
    bell /= bell.sum()
    wide = np.pad(weights.astype(np.float32), ((0, 0), (reach, reach)))
    blurred = np.zeros(weights.shape, dtype=np.float32)
    for at, share in enumerate(bell):
        blurred += share * wide[:, at : at + weights.shape[1]]
    return blurred
