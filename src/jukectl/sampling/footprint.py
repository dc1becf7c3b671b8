"""Memory that sampling a level takes, and the largest batch plan that fits into it. Numbers, no tensors.

A window is sampled for some samples at a time, and its prefix is read some positions at a time. Both can be reduced
where memory is short; a narrower precision is the third way.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from jukectl.midi.roll import CHANNELS
from jukectl.native.library import library
from jukectl.nn.unallocated import unallocated
from jukectl.prior.attention import CacheLayout
from jukectl.prior.config import AttentionKind, PriorConfig, StackConfig
from jukectl.prior.matrices import PACKED_BYTES, can_be_packed, packed_bytes, torch_free_numbers
from jukectl.prior.model import Prior

NUMBER_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 4}
"""Bytes of a parameter in torch, by precision; 8-bit weights are packed from float32 ones."""

LIBRARIES = 32 * 2**20  # bytes that the mathematical libraries allocate when first used
SMALL = 256 * 2**20  # bytes of short-lived tensors that the allocator may keep after they are freed
DRAWING = 80  # bytes per id of a code's sampling: logits as float64, sorted, their order, sums, and scattered back


@dataclass(frozen=True)
class BatchPlan:
    """Samples and prefix positions that are processed at a time."""

    samples: int
    chunk: int | None = None  # positions of the prefix that are read at a time; None: all of them

    def halved(self, config: PriorConfig) -> "BatchPlan | None":
        """Return the next smaller plan: half the samples, or half the chunk of one; None if this is the smallest."""
        if self.samples > 1:
            return BatchPlan(self.samples // 2, self.chunk)
        smaller = [chunk for chunk in chunk_sizes(config) if chunk and (self.chunk is None or chunk < self.chunk)]
        return BatchPlan(1, smaller[0]) if smaller else None

    def groups(self, samples: int) -> Iterator[range]:
        """Yield `samples` in groups of at most this plan's samples."""
        for first in range(0, samples, self.samples):
            yield range(first, min(first + self.samples, samples))


@dataclass(frozen=True)
class MemoryPlan:
    """Batch plan and precision of a level, chosen before it is sampled."""

    batch: BatchPlan
    precision: str
    bytes: int  # that sampling takes, the weights included


