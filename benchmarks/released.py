"""Measure the published models' shapes on this CPU, with random weights: a code, 16 rows, a minute of music.

    python benchmarks/released.py            # both upsamplers, the top priors of 1b-lyrics and 5b-lyrics
    python benchmarks/released.py --quick    # one upsampler and the top prior of 1b-lyrics, fewer codes

The floor is the bytes that a step reads over the rate at which all threads together read memory. The rate is measured
in the same rounds as the steps, before each piece of them. The minute of music is extrapolated from a step of each
level, the conditioning and the prefix of its windows; it is sampled in 16 parallel spans below the top.
"""

import argparse
import gc
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jukectl.checkpoints.configurations import ADVANCE, BOTTOM, MIDDLE, TOP_1B_LYRICS, TOP_5B_LYRICS
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.native.library import library
from jukectl.native.packing import PANEL, Packed, Precision
from jukectl.plan.eta import Speed
from jukectl.plan.forecast import Extent, level_work
from jukectl.prior.config import PriorConfig
from jukectl.prior.matrices import PackedPrior, matrix_names
from jukectl.prior.model import ConditioningTensors, Prior
from jukectl.sampling.decoders.native import NativeDecoder
from jukectl.sampling.floor import step_bytes
from jukectl.sampling.footprint import BatchPlan, MemoryPlan
from jukectl.sampling.timing import conditioning, last_cache

CODES = {Level.TOP: 20_672, Level.MIDDLE: 82_688, Level.BOTTOM: 330_752}  # of a minute
ROWS = 16
SETTINGS = LevelSampling(temperature=0.98)
DTYPES = {Precision.FP32: np.float32, Precision.BF16: np.int16, Precision.INT8: np.int8}


