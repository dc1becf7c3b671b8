"""Calibration: the speed of this machine, measured with a few codes of a level or a little audio."""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from jukectl.checkpoints.planned import PlannedModel
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.nn.unallocated import unallocated
from jukectl.plan.device import Machine, single_thread
from jukectl.plan.eta import Speed
from jukectl.prior.config import PriorConfig
from jukectl.prior.matrices import keeps_packed
from jukectl.prior.model import Prior
from jukectl.sampling.decoders.base import Decoder
from jukectl.sampling.decoders.choose import decoder_for
from jukectl.sampling.floor import step_bytes
from jukectl.sampling.footprint import BatchPlan, parameters
from jukectl.sampling.timing import Memory, conditioning, timed, wait
from jukectl.vqvae import chunks

WARM = 2  # codes decoded before any is timed
AGAIN = 1.0  # seconds up to which a measurement is repeated
SAVES = 5  # tried
SAVE_PARTS = 3  # a file's bytes, its name and the folder's list
GROWTH = 4  # factor between the sizes that are tried
READS = 3  # of which the quickest counts
DISK = 1e9  # bytes a second that weights are assumed to be read at
LAYERS = 3  # of a large prior that are measured
PIECES = 6  # codes that are timed with them
ABOVE_FLOOR = 1.3  # time of a step over that of reading its bytes (docs/RESULTS.md)


@dataclass(frozen=True)
class Effort:
    """Limits of a measurement; more is more accurate. A first piece is measured however long it takes."""

    seconds: float  # of each measurement
    codes: int  # most codes to decode


QUICK = Effort(seconds=0.06, codes=128)
"""Before sampling, where the user waits for the song."""

CAREFUL = Effort(seconds=0.25, codes=1024)
"""For a dry run."""


def level_speed(
    folder: ModelFolder,
    level: Level,
    machine: Machine,
    batch: BatchPlan,
    settings: LevelSampling,
    *,
    prefix: int,
    effort: Effort = CAREFUL,
) -> Speed:
    """Load a level's prior and measure its speed, see `prior_speed`.

    A large one for a CPU is measured by a few of its layers, and one whose weights are not here is planned.
    """
    if isinstance(folder, PlannedModel):
        return planned_speed(folder.card.priors[level], machine, batch, settings)
    config = folder.card.priors[level]
    if machine.device.type == "cpu" and keeps_packed(config, machine.precision) and not folder.is_adapted(level):
        return scaled_speed(config, machine, batch, settings, prefix=prefix)
    began = time.perf_counter()
    prior = folder.prior(level, machine.device, machine.dtype)
    load = time.perf_counter() - began
    return prior_speed(prior, machine, batch, settings, prefix=prefix, load=load, effort=effort)


def planned_speed(config: PriorConfig, machine: Machine, batch: BatchPlan, settings: LevelSampling) -> Speed:
    """Return the speed of a prior whose weights are not here, from its shapes and the speed of this machine.

    A code takes as long as the bytes that a step reads, the prefix and the upsampler's conditioning as long as their
    multiplications. ABOVE_FLOOR allows for all else.
    """
    rows = batch.samples * settings.rows
    step = step_bytes(config, machine.precision, samples=rows)
    memory = Memory(machine.device, step.total)
    for _ in range(READS):
        memory.read()
    multiplication = _seconds_a_multiplication(machine)
    each = rows * parameters(config) * multiplication
    return Speed(
        load=step.weights / DISK,
        setup=0.0,
        window=ABOVE_FLOOR * each * (config.upper_context / config.depth),
        prefix=ABOVE_FLOOR * each,
        new=ABOVE_FLOOR * max(step.total * memory.times.minimum, each),
    )


