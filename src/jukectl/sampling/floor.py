"""What a step must read: the bytes of weights and of keys and values. No tensors.

Over the rate at which the machine reads memory they are the least time that a code can take: a machine that multiplies
faster than it reads, as they all do at small batches, has nothing else to wait for.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from jukectl.prior.attention import CacheLayout
from jukectl.prior.config import AttentionKind, PriorConfig, StackConfig


@dataclass(frozen=True)
class NumberBytes:
    """Bytes that a number takes in a precision."""

    matrix: int
    vector: int  # biases, norms
    cache: int  # keys and values
    scale: int = 0  # one an output of every matrix


PRECISIONS: Mapping[str, NumberBytes] = {
    "fp32": NumberBytes(4, 4, 4),
    "bf16": NumberBytes(2, 2, 2),
    "fp16": NumberBytes(2, 2, 2),
    "int8": NumberBytes(1, 4, 2, scale=4),  # of weights alone
}
"""What the floor counts with. A way to decode that keeps wider numbers than these is measured against them."""


@dataclass(frozen=True)
class StepBytes:
    """What a step reads, for one code of each sample."""

    weights: int  # whatever the number of samples
    cache: float  # keys and values of all samples, a mean over positions

    @property
    def total(self) -> float:
        """All of it."""
        return self.weights + self.cache


def step_bytes(config: PriorConfig, precision: str, places: range | None = None, samples: int = 1) -> StepBytes:
    """What a step reads in the mean over the codes number `places` of a context, or over all of them.

    Weights are those of all blocks and the rows of the head that codes are drawn from. The rest is not counted: a
    row of each embedding, and what a step writes.
    """
    number, stack = PRECISIONS[precision], config.stack
    matrices = [shape for kind in stack.kinds for shape in _matrices(stack, kind)]
    weights = number.matrix * sum(inputs * outputs for inputs, outputs in matrices)
    weights += number.vector * (
        4 * stack.width * stack.depth + sum(outputs for _, outputs in matrices)
    )  # norms, biases
    weights += number.matrix * stack.width * config.drawn_ids
    weights += number.scale * (config.drawn_ids + sum(outputs for _, outputs in matrices))
    keys = sum(keys_seen(stack, kind, _places(config, places)) for kind in stack.kinds)
    return StepBytes(weights, samples * number.cache * 2 * stack.attention_width * keys)


def keys_seen(stack: StackConfig, kind: AttentionKind, places: range) -> float:
    """Keys that a position sees, its own included, in the mean over positions `places` of the sequence."""
    layout = CacheLayout.of(stack, kind)
    spans = [layout.visible(place) for place in places]
    return sum(stop - start for start, stop in spans) / len(spans)


def _matrices(stack: StackConfig, kind: AttentionKind) -> list[tuple[int, int]]:
    """Inputs and outputs of the matrices that a block multiplies by. The encoder's keys are there already."""
    first = stack.attention_width if kind is AttentionKind.ENCODER else 3 * stack.attention_width
    return [
        (stack.width, first),
        (stack.attention_width, stack.width),
        (stack.width, stack.mlp_width),
        (stack.mlp_width, stack.width),
    ]


def _places(config: PriorConfig, codes: range | None) -> range:
    """The positions in the sequence of codes, which lyrics may come before."""
    codes = range(config.context) if codes is None else codes
    return range(config.lead + codes.start, config.lead + codes.stop)
