"""Measure the speed of a model level by level: codes and their lower bound, prefixes, audio, a minute of music."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import torch

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import LevelSampling
from jukectl.errors import BadInput
from jukectl.inspect.naive import NaiveDecoder
from jukectl.plan.device import Machine, choose, single_thread
from jukectl.plan.request import Request
from jukectl.prior.model import Prior
from jukectl.progress import Listener, Progress, ignore
from jukectl.sampling.decoders.base import Decoder
from jukectl.sampling.decoders.choose import decoder_for
from jukectl.sampling.floor import StepBytes, step_bytes
from jukectl.sampling.timing import Candidate, Memory, Rounds, Times, conditioning, interleaved, last_cache, timed
from jukectl.sampling.windows import advance_codes, plan_windows
from jukectl.vqvae import chunks

CODES = 64  # of a timed piece
REPEATS = 3  # measurements of whatever takes long
LONG = 2.0  # seconds, above which one measurement is enough
MINUTE = 60.0  # seconds


def bench(
    model: str | None = None,
    *,
    levels: Collection[Level] = TOP_DOWN,
    samples: int = 1,
    codes: int = CODES,
    device: str = "auto",
    precision: str = "auto",
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Measure a model's levels; times are in milliseconds, minimum and median of some rounds.

    `samples` is the batch, `codes` the length of a timed piece. A level without a prior is left out.
    """
    if samples < 1 or codes < 1:
        raise BadInput(f"--samples and --codes must be at least 1, got {samples} and {codes}")
    folder, machine = catalogue.find(model or catalogue.EMBEDDED), choose(device, precision)
    wanted = [level for level in TOP_DOWN if level in levels and level in folder.card.priors]
    if not wanted:
        raise BadInput(f"{folder.card.name} has no prior of the levels asked for")
    found = {}
    for number, level in enumerate(wanted):
        listener(Progress("measuring", number, len(wanted), level.label))
        found[level.label] = _bench_level(folder, level, machine, samples, codes)
    listener(Progress("measuring", len(wanted), len(wanted)))
    minute = {name: facts["minute"]["seconds"] for name, facts in found.items()}
    minute["audio"] = samples * MINUTE / found[wanted[-1].label]["codec"]["seconds_a_second"]
    return {
        "model": folder.card.name,
        "device": str(machine.device),
        "precision": machine.precision,
        "samples": samples,
        "levels": found,
        "minute_seconds": {**minute, "all": sum(minute.values())},
    }


def _bench_level(folder: ModelFolder, level: Level, machine: Machine, samples: int, codes: int) -> dict[str, Any]:
    """Measure one level: prior, a minute of codes, codec."""
    settings = Request().sampling(level, folder.card.sampling)
    prior = folder.prior(level, machine.device, machine.dtype)
    with single_thread(machine):
        facts = bench_prior(prior, machine.precision, settings, samples=samples, codes=codes)
    del prior  # the codec may need its memory
    facts["minute"] = _minute(folder, level, settings, facts)
    facts["codec"] = {"seconds_a_second": _audio_a_second(folder, level, machine)}
    return facts


def bench_prior(
    prior: Prior, precision: str, settings: LevelSampling, *, samples: int = 1, codes: int = CODES
) -> dict[str, Any]:
    """Measure a prior: a code, the memory floor, the naive decoder, and reading the prefix.

    The floor is that of `precision`. The decoder is the one that songs are sampled with. If all that a step reads fits
    into the processor's cache, the step may be faster than the floor; then a floor of the cache is measured too.
    """
    config, device = prior.config, prior.device
    rounds = Rounds.plan(config.context, codes)
    step = step_bytes(config, precision, rounds.places, samples)
    memory = Memory(device, step.total)
    fits = device.type == "cpu" and step.total < last_cache()
    cached = Memory(device, step.total, beyond_caches=False) if fits else None
    decoder = decoder_for(prior, samples, settings, int8=precision == "int8")
    decoders = {"decode": decoder, "naive": NaiveDecoder(prior, settings)}
    candidates = {name: Candidate.of(prior, one, samples) for name, one in decoders.items()}
    times = interleaved(candidates, memory, rounds, cached=cached, samples=samples)
    floor = _floor(step, memory)
    decode, naive = times["decode"], times["naive"]
    return {
        "decoder": type(decoder).__name__,
        "place": rounds.prefix,
        "bytes_a_step": {"weights": step.weights, "cache": round(step.cache)},
        "gigabytes_a_second": {"most": 1e-9 / memory.times.minimum, "median": 1e-9 / memory.times.median},
        "decode_ms": _milliseconds(decode),
        "floor_ms": _milliseconds(floor),
        "cached_floor_ms": None if cached is None else _milliseconds(_floor(step, cached)),
        "against_floor": _ratios(decode, floor),
        "naive_ms": _milliseconds(naive),
        "against_naive": _ratios(naive, decode),
        "codes_a_second": samples / decode.median,
        "prefill": _prefill(prior, decoder, samples),
    }