@torch.inference_mode()
def scaled_speed(
    config: PriorConfig, machine: Machine, batch: BatchPlan, settings: LevelSampling, *, prefix: int
) -> Speed:
    """Measure a few layers of a prior's shape, without its weights, and scale to all of them.

    Before each code that is timed a larger buffer is read, so that the weights come from memory, as they do if all
    layers are there.
    """
    few = _few_layers(config)
    with unallocated():
        prior = Prior(few)
    prior = prior.to(machine.dtype).to_empty(device=machine.device).requires_grad_(False).eval()
    for parameter in prior.parameters():
        parameter.zero_()
    measured = prior_speed(prior, machine, batch, settings, prefix=prefix, effort=QUICK)
    rows = batch.samples * settings.rows
    one, all_layers = (step_bytes(shape, machine.precision, samples=rows).total for shape in (few, config))
    memory, new = Memory(machine.device, one), []
    with single_thread(machine):
        decoder = decoder_for(prior, rows, settings, int8=machine.precision == "int8", threads=machine.threads)
        reading = _Reading(prior, decoder, batch, machine)
        reading.seconds(0)
        for _ in range(min(PIECES, few.context - 1)):
            memory.read()
            began = time.perf_counter()
            decoder.decode(reading.uniform(1))
            new.append(time.perf_counter() - began)
    return Speed(
        load=all_layers / DISK,
        setup=0.0,
        window=measured.window,
        prefix=measured.prefix * config.depth / few.depth,
        new=median(new[1:]) * all_layers / one,
    )


def _few_layers(config: PriorConfig) -> PriorConfig:
    """Return a prior of the first layers of another one, without its lyrics' encoder."""
    lyrics = config.lyrics
    if lyrics is not None:
        lyrics = None if lyrics.encoder else replace(lyrics, alignment_layer=None)
    depth = min(LAYERS, config.depth)
    return replace(config, depth=depth, scale_depth=None, pattern=config.kinds[:depth], lyrics=lyrics)


def _seconds_a_multiplication(machine: Machine) -> float:
    """Return the seconds of one multiplication and addition in a large product of matrices."""
    rows, width = 256, 2_048
    one = torch.ones(rows, width, dtype=machine.dtype, device=machine.device)
    other = torch.ones(width, width, dtype=machine.dtype, device=machine.device)
    with single_thread(machine):
        return min(timed(lambda: one @ other, machine.device) for _ in range(READS)) / (rows * width * width)


@torch.inference_mode()
def prior_speed(
    prior: Prior,
    machine: Machine,
    batch: BatchPlan,
    settings: LevelSampling,
    *,
    prefix: int,
    load: float = 0.0,
    effort: Effort = CAREFUL,
) -> Speed:
    """Measure how fast a prior samples a batch of windows with about `prefix` prefix codes each."""
    config = prior.config
    prefix = min(prefix, config.context - 1)
    with single_thread(machine):
        began = time.perf_counter()
        rows, int8 = batch.samples * settings.rows, machine.precision == "int8"
        decoder = decoder_for(prior, rows, settings, int8=int8, threads=machine.threads)
        setup = time.perf_counter() - began
        reading = _Reading(prior, decoder, batch, machine)
        first = reading.seconds(0)  # what is slow once is part of setting up
        decoder.decode(reading.uniform(WARM))
        wait(machine.device)
        window = min(first, reading.seconds(0))
        read, length = _longest(16, prefix, effort.seconds, reading.seconds) if prefix else (window, 0)
        rest = config.context - length
        decoder.decode(reading.uniform(min(WARM, rest - 1)))
        codes, new = 0, 0.0
        while codes < min(effort.codes, rest - WARM) and new < effort.seconds:
            many = min(max(1, codes), rest - WARM - codes)
            began = time.perf_counter()
            decoder.decode(reading.uniform(many))  # waits for the device
            codes, new = codes + many, new + time.perf_counter() - began
    return Speed(
        load=load,
        setup=setup + first - window,
        window=window,
        prefix=max(read - window, 0.0) / max(length, 1),
        new=new / max(codes, 1),
    )


