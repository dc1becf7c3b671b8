"""Attention of a prior to the lyrics, and the times of words that follow from it (Jukebox, section 4.2 and figure 3).

B batch, H heads, T codes, L characters of the window, D width of a head, n keys. The column of a character is the first
state that has read it, the one that predicts the next character: see `by_character`.
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
"""Codes whose weights are computed at once: all 8,192 of a window by 512 characters would be 16 MB a head and row."""


def lyric_layers(config: PriorConfig) -> list[int]:
    """Return the indices of the layers that attend to lyrics; none for a prior without lyrics."""
    if config.lyrics is None:
        return []
    # in one sequence a DENSE layer attends to the lyric tokens too, and to the codes after them
    kinds = {AttentionKind.ENCODER} if not config.lyric_tokens else {AttentionKind.LYRICS, AttentionKind.DENSE}
    return [layer for layer, kind in enumerate(config.kinds) if kind in kinds]


def attention_of(
    prior: Prior,
    codes: Tensor,
    labels: LabelBatch | ConditioningTensors,
    layer: int,
    head: int,
    upper: Tensor | None = None,
) -> Tensor:
    """Return the attention weights (B, T, L) of one head to characters, for the codes (B, T) of a window, float32.

    `labels` may be the tensors computed from them. The weights at t are those of the position that predicts code t.
    They sum to 1 or less: the layer may attend to codes too, or to the state before the first character. Raises
    ValueError for a layer that does not attend to lyrics, or a head that does not exist.
    """
    if layer not in (layers := lyric_layers(prior.config)):
        raise ValueError(f"layer {layer} does not attend to lyrics: those that do are {layers or 'none'}")
    if not 0 <= head < prior.config.heads:
        raise ValueError(f"there are the heads 0 to {prior.config.heads - 1}, not {head}")
    for number, (query, key) in _queries(prior, codes, labels, upper, layer + 1):
        if number == layer:  # only now are products of queries and keys computed, and only those of this head
            return _weights(prior.config, number, query[:, head : head + 1], key[:, head : head + 1])[:, 0]
    raise AssertionError


def attentions_of(
    prior: Prior, codes: Tensor, labels: LabelBatch | ConditioningTensors, upper: Tensor | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Yield each layer that attends to lyrics, with the weights (B, H, T, L) of all its heads, see `attention_of`."""
    for layer, (query, key) in _queries(prior, codes, labels, upper, prior.config.depth):
        yield layer, _weights(prior.config, layer, query, key)


def score_heads(
    prior: Prior,
    codes: Tensor,
    labels: LabelBatch | ConditioningTensors,
    score: Callable[[int, npt.NDArray[np.float32]], float],
    upper: Tensor | None = None,
) -> dict[tuple[int, int], float]:
    """Return the score of each head, by layer and head: the mean of a function over the rows of a batch.

    The function takes the index of a row and the head's weights (T, L) there. `monotonicity` is one that needs no times
    of words; `mass_near` needs the character that is sung at each code.
    """
    return {
        (layer, head): float(np.mean([score(row, weights[row, head].cpu().numpy()) for row in range(len(weights))]))
        for layer, weights in attentions_of(prior, codes, labels, upper)
        for head in range(weights.shape[1])
    }


@torch.inference_mode()
def _queries(
    prior: Prior, codes: Tensor, labels: LabelBatch | ConditioningTensors, upper: Tensor | None, stop: int
) -> Iterator[tuple[int, tuple[Tensor, Tensor]]]:
    """Yield, of each layer below `stop` that attends to lyrics, queries of codes (B, H, T, D) and keys (B, H, n, D).

    The fused attention kernels return no weights, so the forward pass is repeated here layer by layer.
    """
    config, lyric_tokens = prior.config, prior.config.lyric_tokens
    conditioning = labels if isinstance(labels, ConditioningTensors) else prior.conditioning(labels, upper)
    layers = lyric_layers(config)
    # inputs are shifted by one: the position of a code has read the codes before it
    x = prior.inputs(codes[:, :-1], conditioning, 0, lyric_tokens + codes.shape[1])
    states = prior.transformer.states(conditioning.lyrics if not lyric_tokens else None)
    for layer, (block, lyrics) in enumerate(zip(prior.transformer.blocks, states, strict=True)):
        if layer >= stop:
            return
        assert isinstance(block, Block)
        if layer in layers:
            attention, normed = block.attention, block.attention_norm(x)
            if isinstance(attention, EncoderAttention):
                assert lyrics is not None
                query, key = attention.q(normed), attention.kv(block.lyric_states(lyrics)).chunk(2, dim=-1)[0]
            else:
                query, key, _ = attention.queries_keys_values(normed)
            # of the lyric tokens in the codes' own sequence only the keys are needed, not the queries
            yield layer, (_heads(query[:, lyric_tokens:], config.heads), _heads(key, config.heads))
        x = block(x, lyrics=lyrics)