def random_prior(config: PriorConfig, precision: Precision) -> PackedPrior:
    """Return a prior with random weights whose matrices are packed, as from the cache."""
    found, generator = library(), np.random.default_rng(0)
    assert found is not None
    with torch.device("meta"):
        shapes = {name: tuple(one.shape) for name, one in Prior(config).state_dict().items()}
    matrices, inside = {}, set()
    for name, one in matrix_names(config).items():
        inputs, outputs = shapes[one.weight]
        if one.bias is None:
            inputs, outputs = outputs, config.sampled_ids
        else:
            inside |= {one.weight, one.bias}
        matrices[name] = random_matrix(inputs, -(-outputs // PANEL) * PANEL, precision, generator)
    with torch.device("meta"):
        prior = PackedPrior(config, precision, matrices)
    torch.manual_seed(0)
    rest = {name: torch.empty(shape).normal_(std=0.02) for name, shape in shapes.items() if name not in inside}
    prior.load_state_dict(rest, strict=False, assign=True)
    return prior.requires_grad_(False).eval()


def random_matrix(inputs: int, outputs: int, precision: Precision, generator: np.random.Generator) -> Packed:
    """Return random weights as they are packed."""
    numbers = inputs * outputs
    some = generator.standard_normal(min(numbers, 2**18)).astype(np.float32)
    if precision is Precision.BF16:
        some = (some * 0.02).view(np.int32) >> 16
    elif precision is Precision.INT8:
        some = (some * 30).clip(-127, 127)
    weight = torch.empty(numbers * DTYPES[precision]().itemsize, dtype=torch.uint8).numpy().view(DTYPES[precision])
    some = some.astype(DTYPES[precision])
    for first in range(0, numbers, len(some)):  # torch's memory begins at a line of the cache, as mapped files do
        weight[first : first + len(some)] = some[: numbers - first]
    arrays = {"weight": weight, "bias": np.zeros(outputs, np.float32)}
    if precision is Precision.INT8:
        arrays["scale"] = np.full(outputs, 0.02 / 30, np.float32)
        panels = weight.reshape(outputs // PANEL, inputs // 4, PANEL, 4)
        arrays["sums"] = np.einsum("pikj->pk", panels, dtype=np.int32).reshape(-1)
    return Packed(inputs, outputs, arrays)


class Reading:
    """Reads of a buffer larger than the caches by all threads, which also evict whatever is in the caches."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.buffer = np.full(min(max(4 * last_cache(), 2**29), 2**30), 1, np.uint8)
        self.pool = ThreadPoolExecutor(threads)
        self.best = 0.0  # bytes a second

    def __call__(self) -> None:
        """Read the buffer once."""
        found = library()
        assert found is not None
        began = time.perf_counter()
        parts = np.array_split(self.buffer, self.threads)
        list(self.pool.map(lambda part: found.jukectl_checksum(part.ctypes.data, part.nbytes), parts))
        self.best = max(self.best, self.buffer.nbytes / (time.perf_counter() - began))


class Decoding:
    """A decoder in the middle of a window."""

    def __init__(self, prior: PackedPrior, row: ConditioningTensors, rows: int, threads: int) -> None:
        self.rows = rows
        self.decoder = NativeDecoder(prior, rows, SETTINGS, prior.precision, threads=threads)
        self.numbers = torch.rand(rows, 4096, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        self.conditioning = ConditioningTensors.join([row] * rows)
        self.times: list[float] = []  # seconds a code

    def begin(self, prefix: int) -> float:
        """Read a prefix, the same for each row; return the seconds a code of one row."""
        codes = torch.arange(prefix).expand(self.rows, -1) % 7
        began = time.perf_counter()
        self.decoder.begin(codes, self.conditioning)
        return (time.perf_counter() - began) / max(prefix, 1) / self.rows

    def decode(self, codes: int) -> torch.Tensor:
        """Decode some codes, and time them."""
        began = time.perf_counter()
        made = self.decoder.decode(self.numbers[:, :codes])
        self.times.append((time.perf_counter() - began) / codes)
        return made


def measure(config: PriorConfig, given: argparse.Namespace, reading: Reading) -> dict[str, Any]:
    """Measure one prior: one row and many, at several depths of a window, and whether the codes are the same."""
    prior = random_prior(config, Precision[given.precision.upper()])
    began = time.perf_counter()
    row = conditioning(prior, 1)
    facts: dict[str, Any] = {"conditioning_s": time.perf_counter() - began}
    facts["depths"] = at_depths(config, prior, row, given, reading)
    facts |= {name: float(np.mean([one[name] for one in facts["depths"]])) for name in facts["depths"][0]}
    return facts | same_codes(prior, row, given)


def at_depths(
    config: PriorConfig, prior: PackedPrior, row: ConditioningTensors, given: argparse.Namespace, reading: Reading
) -> list[dict[str, float]]:
    """Return the milliseconds of a code after prefixes of several lengths, of one row and of many."""
    depths = []
    few, many = (Decoding(prior, row, rows, given.threads) for rows in (1, given.rows))
    codes = 8 if given.quick else 32
    for share in (0.5,) if given.quick else (0.1, 0.5, 0.9):
        known = int(share * config.context)
        # the whole prefix for one row; for many, enough of it: each row costs the same
        each = few.begin(known)
        many.begin(known if not given.quick else min(known, 128))
        few.decode(2), many.decode(2)
        few.times, many.times = [], []
        for _ in range(given.rounds):
            for one in (few, many):
                reading()
                one.decode(codes)
        place = range(known, known + 1)
        floors = [step_bytes(config, given.precision, place, one.rows).total / reading.best for one in (few, many)]
        depths.append(
            {
                "prefix": known,
                "prefix_ms": 1e3 * each,
                "row_ms": 1e3 * min(few.times),
                "rows_ms": 1e3 * min(many.times),
                "floor_ms": 1e3 * floors[0],
                "rows_floor_ms": 1e3 * floors[1],
            }
        )
    return depths


def same_codes(prior: PackedPrior, row: ConditioningTensors, given: argparse.Namespace) -> dict[str, bool]:
    """Return whether codes depend on the threads, and on the rows beside a row."""

    def made(rows: range, threads: int) -> torch.Tensor:
        one = Decoding(prior, row, len(rows), threads)
        one.numbers = torch.rand(given.rows, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        one.numbers = one.numbers[rows.start : rows.stop]
        one.begin(70)
        return one.decode(6)

    whole, alone = made(range(given.rows), given.threads), made(range(3, 4), given.threads)
    one = made(range(given.rows), 1)
    return {"same_codes_rows": torch.equal(whole[3:4], alone), "same_codes_threads": torch.equal(whole, one)}


def minutes(config: PriorConfig, facts: dict[str, Any], rows: int) -> dict[str, float]:
    """Return the minutes that a minute of music takes at a level, and their parts."""
    settings = replace(SETTINGS, advance=ADVANCE[config.level], parallel=1 if config.level is Level.TOP else rows)
    batch = 1 if config.level is Level.TOP else rows
    plan = MemoryPlan(BatchPlan(batch), "int8", 0)
    work = level_work(config, settings, plan, Extent(CODES[config.level]), samples=1)
    new = facts["row_ms"] if batch == 1 else facts["rows_ms"]
    parts = {
        "sampling": Speed(0, 0, 0, 0, new / 1e3),
        "prefix": Speed(0, 0, 0, batch * facts["prefix_ms"] / 1e3, 0),
        "conditioning": Speed(0, 0, batch * facts["conditioning_s"], 0, 0),
    }
    return {name: work.seconds(speed) / 60 for name, speed in parts.items()}


def options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=5, help="pieces at each depth, of which the quickest counts")
    parser.add_argument("--precision", default="int8", choices=["fp32", "bf16", "int8"])
    parser.add_argument("--quick", action="store_true", help="in under 5 minutes")
    parser.add_argument("--only", nargs="+", help="bottom, middle, 1b-lyrics, 5b-lyrics")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    return parser.parse_args()


def main() -> None:
    """Measure, and print tables."""
    given = options()
    torch.set_num_threads(given.threads)
    shapes = {"bottom": BOTTOM, "middle": MIDDLE, "1b-lyrics": TOP_1B_LYRICS, "5b-lyrics": TOP_5B_LYRICS}
    names = given.only or (["bottom", "1b-lyrics"] if given.quick else list(shapes))
    reading, found = Reading(given.threads), {}
    print(f"{given.precision}, {given.threads} threads, {given.rows} rows; the quickest of {given.rounds} pieces\n")
    print("| prior | a row (ms) | floor | x floor | rows (ms) | floor | codes/s, rows over row | prefix code (ms) |")
    print("| --- |" + " ---: |" * 7)
    for name in names:
        facts = found[name] = measure(shapes[name], given, reading)
        row, rows = facts["row_ms"], facts["rows_ms"]
        cells = [row, facts["floor_ms"], row / facts["floor_ms"], rows, facts["rows_floor_ms"], given.rows * row / rows]
        print(f"| {name} | {' | '.join(f'{one:.2f}' for one in cells)} | {facts['prefix_ms']:.3f} |", flush=True)
        gc.collect()
    print(f"\nmemory is read at {reading.best / 1e9:.1f} GB/s")
    first = found[names[0]]
    result: dict[str, Any] = {
        "one_row_over_floor": first["row_ms"] / first["floor_ms"],
        "rows16_over_row1": given.rows * first["row_ms"] / first["rows_ms"],
        "same_codes_threads": all(one["same_codes_threads"] for one in found.values()),
        "same_codes_rows": all(one["same_codes_rows"] for one in found.values()),
        "bytes_a_second": reading.best,
        "priors": found,
    }
    if "bottom" in found and "1b-lyrics" in found:
        parts = {"1b-lyrics": minutes(TOP_1B_LYRICS, found["1b-lyrics"], given.rows)}
        for name, config in (("middle", MIDDLE), ("bottom", BOTTOM)):
            parts[name] = minutes(config, found.get(name, first), given.rows)  # both have one shape
        print("\n| a minute of music, in minutes | sampling | prefix | conditioning |\n| --- | ---: | ---: | ---: |")
        for name, one in parts.items():
            print(f"| {name} | {' | '.join(f'{value:.1f}' for value in one.values())} |")
        result["minute_minutes"] = sum(sum(one.values()) for one in parts.values())
        result["minute_parts"] = parts
        print(f"\ntogether {result['minute_minutes']:.0f} minutes")
    print(f"the same codes with 1 thread: {result['same_codes_threads']}, alone: {result['same_codes_rows']}")
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
