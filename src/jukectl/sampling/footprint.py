"""How much of a level is sampled at a time: what that takes of the memory, and the most that fits. Numbers alone.

A window is made for some samples at once, and the codes it knows are read some positions at once. Both can be made less
where memory is short; the third way out is another precision.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch

from jukectl.midi.roll import CHANNELS
from jukectl.native.library import library
from jukectl.prior.attention import CacheLayout
from jukectl.prior.config import AttentionKind, PriorConfig, StackConfig
from jukectl.prior.model import Prior

NUMBER_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 4}
"""Bytes that a number takes in each precision; weights of a byte are packed from float32 ones."""

PACKED_BYTES = {"fp32": 4, "bf16": 2, "int8": 1}
"""Bytes of a weight in the order of the compiled step, beside the one that torch has."""

LARGEST_PACKED = 2**30
"""Bytes up to which weights are packed: above, two forms of them would take too much."""

LIBRARIES = 32 * 2**20  # bytes that the mathematics take when first used
SMALL = 256 * 2**20  # bytes of short-lived tensors that may stay with the process when they are gone
DRAWING = 80  # bytes an id that drawing from the logits takes: float64, sorted, and back


@dataclass(frozen=True)
class BatchPlan:
    """How much of a window is made at a time."""

    samples: int
    chunk: int | None = None  # positions of what is known that are read at once; None: all of them

    def halved(self, config: PriorConfig) -> "BatchPlan | None":
        """The next smaller one: half of the samples, and of one sample half the chunk; None where there is none."""
        if self.samples > 1:
            return BatchPlan(self.samples // 2, self.chunk)
        smaller = [chunk for chunk in chunk_sizes(config) if chunk and (self.chunk is None or chunk < self.chunk)]
        return BatchPlan(1, smaller[0]) if smaller else None

    def groups(self, samples: int) -> Iterator[range]:
        """`samples` in groups of at most this many."""
        for first in range(0, samples, self.samples):
            yield range(first, min(first + self.samples, samples))


@dataclass(frozen=True)
class MemoryPlan:
    """What a level is sampled with, settled before anything is."""

    batch: BatchPlan
    precision: str
    bytes: int  # that it takes, the weights included


@dataclass(frozen=True)
class Footprint:
    """What sampling with a prior takes of a device's memory, in bytes."""

    config: PriorConfig
    precision: str
    row_by_row: bool = False  # as on a CPU: conditioning and known codes are computed for one sample after another
    retains_freed: bool = False  # small pieces of memory stay with the process for a while after they were freed
    rows_per_sample: int = 1  # rows that a sample takes, see `LevelSampling.rows`

    @property
    def weights(self) -> int:
        """Those of the prior."""
        return parameters(self.config) * self._number

    @property
    def packed(self) -> int:
        """The weights once more, where the compiled step is to have them, and what it keeps in float32."""
        if not self._compiled:
            return 0
        tables = self.config.width * (self.config.ids + self.config.stack.length) * 4 * (self._number < 4)
        return packed_bytes(self.config, self.precision) + tables

    @property
    def cache(self) -> int:
        """The keys and values of one sample."""
        return (4 if self._compiled else self._number) * _cached(self.config.stack)

    @property
    def conditioning(self) -> int:
        """What is kept of one sample's conditioning while its window is made."""
        config = self.config
        positions = config.context if config.timing or config.conditioner or config.midi else 0
        lyrics = config.lyrics.characters if config.lyrics else 0
        if config.lyrics and config.lyrics.apart:  # once for each layer that hears them
            lyrics *= config.kinds.count(AttentionKind.ENCODER)
        again = 4 * config.width * positions if self._compiled and self._number < 4 else 0
        return self._number * config.width * (1 + positions + lyrics) + again

    def total(self, batch: BatchPlan) -> int:
        """All of it at the most, at any time while a window is made."""
        samples = batch.samples * self.rows_per_sample
        rows = 1 if self.row_by_row else samples
        kept = samples * (self.cache + self.conditioning)
        joining = samples * self.conditioning if self.row_by_row and samples > 1 else 0
        rolls = samples * config.context * CHANNELS if (config := self.config).midi else 0  # a byte a channel
        telling, reading = rows * self._conditioner + joining + rolls, rows * self._reading(batch.chunk)
        working = max(telling, reading, samples * (self.config.ids * DRAWING + self._step))
        held_back = min(telling, SMALL) + min(reading, SMALL) * 3 // 2 if self.retains_freed else working // 4
        return LIBRARIES + self.weights + self.packed + kept + working + held_back

    @property
    def _compiled(self) -> bool:
        """Whether the compiled step is going to decode."""
        packable = self.precision in PACKED_BYTES and packed_bytes(self.config, self.precision) <= LARGEST_PACKED
        return self.row_by_row and packable and library() is not None

    @property
    def _number(self) -> int:
        return NUMBER_BYTES[self.precision]

    @property
    def _conditioner(self) -> int:
        """Short-lived tensors of one sample's conditioning."""
        config, number = self.config, self._number
        place = 0
        if config.timing:
            place = 2 * config.context * config.width * number  # beside the result
        if midi := config.midi:  # the roll as numbers, in the network's order too; its channels; and the result twice
            notes = 2 * CHANNELS * number + 6 * midi.width * number + 2 * config.width * number
            place += config.context * notes
        if upper := config.conditioner:
            last = 3 * config.context * config.width * 4  # some kernels compute in float32 at any precision
            place = max(last, 5 * upper.width * config.context // upper.stride * 4)
        if config.lyrics and config.lyrics.encoder:
            stack, characters = config.lyrics.encoder.stack(config.lyrics.characters), config.lyrics.characters
            states = 3 * characters * config.width * number
            return max(place, states + _activations(stack, characters, number))
        if config.lyrics and config.lyrics.apart:
            characters, hearing = config.lyrics.characters, config.kinds.count(AttentionKind.ENCODER)
            states = 2 * hearing * characters * config.width * number  # those of each layer, and all together
            return max(place, states + _activations(replace(config.stack, length=characters), characters, number))
        return place

    def _reading(self, chunk: int | None) -> int:
        """Short-lived tensors of one sample's known codes, `chunk` positions of them at a time."""
        stack = self.config.stack
        if self._compiled:  # which takes a few positions at a time through the blocks, from inputs in several forms
            return 4 * stack.length * stack.width * 4
        positions = stack.length if chunk is None else min(chunk, stack.length)
        return _activations(stack, positions, self._number)

    @property
    def _step(self) -> int:
        """Short-lived tensors of one sample's next code."""
        stack = self.config.stack
        return self._number * (8 * stack.width + 3 * stack.mlp_width + 2 * stack.length * stack.attention_width)


def choose_memory_plan(
    footprints: Sequence[Footprint], samples: int, memory: int, *, reserved: int = 0, limit: BatchPlan | None = None
) -> MemoryPlan | None:
    """The plan that makes most at a time in `memory` bytes, `reserved` of them not to be had; None if none fits.

    The first footprint of which one sample fits; of that as many samples at a time as fit, and then the largest chunk.
    `limit` is a batch that neither may exceed, but for the smallest chunk there is.
    """
    room = memory - reserved
    most = samples if limit is None else min(samples, limit.samples)
    for footprint in footprints:
        every = chunk_sizes(footprint.config)
        sizes = [one for one in every if limit is None or _within(one, limit.chunk)] or every[-1:]
        counts = range(1, most + 1)
        count = bisect_right(counts, room, key=lambda one: footprint.total(BatchPlan(one, sizes[-1])))
        for chunk in sizes if count else ():
            if (needed := footprint.total(BatchPlan(count, chunk))) <= room:
                return MemoryPlan(BatchPlan(count, chunk), footprint.precision, needed + reserved)
    return None


def minimum_bytes(footprint: Footprint, *, reserved: int = 0) -> int:
    """Bytes without which not even one sample can be made."""
    return footprint.total(BatchPlan(1, chunk_sizes(footprint.config)[-1])) + reserved


def chunk_sizes(config: PriorConfig) -> list[int | None]:
    """How many known positions may be read at once, most first: all of them, and then whole blocks of ever fewer."""
    stack = config.stack
    sizes: list[int | None] = [None]
    blocks = stack.blocks
    while blocks > 1:
        blocks = -(-blocks // 2)
        sizes.append(blocks * stack.block)
    return sizes


def packed_bytes(config: PriorConfig, precision: str) -> int:
    """What the weights of the blocks and of the head take in the order of the compiled step."""
    shape = config.stack
    block = 4 * shape.attention_width * shape.width + 2 * shape.width * shape.mlp_width
    return PACKED_BYTES[precision] * (shape.depth * block + shape.width * config.ids)


@cache
def parameters(config: PriorConfig) -> int:
    """Numbers that a prior consists of."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Prior(config).parameters())


def _within(chunk: int | None, limit: int | None) -> bool:
    return limit is None or (chunk is not None and chunk <= limit)


def _cached(stack: StackConfig) -> int:
    """Numbers in the cache of one sample: keys and values, as many as each layer can still see."""
    return sum(2 * stack.attention_width * CacheLayout.of(stack, kind).slots for kind in stack.kinds)


def _activations(stack: StackConfig, positions: int, number: int) -> int:
    """Bytes of short-lived tensors of one pass over so many positions of a stack, `number` bytes a number."""
    width, inner, hidden = stack.width, stack.attention_width, stack.mlp_width
    chunked = positions < stack.length
    past = 2 * inner * stack.length * number if chunked else 0  # keys and values from the cache, joined with the new
    seen = stack.lyric_keys if AttentionKind.LYRICS in stack.kinds else 0  # keys that positions see through a mask
    if AttentionKind.DENSE in stack.kinds and chunked:
        seen = stack.length
    masked = positions * seen * (1 + 4)  # the mask, and what the kernels make of it
    # the inputs, what came into the block and what the chunk before left; and then in the block either its norm, with
    # queries, keys and values in up to three forms, or both branches and the three tensors of the MLP's activation
    attention = positions * (width + 9 * inner) * number + past + max(past, masked)
    mlp = positions * (2 * width + max(width + hidden, 3 * hidden)) * number
    return 3 * positions * width * number + max(attention, mlp)
