"""Lower bound of the time of a decoding step: the bytes that it must read. No tensors.

At small batches every machine multiplies faster than it reads, so a step cannot take less time than reading the weights
once and the visible keys and values of each sample: those bytes divided by the memory bandwidth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from jukectl.prior.attention import CacheLayout
from jukectl.prior.config import AttentionKind, PriorConfig, StackConfig


@dataclass(frozen=True)
class NumberBytes:
    """Bytes of one number in a precision, by its role."""

    matrix: int
    vector: int  # biases, norms
    cache: int  # keys and values
    scale: int = 0  # of quantized matrices, one for each output


PRECISIONS: Mapping[str, NumberBytes] = {
    "fp32": NumberBytes(4, 4, 4),
    "bf16": NumberBytes(2, 2, 2),
    "fp16": NumberBytes(2, 2, 2),
    "int8": NumberBytes(1, 4, 2, scale=4),  # weights alone are 8-bit; the compiled step keeps its vectors in float32
}
"""Bytes that the bound assumes. A decoder that stores wider numbers is measured against these all the same."""


@dataclass(frozen=True)
class StepBytes:
    """Bytes that a step reads to decode one code of each sample."""

    weights: int  # independent of the number of samples
    cache: float  # keys and values of all samples, a mean over positions

    @property
    def total(self) -> float:
        """Bytes of weights and cache."""
        return self.weights + self.cache


def step_bytes(config: PriorConfig, precision: str, places: range | None = None, samples: int = 1) -> StepBytes:
    """Return the bytes of a step, averaged over the codes `places` of a context (default all).

    Weights are those of all blocks and of the head's rows for codes. Two small terms are left out, which keeps the
    result a lower bound: one row of each embedding, and all that a step writes.
    """
    number, stack = PRECISIONS[precision], config.stack
    matrices = [shape for kind in stack.kinds for shape in _matrices(stack, kind)]
    outputs = sum(columns for _, columns in matrices)
    weights = number.matrix * sum(rows * columns for rows, columns in matrices)
    # each block has two norms of a weight and a bias (4 * width), and every matrix has a bias for each output
    weights += number.vector * (4 * stack.width * stack.depth + outputs)
    weights += number.matrix * stack.width * config.sampled_ids
    weights += number.scale * (config.sampled_ids + outputs)
    keys = sum(keys_seen(stack, kind, _positions(config, places)) for kind in stack.kinds)
    # 2: a key and a value for each visible position, both of the attention's inner width
    return StepBytes(weights, samples * number.cache * 2 * stack.attention_width * keys)


@lru_cache(maxsize=64)  # a stack has few kinds of blocks, and thousands of positions
def keys_seen(stack: StackConfig, kind: AttentionKind, places: range) -> float:
    """Return the keys that a position attends to, its own included, averaged over `places` in the sequence."""
    layout = CacheLayout.of(stack, kind)
    spans = [layout.visible(place) for place in places]
    return sum(stop - start for start, stop in spans) / len(spans)


def _matrices(stack: StackConfig, kind: AttentionKind) -> list[tuple[int, int]]:
    """Return the (inputs, outputs) of the matrices that a step multiplies by in a block of one kind."""
    # attention to the encoder needs the query alone: its keys and values are computed once a window, not in a step
    first = stack.attention_width if kind is AttentionKind.ENCODER else 3 * stack.attention_width
    return [
        (stack.width, first),
        (stack.attention_width, stack.width),
        (stack.width, stack.mlp_width),
        (stack.mlp_width, stack.width),
    ]


def _positions(config: PriorConfig, codes: range | None) -> range:
    """Return the positions of codes in the sequence, which starts with the lyrics in a one-stack model."""
    codes = range(config.context) if codes is None else codes
    return range(config.lyric_tokens + codes.start, config.lyric_tokens + codes.stop)