def _weights(config: PriorConfig, layer: int, query: Tensor, key: Tensor) -> Tensor:
    """Return the weights (B, H, T, L) of queries (B, H, T, D) for keys (B, H, n, D), the characters' first."""
    assert config.lyrics is not None
    characters = config.lyrics.characters
    if config.kinds[layer] is AttentionKind.LYRICS:
        key = key[:, :, : config.stack.lyric_keys]
    parts = []
    for first in range(0, query.shape[2], QUERIES):
        some = query[:, :, first : first + QUERIES].float()
        scores = some @ key.float().transpose(2, 3) / query.shape[3] ** 0.5  # (B, H, q, n)
        if config.lyric_tokens:  # keys may be codes too: a code attends to those up to its own position
            places = torch.arange(some.shape[2], device=key.device)[:, None] + config.lyric_tokens + first
            scores = scores.masked_fill(torch.arange(key.shape[2], device=key.device) > places, -torch.inf)
        # the softmax is over all keys, so what goes to codes is missing from the characters
        parts.append(by_character(scores.softmax(dim=-1), characters))
    return torch.cat(parts, dim=2)


def by_character(weights: Tensor, characters: int) -> Tensor:
    """Return the weights of characters (..., L), from those of states (..., n) of which the lyrics' come first.

    A character gets the weight of the state after its own, the first that has read it. If there is none after the last
    character, that one gets 0.
    """
    read = weights[..., 1 : characters + 1]  # state 0 has read no character, only the start vector
    return F.pad(read, (0, characters - read.shape[-1]))


