"""How fast this machine is: a few codes of a level, a little audio, through what will make the song."""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.plan.device import Machine, single_thread
from jukectl.plan.eta import Speed
from jukectl.prior.model import Prior
from jukectl.sampling.decoders.base import Decoder
from jukectl.sampling.decoders.choose import decoder_for
from jukectl.sampling.footprint import BatchPlan
from jukectl.sampling.timing import conditioning, wait
from jukectl.vqvae import chunks

WARM = 2  # codes decoded before any is timed
AGAIN = 1.0  # seconds up to which a measurement is repeated
SAVES = 5  # tried
SAVE_PARTS = 3  # a file's bytes, its name and the folder's list
GROWTH = 4  # how many times as much is tried next, while there is time


@dataclass(frozen=True)
class Effort:
    """How long is measured; more is surer. What takes longer than that for a first bit is measured by that bit."""

    seconds: float  # a measurement, of several
    codes: int  # to decode at the most


QUICK = Effort(seconds=0.06, codes=128)
"""Before a song that is made right away."""

CAREFUL = Effort(seconds=0.25, codes=1024)
"""Where the estimate itself was asked for."""


def level_speed(
    folder: ModelFolder,
    level: Level,
    machine: Machine,
    batch: BatchPlan,
    settings: LevelSampling,
    *,
    known: int,
    effort: Effort = CAREFUL,
) -> Speed:
    """How fast a level of a model is made, its prior loaded for that; see `prior_speed`."""
    began = time.perf_counter()
    prior = folder.prior(level, machine.device, machine.dtype)
    load = time.perf_counter() - began
    return prior_speed(prior, machine, batch, settings, known=known, load=load, effort=effort)


@torch.inference_mode()
def prior_speed(
    prior: Prior,
    machine: Machine,
    batch: BatchPlan,
    settings: LevelSampling,
    *,
    known: int,
    load: float = 0.0,
    effort: Effort = CAREFUL,
) -> Speed:
    """How fast windows of a prior are made that know about `known` codes, a batch of the samples at a time."""
    config = prior.config
    known = min(known, config.context - 1)
    with single_thread(machine):
        began = time.perf_counter()
        decoder = decoder_for(prior, batch.samples * settings.rows, settings, int8=machine.precision == "int8")
        setup = time.perf_counter() - began
        reading = _Reading(prior, decoder, batch, machine)
        first = reading.seconds(0)  # what is slow once is part of setting up
        decoder.decode(reading.uniform(WARM))
        wait(machine.device)
        window = min(first, reading.seconds(0))
        read, length = _longest(16, known, effort.seconds, reading.seconds) if known else (window, 0)
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
        known=max(read - window, 0.0) / max(length, 1),
        new=new / max(codes, 1),
    )


class _Reading:
    """How long a window takes to begin."""

    def __init__(self, prior: Prior, decoder: Decoder, batch: BatchPlan, machine: Machine) -> None:
        self._prior = prior
        self._decoder = decoder
        self._batch = batch
        self._machine = machine

    def seconds(self, known: int) -> float:
        """Those of a window's conditioning, and of reading `known` codes."""
        rows = self._batch.samples * self._decoder.settings.rows
        codes = torch.zeros(rows, known, dtype=torch.int64)
        began = time.perf_counter()
        self._decoder.begin(codes, conditioning(self._prior, rows), self._batch.chunk)
        wait(self._machine.device)
        return time.perf_counter() - began

    def uniform(self, codes: int) -> Tensor:
        """Random numbers to draw so many codes by."""
        return torch.full((self._batch.samples, codes), 0.5, dtype=torch.float64)


def decoding_time(
    folder: ModelFolder, level: Level, machine: Machine, *, seconds: float, effort: Effort = CAREFUL
) -> float:
    """What it takes to decode `seconds` of a level's audio, the codec's loading included."""
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
    """Seconds that a second of audio takes to encode at a level, where `seconds` of it are to be encoded."""
    vqvae, config = folder.vqvae(machine.device, (level,)), folder.card.vqvae

    def encode(length: float) -> None:
        samples = max(1, round(length * config.codes_per_second(level))) * config.hop(level)
        audio = torch.zeros(1, samples, device=machine.device)
        chunks.encode(vqvae, audio, level, chunk_seconds=machine.chunk_seconds)

    with single_thread(machine):
        return _per_second(encode, min(seconds, machine.chunk_seconds), effort)


def saving_seconds(folder: Path) -> float:
    """What it takes to put the codes of a window on the disk for good, below a folder that need not be there.

    Measured with a file that has no name, so nothing is seen of it. 0 where none can be made.
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
    """Seconds of `work` a second of audio in pieces of `longest`: one of those, or by two shorter ones.

    By two, since threads that wait for each other on a busy machine cost the same whatever a piece's length.
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
    """What a size took: in the mean of two times where that is not long, since other programs come and go."""
    measured = took(size)
    return (measured + took(size)) / 2 if measured < AGAIN else measured


def _longest(first: int, last: int, seconds: float, took: Callable[[int], float]) -> tuple[float, int]:
    """What the largest size up to `last` `took`, of ever larger ones while the next may be done in time; the size."""
    size = min(first, last)
    while True:
        measured = _twice(size, took)
        if size == last or measured * GROWTH > 2 * seconds:
            return measured, size
        size = min(size * GROWTH, last)