class _Reading:
    """Measures the time that a window takes to begin."""

    def __init__(self, prior: Prior, decoder: Decoder, batch: BatchPlan, machine: Machine) -> None:
        self._prior = prior
        self._decoder = decoder
        self._batch = batch
        self._machine = machine

    def seconds(self, prefix: int) -> float:
        """Return the seconds of a window's conditioning and of reading a prefix."""
        rows = self._batch.samples * self._decoder.settings.rows
        codes = torch.zeros(rows, prefix, dtype=torch.int64)
        began = time.perf_counter()
        self._decoder.begin(codes, conditioning(self._prior, rows), self._batch.chunk)
        wait(self._machine.device)
        return time.perf_counter() - began

    def uniform(self, codes: int) -> Tensor:
        """Return numbers to sample codes by."""
        return torch.full((self._batch.samples, codes), 0.5, dtype=torch.float64)


def decoding_time(
    folder: ModelFolder, level: Level, machine: Machine, *, seconds: float, effort: Effort = CAREFUL
) -> float:
    """Return the seconds it takes to load the codec and to decode `seconds` of a level's audio."""
    began = time.perf_counter()
    vqvae, config = folder.vqvae(machine.device, (level,)), folder.card.vqvae
    load = time.perf_counter() - began

    def decode(length: float) -> None:
        frames = max(1, round(length * config.codes_per_second(level)))
        codes = torch.zeros(1, frames, dtype=torch.int64, device=machine.device)
        for _ in chunks.decode(vqvae, codes, level, chunk_seconds=machine.chunk_seconds):
            pass

    return load + seconds * _per_second(decode, min(seconds, machine.chunk_seconds), effort)


def encoding_speed(
    folder: ModelFolder, level: Level, machine: Machine, *, seconds: float, effort: Effort = CAREFUL
) -> float:
    """Return the seconds that a second of audio takes to encode at a level, for a recording of `seconds`."""
    vqvae, config = folder.vqvae(machine.device, (level,)), folder.card.vqvae

    def encode(length: float) -> None:
        samples = max(1, round(length * config.codes_per_second(level))) * config.hop(level)
        audio = torch.zeros(1, samples, device=machine.device)
        chunks.encode(vqvae, audio, level, chunk_seconds=machine.chunk_seconds)

    with single_thread(machine):
        return _per_second(encode, min(seconds, machine.chunk_seconds), effort)


def saving_seconds(folder: Path) -> float:
    """Return the seconds it takes to write a window's codes to disk, in a folder that need not exist.

    Measured with an unnamed file, which leaves no trace. 0 if none can be made.
    """
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    took = []
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            for _ in range(SAVES):
                began = time.perf_counter()
                file.write(bytes(4096))
                file.flush()
                os.fsync(file.fileno())
                took.append(time.perf_counter() - began)
    except OSError:
        return 0.0
    return SAVE_PARTS * median(took)


def _per_second(work: Callable[[float], None], longest: float, effort: Effort) -> float:
    """Return the seconds of `work` a second of audio in pieces of `longest`, extrapolated from shorter ones if slow.

    Two lengths are needed, since threads that wait for each other on a busy machine cost the same for any length.
    """
    shortest = longest / GROWTH**2
    work(shortest)  # what is slow once

    def seconds(parts: int) -> float:
        began = time.perf_counter()
        work(shortest * parts)
        return time.perf_counter() - began

    less, more = _twice(1, seconds), _twice(GROWTH, seconds)
    if more * GROWTH <= max(2 * effort.seconds, AGAIN):
        return _twice(GROWTH**2, seconds) / longest
    slope = max(more - less, 0.0) / (GROWTH - 1)
    return (more + slope * (GROWTH**2 - GROWTH)) / longest


def _twice(size: int, took: Callable[[int], float]) -> float:
    """Return the seconds that a size takes; the mean of two runs if short, since other programs come and go."""
    measured = took(size)
    return (measured + took(size)) / 2 if measured < AGAIN else measured


def _longest(first: int, last: int, seconds: float, took: Callable[[int], float]) -> tuple[float, int]:
    """Measure growing sizes up to `last` while the next may fit `seconds`; return the last time and its size."""
    size = min(first, last)
    while True:
        measured = _twice(size, took)
        if size == last or measured * GROWTH > 2 * seconds:
            return measured, size
        size = min(size * GROWTH, last)