def _heads(x: Tensor, heads: int) -> Tensor:
    """Split (B, n, A) into heads (B, H, n, D)."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


Weights = npt.NDArray[np.floating]
Characters = npt.NDArray[np.int64]

UNIFORM_SHARE = 0.2
"""Share of a uniform distribution mixed into each row, so that one stray row cannot rule out a path."""

BLUR = 1.0
"""Standard deviation, in characters, of the Gaussian that rows are blurred by: neighbours are nearly as likely."""

SKIP_COST = 0.5
"""Cost of skipping a character, in nats."""

REACH = 3
"""Characters on either side whose weights `mass_near` adds."""

ACTIVE_SHARE = 0.5
"""Rows of a word count as sung from this share of its weight in its strongest rows."""

SMOOTHING = 0.1
"""Seconds over which that weight is averaged."""


@dataclass(frozen=True)
class WordTime:
    """Start and end of a word that is sung, in seconds."""

    start: float
    end: float


def monotonic_path(weights: Weights) -> Characters:
    """Return the most likely character of each row (T,), of all paths that never go back, for weights (T, L).

    The likelihood of a path is the product of its blurred weights and of a penalty for each skipped character; dynamic
    programming finds its maximum (Viterbi) in O(T L).
    """
    rows, characters = weights.shape
    if not rows or not characters:
        return np.zeros(rows, dtype=np.int64)
    evidence = np.log((1 - UNIFORM_SHARE) * _blurred(weights) + UNIFORM_SHARE / characters)
    costs = SKIP_COST * np.arange(characters)  # of skipping the characters before each one
    best = evidence[0] - np.maximum(costs - SKIP_COST, 0)  # (L,) log-likelihood of the best path that ends at each
    came_from = np.zeros((rows, characters), dtype=np.int32)
    own = np.arange(characters, dtype=np.int32)
    for row in range(1, rows):
        # staying and stepping to the next character are free; larger steps pay for the characters between
        source, value = own.copy(), best.copy()
        if characters > 1:
            stepped = best[:-1] > value[1:]
            value[1:][stepped] = best[:-1][stepped]
            source[1:][stepped] = own[:-1][stepped]
        if characters > 2:
            # costs[k - 1] - costs[j] is the cost of a step from j to k, so the best j of every k is a running maximum
            reduced = best[:-2] + costs[:-2]
            highest = np.maximum.accumulate(reduced)
            first = np.maximum.accumulate(np.where(reduced == highest, own[:-2], 0))
            skipped = highest - costs[1:-1]
            taken = skipped > value[2:]
            value[2:][taken] = skipped[taken]
            source[2:][taken] = first[taken]
        came_from[row] = source
        best = value + evidence[row]
    path = np.empty(rows, dtype=np.int64)
    path[-1] = int(best.argmax())
    for row in range(rows - 1, 0, -1):
        path[row - 1] = came_from[row, path[row]]
    return path


def word_onsets(weights: Weights, words: Sequence[tuple[int, int]], seconds_a_row: float) -> list[WordTime]:
    """Return the times of words, each given by its first and last character, in ascending order.

    A word gets the rows whose path is in it, without those at either end that hardly attend to it: there is a pause. A
    skipped word has length 0 where the path skips it; one that the path never reaches is at the end of the last row.
    """
    path = monotonic_path(weights)
    attention = _smoothed(_masses(weights, path, REACH), max(round(SMOOTHING / seconds_a_row), 1))
    times = []
    for first, last in words:
        # the path never goes back, so the rows of a word are one range
        start, end = np.searchsorted(path, first, side="left"), np.searchsorted(path, last, side="right")
        if start < end:
            # relative to the word's own strong rows: how much a head attends to lyrics at all differs between models
            enough = ACTIVE_SHARE * np.quantile(attention[start:end], 0.8)
            rows = start + np.flatnonzero(attention[start:end] >= enough)
            start, end = rows[0], rows[-1] + 1
        times.append(WordTime(float(start) * seconds_a_row, float(end) * seconds_a_row))
    return times


def mass_near(weights: Weights, characters: Characters, reach: int = REACH) -> float:
    """Return the mean weight of rows near the given characters (T,), within `reach` on either side.

    Rows whose character is negative, where none is sung, are ignored; 0 if all are.
    """
    sung = characters >= 0
    if not sung.any():
        return 0.0
    return float(np.mean(_masses(weights[sung], characters[sung], reach)))


def monotonicity(weights: Weights) -> float:
    """Return how much a head follows the lyrics, 0 to 1, without knowing when they are sung.

    That is the weight near the best monotonic path, minus the weight near the same path shifted in time.
    """
    if not weights.size:
        return 0.0
    path = monotonic_path(weights)
    # without the difference, a head that always attends to the same characters would have the highest score
    others = [mass_near(weights, np.roll(path, len(path) * shift // 4)) for shift in (1, 2, 3)]
    return max(mass_near(weights, path) - float(np.mean(others)), 0.0)


def _masses(weights: Weights, characters: Characters, reach: int) -> npt.NDArray[np.float64]:
    """Return the weight (T,) of each row near its character."""
    # differences of cumulative sums: one pass, whatever the reach
    sums = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights, axis=1, dtype=np.float64)], axis=1)
    rows = np.arange(len(weights))
    masses: npt.NDArray[np.float64] = (
        sums[rows, np.minimum(characters + reach + 1, weights.shape[1])] - sums[rows, np.maximum(characters - reach, 0)]
    )
    return masses


def _smoothed(values: npt.NDArray[np.float64], rows: int) -> npt.NDArray[np.float64]:
    """Return moving averages (T,) over that many rows around each; at the ends over fewer."""
    wide, around = np.ones(rows), slice(rows // 2, rows // 2 + len(values))
    # the second convolution counts the rows in reach of each
    return np.convolve(values, wide)[around] / np.convolve(np.ones(len(values)), wide)[around]


def _blurred(weights: Weights) -> npt.NDArray[np.float32]:
    """Return weights (T, L) convolved with a Gaussian along the characters."""
    reach = int(3 * BLUR)
    gaussian = np.exp(-0.5 * (np.arange(-reach, reach + 1, dtype=np.float32) / BLUR) ** 2)
    gaussian /= gaussian.sum()
    wide = np.pad(weights.astype(np.float32), ((0, 0), (reach, reach)))
    blurred = np.zeros(weights.shape, dtype=np.float32)
    for at, share in enumerate(gaussian):
        blurred += share * wide[:, at : at + weights.shape[1]]
    return blurred