@dataclass(frozen=True)
class Footprint:
    """Bytes of a device's memory that sampling with a prior takes."""

    config: PriorConfig
    precision: str
    row_by_row: bool = False  # conditioning and prefixes are computed one sample at a time, as on a CPU
    retains_freed: bool = False  # the allocator keeps small blocks for a while after they are freed
    rows_per_sample: int = 1  # see `LevelSampling.rows`: two under classifier-free guidance
    whole: bool = False  # torch has all weights, also those that the compiled step has packed: a prior with adapters

    @property
    def weights(self) -> int:
        """Weights of the prior in torch."""
        packed_alone = torch_free_numbers(self.config, self.precision) if self._compiled and not self.whole else 0
        return (parameters(self.config) - packed_alone) * self._number

    @property
    def packed(self) -> int:
        """Packed weights of the compiled step, and the tables that it keeps in float32."""
        if not self._compiled:
            return 0
        # embeddings of codes and positions, copied only where torch has them in another type
        positions = 0 if self.config.stack.rotary else self.config.stack.length
        tables = self.config.width * (self.config.ids + positions) * 4 * (self._number < 4)
        return packed_bytes(self.config, self.precision) + tables

    @property
    def cache(self) -> int:
        """Keys and values of one row."""
        # the compiled step keeps float32 keys and values, whatever the precision of the weights
        return (4 if self._compiled else self._number) * _cached(self.config.stack)

    @property
    def conditioning(self) -> int:
        """Conditioning of one row, kept while its window is sampled."""
        config = self.config
        # one sum of vectors is kept for every position; artist and genre are one vector (the 1 below)
        positions = config.context if config.has_position_vectors else 0
        lyrics = config.lyrics.characters if config.lyrics else 0
        if config.lyrics and config.lyrics.apart:  # states for each layer that attends to them
            lyrics *= config.kinds.count(AttentionKind.ENCODER)
        again = 4 * config.width * positions if self._compiled and self._number < 4 else 0  # a float32 copy
        return self._number * config.width * (1 + positions + lyrics) + again

    def total(self, batch: BatchPlan) -> int:
        """Return the peak memory while a window is sampled."""
        samples = batch.samples * self.rows_per_sample
        rows = 1 if self.row_by_row else samples
        kept = samples * (self.cache + self.conditioning)
        # conditioning computed row by row exists twice for a moment, when the rows are concatenated
        joining = samples * self.conditioning if self.row_by_row and samples > 1 else 0
        rolls = samples * config.context * CHANNELS if (config := self.config).midi else 0  # a byte a channel
        telling, reading = rows * self._conditioner + joining + rolls, rows * self._reading(batch.chunk)
        # conditioning, prefix and steps come one after another, so only the largest of them counts
        working = max(telling, reading, samples * (self.config.ids * DRAWING + self._step))
        # freed blocks that the allocator keeps, of both phases, as measured; else a quarter for what it rounds up
        held_back = min(telling, SMALL) + min(reading, SMALL) * 3 // 2 if self.retains_freed else working // 4
        return LIBRARIES + self.weights + self.packed + kept + working + held_back

    @property
    def _compiled(self) -> bool:
        """True if the compiled step will decode."""
        packable = self.precision in PACKED_BYTES and can_be_packed(self.config)
        return self.row_by_row and packable and library() is not None

    @property
    def _number(self) -> int:
        return NUMBER_BYTES[self.precision]

    @property
    def _conditioner(self) -> int:
        """Short-lived tensors of one row's conditioning."""
        config, number = self.config, self._number
        place = 0
        if config.timing:
            place = 2 * config.context * config.width * number  # two terms, besides the sum
        if midi := config.midi:  # the roll as numbers, also in the network's layout; its channels; the result twice
            notes = 2 * CHANNELS * number + 6 * midi.width * number + 2 * config.width * number
            place += config.context * notes
        if beats := config.beats:  # two forms of the hidden layer, and the result twice
            place += config.context * (3 * beats.width + 2 * config.width) * number
        if upper := config.conditioner:
            last = 3 * config.context * config.width * 4  # some kernels compute in float32 at any precision
            place = max(last, 5 * upper.width * config.context // upper.stride * 4)
        if config.lyrics and config.lyrics.encoder:
            stack, characters = config.lyrics.encoder.stack(config.lyrics.characters), config.lyrics.characters
            states = 3 * characters * config.width * number
            return max(place, states + _activations(stack, characters, number))
        if config.lyrics and config.lyrics.apart:
            characters, attending = config.lyrics.characters, config.kinds.count(AttentionKind.ENCODER)
            states = 2 * attending * characters * config.width * number  # of each layer, and all of them stacked
            return max(place, states + _activations(replace(config.stack, length=characters), characters, number))
        return place

    def _reading(self, chunk: int | None) -> int:
        """Return the short-lived tensors of one row's prefix, read `chunk` positions at a time."""
        stack = self.config.stack
        if self._compiled:  # it works through a few positions at a time: only the inputs are as long as the sequence
            return 4 * stack.length * stack.width * 4
        positions = stack.length if chunk is None else min(chunk, stack.length)
        return _activations(stack, positions, self._number)

    @property
    def _step(self) -> int:
        """Short-lived tensors of one row's next code."""
        stack = self.config.stack
        return self._number * (8 * stack.width + 3 * stack.mlp_width + 2 * stack.length * stack.attention_width)


def choose_memory_plan(
    footprints: Sequence[Footprint], samples: int, memory: int, *, reserved: int = 0, limit: BatchPlan | None = None
) -> MemoryPlan | None:
    """Return the plan that processes the most at a time in `memory` bytes less `reserved`; None if none fits.

    `footprints` are in order of preference, one for each precision: the first with which one sample fits is used, with
    as many samples as fit and then the largest chunk. The plan does not exceed `limit`, except by the smallest chunk of
    this model.
    """
    room = memory - reserved
    most = samples if limit is None else min(samples, limit.samples)
    for footprint in footprints:
        every = chunk_sizes(footprint.config)
        # the limit may come from another model, whose blocks are smaller than any chunk here: then the smallest
        sizes = [one for one in every if limit is None or _within(one, limit.chunk)] or every[-1:]
        counts = range(1, most + 1)
        # the total grows with the samples, so a binary search finds how many fit with the smallest chunk
        count = bisect_right(counts, room, key=lambda one: footprint.total(BatchPlan(one, sizes[-1])))
        for chunk in sizes if count else ():
            if (needed := footprint.total(BatchPlan(count, chunk))) <= room:
                return MemoryPlan(BatchPlan(count, chunk), footprint.precision, needed + reserved)
    return None


def minimum_bytes(footprint: Footprint, *, reserved: int = 0) -> int:
    """Return the bytes that one sample takes with the smallest chunk."""
    return footprint.total(BatchPlan(1, chunk_sizes(footprint.config)[-1])) + reserved


def chunk_sizes(config: PriorConfig) -> list[int | None]:
    """Return the possible chunks of a prefix, largest first: None for all of it, then ever fewer whole blocks."""
    stack = config.stack
    sizes: list[int | None] = [None]
    blocks = stack.blocks
    while blocks > 1:
        # whole blocks: factored attention works on rows of the grid, and a chunk must not split one
        blocks = -(-blocks // 2)
        sizes.append(blocks * stack.block)
    return sizes


@cache
def parameters(config: PriorConfig) -> int:
    """Return the number of parameters of a prior."""
    with unallocated():  # shapes without memory: a 5B prior is counted in no time
        return sum(parameter.numel() for parameter in Prior(config).parameters())


def _within(chunk: int | None, limit: int | None) -> bool:
    return limit is None or (chunk is not None and chunk <= limit)


def _cached(stack: StackConfig) -> int:
    """Return the numbers in the cache of one row: keys and values of all positions that a later one can attend to."""
    return sum(2 * stack.attention_width * CacheLayout.of(stack, kind).slots for kind in stack.kinds)


def _activations(stack: StackConfig, positions: int, number: int) -> int:
    """Return the bytes of short-lived tensors of one pass over `positions` of a stack, `number` bytes a number."""
    width, inner, hidden = stack.width, stack.attention_width, stack.mlp_width
    chunked = positions < stack.length
    past = 2 * inner * stack.length * number if chunked else 0  # keys and values of the cache, joined with the new ones
    seen = stack.lyric_keys if AttentionKind.LYRICS in stack.kinds else 0  # keys that positions see through a mask
    if AttentionKind.DENSE in stack.kinds and chunked:
        seen = stack.length
    if AttentionKind.WINDOW in stack.kinds:  # a chunk as long as the window sees two of them, through a mask
        seen = max(seen, min(2 * stack.window, stack.length))
    masked = positions * seen * (1 + 4)  # a mask of bytes, and its float32 form in the kernels
    # inputs, residual stream and the output of the chunk before; and inside a block either its norm with queries, keys
    # and values in up to three forms, or both branches with the three tensors of the MLP's activation
    attention = positions * (width + 9 * inner) * number + past + max(past, masked)
    mlp = positions * (2 * width + max(width + hidden, 3 * hidden)) * number
    return 3 * positions * width * number + max(attention, mlp)
