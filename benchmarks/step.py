"""Measure milliseconds per code at one shape: naive torch, the eager and the fast decoder, and transformers' port.

    python benchmarks/step.py                              # width 512, depth 12, context 2048, one thread
    python benchmarks/step.py --shape 5b --device cuda     # a published prior on a GPU

All run in one process, interleaved piece by piece; before every piece a buffer is read that evicts weights from caches.
Weights are random and of the same shape. The floor of a precision is the bytes that a step reads over the measured
memory bandwidth. The port is included if transformers 4.57.6 is installed: see README.md.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from jukectl.checkpoints.configurations import BOTTOM, TOP_1B_LYRICS, TOP_5B, TOP_5B_LYRICS
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.inspect.naive import NaiveDecoder
from jukectl.prior.config import PriorConfig
from jukectl.prior.model import Prior
from jukectl.sampling.decoders.base import Decoder, EagerDecoder
from jukectl.sampling.decoders.choose import decoder_for
from jukectl.sampling.floor import step_bytes
from jukectl.sampling.timing import Candidate, Memory, Rounds, Times, interleaved

SMALL = PriorConfig(level=Level.TOP, context=2048, width=512, depth=12, heads=4, blocks=64, hop=128)
SHAPES: Mapping[str, PriorConfig] = {
    "small": SMALL,
    "upsampler": BOTTOM,
    "1b-lyrics": TOP_1B_LYRICS,
    "5b": TOP_5B,
    "5b-lyrics": TOP_5B_LYRICS,
}
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.float32}
SETTINGS = LevelSampling(temperature=0.98)


def prior_of(config: PriorConfig, device: torch.device, number: torch.dtype) -> Prior:
    """Return a prior with random weights, the same in every precision."""
    torch.manual_seed(0)
    with torch.device(device):
        prior = Prior(config)
    return prior.to(number).requires_grad_(False).eval()


def candidates(config: PriorConfig, given: argparse.Namespace, samples: int) -> dict[str, tuple[str, Candidate]]:
    """Return the decoders to compare by name, with the precision of their floor."""
    device, found = torch.device(given.device), {}
    for precision in given.precisions:
        prior = prior_of(config, device, TYPES[precision] if device.type == "cpu" else _on_gpu(precision))
        plain: list[tuple[str, Decoder]] = []
        if precision == given.precisions[0]:
            plain = [("naive torch", NaiveDecoder(prior, SETTINGS)), ("eager", EagerDecoder(prior, samples, SETTINGS))]
        fast = decoder_for(prior, samples, SETTINGS, int8=precision == "int8")
        for name, decoder in [*plain, (type(fast).__name__, fast)]:
            found[f"{name}, {precision}"] = (precision, Candidate.of(prior, decoder, samples))
    first = next(iter(found.values()))[1]
    if device.type == "cpu" and (port := _port(config, samples)) is not None:
        found["transformers, fp32"] = ("fp32", replace(first, decoder=port))
    return found


def _on_gpu(precision: str) -> torch.dtype:
    return torch.bfloat16 if precision == "int8" else TYPES[precision]


def _port(config: PriorConfig, samples: int) -> Decoder | None:
    """Return the port, None if it is not installed or does not support the attention of this shape."""
    try:
        from port import PortDecoder

        return PortDecoder(config, samples, SETTINGS)
    except (ImportError, ValueError) as error:
        print(f"without the port: {error}\n")
        return None


def measure(config: PriorConfig, given: argparse.Namespace, samples: int) -> list[dict[str, Any]]:
    """Return a row for every decoder."""
    rounds = Rounds.plan(config.context, given.codes, given.rounds)
    steps = {one: step_bytes(config, one, rounds.places, samples).total for one in given.precisions}
    memory = Memory(torch.device(given.device), max(steps.values()))
    found = candidates(config, given, samples)
    times = interleaved({name: one for name, (_, one) in found.items()}, memory, rounds, samples=samples)
    against = {name: one for name, one in times.items() if name.startswith(("naive", "transformers"))}
    return [
        {
            "samples": samples,
            "name": name,
            "ms": _both(took, 1e3),
            "codes_a_second": samples / took.median,
            "floor_ms": _both(memory.times, 1e3 * steps[found[name][0]]),
            "against_floor": _ratio(took, memory.times, 1 / steps[found[name][0]]),
            "times_as_fast_as": {other.split(",")[0]: _ratio(slow, took) for other, slow in against.items()},
        }
        for name, took in times.items()
    ]


def _both(times: Times, factor: float) -> dict[str, float]:
    return {"least": factor * times.minimum, "median": factor * times.median}


def _ratio(slow: Times, fast: Times, factor: float = 1.0) -> dict[str, float]:
    return {"least": factor * slow.minimum / fast.minimum, "median": factor * slow.median / fast.median}


def show(rows: list[dict[str, Any]]) -> None:
    """Print a Markdown table: medians, and minima in brackets."""

    def cell(values: Mapping[str, float] | None) -> str:
        return "-" if values is None else f"{values['median']:.2f} ({values['least']:.2f})"

    print("| samples | decoder | ms a code | codes/s | floor (ms) | x floor | naive / this | transformers / this |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        fast = row["times_as_fast_as"]
        cells = [cell(row["floor_ms"]), cell(row["against_floor"])]
        cells += [cell(fast.get(name)) for name in ("naive torch", "transformers")]
        speed = f"{cell(row['ms'])} | {row['codes_a_second']:.0f}"
        print(f"| {row['samples']} | {row['name']} | {speed} | {' | '.join(cells)} |")


def options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument(
        "--samples", type=int, nargs="+", default=[1, 16], help="batch sizes, measured one after another"
    )
    parser.add_argument(
        "--precisions", nargs="+", choices=TYPES, help="naive torch and the eager decoder use the first one"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--codes", type=int, default=64, help="per piece")
    parser.add_argument("--rounds", type=int, default=11, help="pieces of each decoder")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--quick", action="store_true", help="check that it runs: a small shape, few codes")
    given = parser.parse_args()
    given.precisions = given.precisions or (["fp32", "bf16", "int8"] if given.device == "cpu" else ["bf16", "int8"])
    return given


def main() -> None:
    """Measure, and print a table."""
    given = options()
    config = SHAPES[given.shape]
    if given.quick:
        config = replace(SMALL, context=64, width=32, depth=3, heads=2, blocks=8)
        given.samples, given.codes, given.rounds = [2], 2, 2
    torch.set_num_threads(given.threads)
    where = torch.cuda.get_device_name() if given.device.startswith("cuda") else f"cpu, threads: {given.threads}"
    shape = f"width {config.width}, depth {config.depth}, context {config.context}, heads {config.heads}"
    print(f"{shape}, on {where}, torch {torch.__version__}; median (minimum)\n")
    rows = [row for samples in given.samples for row in measure(config, given, samples)]
    show(rows)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
