"""Measurement of decoding speed against memory bandwidth: decoders and reads of memory in interleaved rounds.

A shared machine is faster at one moment and slower at the next. So everything is measured in rounds, a piece of each
decoder at a time, and compared within one run. A read larger than all caches precedes every piece, so that each piece
starts with its weights in main memory alone.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import ConditioningTensors, Prior
from jukectl.sampling.decoders.base import Decoder

SMALLEST_CODEBOOK = 16  # prefix codes are below this, so they are valid for every prior
WARMUP = 2  # codes that are decoded before any is timed
ROUNDS = 7
SECONDS = 30.0  # approximate time of all rounds together

CACHE = 64 * 2**20  # bytes of the last-level cache, where the system does not report it
LARGEST = 2**30  # bytes of a read at most
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


@dataclass(frozen=True)
class Times:
    """Seconds of repeated measurements of one thing."""

    seconds: list[float] = field(default_factory=list)

    def add(self, seconds: float) -> None:
        """Append a measurement."""
        self.seconds.append(seconds)

    @property
    def minimum(self) -> float:
        """Shortest time, the one least disturbed by other programs."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """Median time."""
        return statistics.median(self.seconds)


class Memory:
    """Timed reads of a buffer on the prior's device."""

    def __init__(self, device: torch.device, size: float, *, beyond_caches: bool = True) -> None:
        """Allocate a buffer of `size` bytes; with `beyond_caches`, one larger than the caches hold."""
        room = size
        if beyond_caches:
            room = max(size, 4 * last_cache() if device.type == "cpu" else LARGEST)
        numbers = max(2, min(int(room), LARGEST) // 8 * 2)  # float32 numbers; an even count, for two halves
        self.device = device
        self.bytes = 4 * numbers
        # filled, since untouched memory is mapped to a single page of zeros, which stays in the cache
        self._buffer = torch.full((numbers,), 0.5, device=device)
        self.times = Times()  # seconds per byte

    def read(self) -> None:
        """Read the buffer in two ways and record the faster one; which one that is depends on the processor."""
        halves = self._buffer.chunk(2)
        ways: list[Callable[[], Tensor]] = [lambda: torch.dot(*halves), self._buffer.amax]
        took = [timed(way, self.device) for way in ways]
        self.times.add(min(took) / self.bytes)


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that a call takes until the device has finished."""
    wait(device)
    began = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - began


def wait(device: torch.device) -> None:
    """Wait until the device has finished all queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def last_cache(folder: Path = CACHES) -> int:
    """Return the bytes of the processor's largest cache."""
    sizes = [path.read_text(encoding="ascii").strip() for path in folder.glob("index*/size")]
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    return max((int(size[:-1]) * units[size[-1]] for size in sizes if size[-1:] in units), default=CACHE)


@dataclass(frozen=True)
class Rounds:
    """Shape of a measurement: codes of the prefix, codes of a piece, pieces of each decoder."""

    prefix: int
    codes: int
    rounds: int

    @classmethod
    def plan(cls, context: int, codes: int, rounds: int = ROUNDS) -> "Rounds":
        """Plan pieces of `codes` codes from the middle of a context on, shorter where they do not fit."""
        # from the middle: the number of visible keys grows along the context, and there it is about its mean
        prefix = context // 2
        room = context - prefix - WARMUP
        rounds = min(rounds, room)
        if rounds < 1:
            raise ValueError(f"a context of {context} codes is too short to measure")
        return cls(prefix, min(codes, room // rounds), rounds)

    @property
    def places(self) -> range:
        """Positions of the codes that are timed."""
        return range(self.prefix + WARMUP, self.prefix + WARMUP + self.rounds * self.codes)


@dataclass(frozen=True)
class Candidate:
    """A decoder and the conditioning of its window."""

    decoder: Decoder
    conditioning: ConditioningTensors

    @classmethod
    def of(cls, prior: Prior, decoder: Decoder, samples: int = 1) -> "Candidate":
        """Return a decoder of a prior with the window that `conditioning` returns."""
        return cls(decoder, conditioning(prior, samples))


@torch.inference_mode()
def interleaved(
    candidates: Mapping[str, Candidate],
    memory: Memory,
    rounds: Rounds,
    *,
    cached: Memory | None = None,
    samples: int = 1,
    seconds: float = SECONDS,
) -> dict[str, Times]:
    """Return the seconds per code of each decoder, for all samples together, after the same prefix.

    `memory` is read before each piece. `cached`, a buffer that fits into the cache, is read twice a round and only the
    second read counts. A decoder too slow for its share of `seconds` decodes shorter pieces.
    """
    generator = torch.Generator().manual_seed(0)
    prefix = torch.randint(SMALLEST_CODEBOOK, (samples, rounds.prefix), generator=generator)
    counts = {}
    for name, one in candidates.items():
        one.decoder.begin(prefix, one.conditioning)
        uniform = torch.rand(samples, WARMUP, generator=generator, dtype=torch.float64)
        one.decoder.decode(uniform[:, :1])  # compiles, allocates or captures a graph: not part of any time
        warm = timed(partial(one.decoder.decode, uniform[:, 1:]), memory.device)
        fitting = int(seconds / len(candidates) / rounds.rounds / warm)
        counts[name] = max(1, min(rounds.codes, fitting))
    times: dict[str, Times] = {name: Times() for name in candidates}
    for _ in range(rounds.rounds):
        if cached is not None:
            cached.read()  # fills the cache
            cached.times.seconds.pop()
            cached.read()
        uniform = torch.rand(samples, rounds.codes, generator=generator, dtype=torch.float64)
        for name, one in candidates.items():
            memory.read()  # evicts the weights from the cache
            took = timed(partial(one.decoder.decode, uniform[:, : counts[name]]), memory.device)
            times[name].add(took / counts[name])
    return times


def conditioning(prior: Prior, samples: int) -> ConditioningTensors:
    """Return the conditioning of some window: no artist, genre or lyrics, and upper codes of 0."""
    config, device = prior.config, prior.device
    labels = LabelBatch.repeat(
        samples,
        slots=config.genre_slots,
        # twice a window: any total that the timing conditioner accepts does, since no time depends on values
        total_length=config.window_samples * 2,
        sample_length=config.window_samples,
        device=device,
    )
    upper = None
    if config.conditioner is not None:
        upper = torch.zeros(samples, config.upper_context, dtype=torch.int64, device=device)
    return prior.conditioning(labels, upper)
