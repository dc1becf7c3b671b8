"""How fast codes come, against how fast they could: decoders of one prior, and reads of memory, in turns.

A shared machine is now faster, now slower. So everything is measured in rounds, a piece of each, and compared within
the same run; a read larger than all caches comes before every piece, so each begins with its weights in memory alone.
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
from jukectl.prior.model import Conditioning, Prior
from jukectl.sampling.decoders.base import Decoder

FEWEST = 16  # codes that every codebook has, and that are known before what is timed
WARM = 2  # codes that are decoded before any is timed
ROUNDS = 7
SECONDS = 30.0  # that all rounds together may take, about

CACHE = 64 * 2**20  # bytes of the last cache, where the system does not tell
LARGEST = 2**30  # bytes that are read, at most
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


@dataclass(frozen=True)
class Times:
    """Seconds that the same thing took, time after time."""

    seconds: list[float] = field(default_factory=list)

    def add(self, seconds: float) -> None:
        """One time more."""
        self.seconds.append(seconds)

    @property
    def minimum(self) -> float:
        """The shortest, which other programs disturbed the least."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The median."""
        return statistics.median(self.seconds)


class Memory:
    """Reads of a buffer where a prior is, and how fast they are."""

    def __init__(self, device: torch.device, size: float, *, beyond_caches: bool = True) -> None:
        """`size` bytes are what is going to be read; `beyond_caches` the buffer is larger than what they hold."""
        room = size
        if beyond_caches:
            room = max(size, 4 * last_cache() if device.type == "cpu" else LARGEST)
        numbers = max(2, min(int(room), LARGEST) // 8 * 2)  # of 4 bytes, an even number
        self.device = device
        self.bytes = 4 * numbers
        self._buffer = torch.full((numbers,), 0.5, device=device)  # written, or it would be one page of zeros
        self.times = Times()  # seconds a byte

    def read(self) -> None:
        """Read all of it once, in each of two ways, one of which is the faster: on this processor, at this moment."""
        halves = self._buffer.chunk(2)
        ways: list[Callable[[], Tensor]] = [lambda: torch.dot(*halves), self._buffer.amax]
        took = [timed(way, self.device) for way in ways]
        self.times.add(min(took) / self.bytes)


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that something takes, until the device is done."""
    wait(device)
    began = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - began


def wait(device: torch.device) -> None:
    """Until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def last_cache(folder: Path = CACHES) -> int:
    """Bytes of the processor's largest cache."""
    sizes = [path.read_text(encoding="ascii").strip() for path in folder.glob("index*/size")]
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    return max((int(size[:-1]) * units[size[-1]] for size in sizes if size[-1:] in units), default=CACHE)


@dataclass(frozen=True)
class Rounds:
    """How decoders are measured: from which code on, so many codes a piece, so many pieces of each."""

    prefix: int
    codes: int
    rounds: int

    @classmethod
    def plan(cls, context: int, codes: int, rounds: int = ROUNDS) -> "Rounds":
        """Pieces of `codes` from the middle of a context on, or as large ones as fit there."""
        prefix = context // 2
        room = context - prefix - WARM
        rounds = min(rounds, room)
        if rounds < 1:
            raise ValueError(f"a context of {context} codes is too short to measure")
        return cls(prefix, min(codes, room // rounds), rounds)

    @property
    def places(self) -> range:
        """The codes that are timed."""
        return range(self.prefix + WARM, self.prefix + WARM + self.rounds * self.codes)


@dataclass(frozen=True)
class Candidate:
    """A decoder, and what its window is conditioned on."""

    decoder: Decoder
    told: Conditioning

    @classmethod
    def of(cls, prior: Prior, decoder: Decoder, samples: int = 1) -> "Candidate":
        """A decoder of a prior, for the window that `conditioning` tells of."""
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
    """Seconds a code of each decoder, all samples of it, after the same known codes.

    `memory` is read before each piece, `cached` twice a round: the second time is the one that counts.
    A decoder that is so slow that its pieces would take longer than its share of `seconds` is given shorter ones.
    """
    generator = torch.Generator().manual_seed(0)
    prefix = torch.randint(FEWEST, (samples, rounds.prefix), generator=generator)
    counts = {}
    for name, one in candidates.items():
        one.decoder.begin(prefix, one.told)
        uniform = torch.rand(samples, WARM, generator=generator, dtype=torch.float64)
        one.decoder.decode(uniform[:, :1])
        warm = timed(partial(one.decoder.decode, uniform[:, 1:]), memory.device)
        fitting = int(seconds / len(candidates) / rounds.rounds / warm)
        counts[name] = max(1, min(rounds.codes, fitting))
    times: dict[str, Times] = {name: Times() for name in candidates}
    for _ in range(rounds.rounds):
        if cached is not None:
            cached.read()
            cached.times.seconds.pop()
            cached.read()
        uniform = torch.rand(samples, rounds.codes, generator=generator, dtype=torch.float64)
        for name, one in candidates.items():
            memory.read()
            took = timed(partial(one.decoder.decode, uniform[:, : counts[name]]), memory.device)
            times[name].add(took / counts[name])
    return times


def conditioning(prior: Prior, samples: int) -> Conditioning:
    """What some window is conditioned on: no artist, no genre, nothing sung, code 0 above."""
    config, device = prior.config, prior.positions.device
    labels = LabelBatch.repeat(
        samples,
        slots=config.genre_slots,
        total_length=config.window_samples * 2,
        sample_length=config.window_samples,
        device=device,
    )
    upper = None
    if config.conditioner is not None:
        upper = torch.zeros(samples, config.upper_context, dtype=torch.int64, device=device)
    return prior.conditioning(labels, upper)