def _floor(step: StepBytes, memory: Memory) -> Times:
    """Return the seconds that a step's reads take, by each read of a buffer."""
    return Times([step.total * seconds for seconds in memory.times.seconds])


def _prefill(prior: Prior, decoder: Decoder, samples: int) -> dict[str, Any]:
    """Time the start of a window: its conditioning, and a prefix of nothing, half a context and nearly all of one."""
    config, device = prior.config, prior.device

    def minimum(work: Callable[[], object]) -> float:
        first = timed(work, device)
        return first if first > LONG else min(timed(work, device) for _ in range(REPEATS))

    conditioned = conditioning(prior, samples)
    facts: dict[str, Any] = {"conditioning_ms": 1e3 * minimum(lambda: conditioning(prior, samples))}
    for name, prefix in (("none", 0), ("half", config.context // 2), ("full", config.context - 1)):
        ids = torch.zeros(samples, prefix, dtype=torch.int64)
        seconds = minimum(partial(decoder.begin, ids, conditioned))
        facts[name] = {"codes": prefix, "ms": 1e3 * seconds, "ms_a_code": 1e3 * seconds / max(prefix, 1)}
    return facts


def _minute(folder: ModelFolder, level: Level, settings: LevelSampling, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the seconds that a minute of music takes at a level, window by window, by the measurements."""
    config = folder.card.priors[level]
    ratio = config.ratio
    total = max(ratio, int(MINUTE * config.sample_rate / config.hop) // ratio * ratio)
    advance = advance_codes(config.context, settings.advance, ratio)
    windows = list(plan_windows(total, context=config.context, advance=advance, ratio=ratio))
    read = facts["prefill"]
    reading = sum(read["conditioning_ms"] + _interpolated(read, window.prefix) for window in windows)
    decoding = sum(window.new for window in windows) * facts["decode_ms"]["median"]
    return {"codes": total, "windows": len(windows), "seconds": (reading + decoding) / 1e3}


def _interpolated(read: Mapping[str, Any], prefix: int) -> float:
    """Return the milliseconds of reading a prefix, interpolated linearly between those measured."""
    low, high = ("none", "half") if prefix <= read["half"]["codes"] else ("half", "full")
    before, after = read[low], read[high]
    share = (prefix - before["codes"]) / max(after["codes"] - before["codes"], 1)
    return float(before["ms"] + share * (after["ms"] - before["ms"]))


def _audio_a_second(folder: ModelFolder, level: Level, machine: Machine) -> float:
    """Return the seconds of a level's audio that are decoded per second, chunk by chunk."""
    vqvae, config = folder.vqvae(machine.device, (level,)), folder.card.vqvae
    frames = max(1, round(machine.chunk_seconds * config.codes_per_second(level)))
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(config.codebook_size, (1, frames), generator=generator).to(machine.device)

    def decode() -> None:
        for _ in chunks.decode(vqvae, codes, level, chunk_seconds=machine.chunk_seconds):
            pass

    took = Times([timed(decode, machine.device) for _ in range(REPEATS + 1)][1:])  # the first one warms up
    return frames / config.codes_per_second(level) / took.median


def _milliseconds(times: Times) -> dict[str, float]:
    """Return minimum and median in milliseconds."""
    return {"least": 1e3 * times.minimum, "median": 1e3 * times.median}


def _ratios(slow: Times, fast: Times) -> dict[str, float]:
    """Return how many times as long one takes as the other, by the minima and by the medians."""
    return {"least": slow.minimum / fast.minimum, "median": slow.median / fast.median}
