"""Check and measure jukectl on a GPU: one command, under 8 minutes, no network; it goes on past a part that fails.

    python benchmarks/gpu_check.py --json gpu.json --table gpu.md
    python benchmarks/gpu_check.py --device cpu --tiny     # whether it runs, in half a minute; measures nothing

It needs torch and numpy; for the minute of music all that jukectl needs, and for the tests pytest. Weights are random,
of the published models' shapes. The floor is the bytes that a step reads over the rate at which this GPU reads memory,
measured here.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jukectl.checkpoints.configurations import ADVANCE, BOTTOM, TOP_1B_LYRICS, TOP_5B_LYRICS
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.nn.unallocated import unallocated
from jukectl.plan.eta import Speed
from jukectl.prior.config import FACTORED, AttentionKind, ConditionerConfig, LyricsConfig, PriorConfig, TimingConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import ConditioningTensors, Prior
from jukectl.sampling.decoders.base import Decoder, EagerDecoder
from jukectl.sampling.decoders.cuda_graph import GraphDecoder
from jukectl.sampling.floor import step_bytes
from jukectl.sampling.footprint import BatchPlan, MemoryPlan
from jukectl.sampling.timing import Memory, conditioning, timed

ROOT = Path(__file__).parents[1]
TESTS = ("tests/sampling/decoders/test_cuda_graph.py", "tests/sampling/test_segments.py")
CODES = {Level.TOP: 20_672, Level.MIDDLE: 82_688, Level.BOTTOM: 330_752}  # of a minute of music
SPANS = 16  # of a level below the top, sampled in parallel
GREEDY, DRAWN = LevelSampling(temperature=0), LevelSampling(temperature=0.98)


@dataclass
class Check:
    """State of a run: what was asked for, and the figures so far."""

    device: torch.device
    tiny: bool
    deadline: float
    shapes: dict[str, PriorConfig]
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def decoder(self, prior: Prior, rows: int, settings: LevelSampling = DRAWN) -> Decoder:
        """Return the decoder that songs are made with on this device."""
        return GraphDecoder(prior, rows, settings)


def tests(check: Check) -> dict[str, Any]:
    """Run the tests of decoding, those that need a GPU included."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests' / 'support'}"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    limit = max(min(120, check.left), 1)
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=limit
    )
    last = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1:]
    if done.returncode:
        raise RuntimeError(f"pytest ended with status {done.returncode}: {' '.join(last)}")
    return {"tests": last[0]}


def parity(check: Check) -> dict[str, Any]:
    """Compare greedy codes of CPU and GPU in float32, of small priors with every kind of attention and of lyrics."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    equal, total, different = 0, 0, []
    codes = 20 if check.tiny else 200
    for name, config in small_priors().items():
        torch.manual_seed(1)
        here = Prior(config).eval().requires_grad_(False)
        expected = greedy_codes(EagerDecoder(here, 3, GREEDY), here, codes)
        there = here.to(check.device)
        found = greedy_codes(check.decoder(there, 3, GREEDY), there, codes)
        same = expected == found
        equal, total = equal + int(same.sum()), total + same.numel()
        if not same.all():
            different.append(name)
    return {"codes_equal": equal, "codes": total, "priors_that_differ": different}


def small_priors() -> dict[str, PriorConfig]:
    """Return configurations of small priors: factored, dense and rotary, both layouts of lyrics, an upsampler."""
    common: dict[str, Any] = {
        "context": 256,
        "width": 128,
        "depth": 6,
        "heads": 2,
        "blocks": 16,
        "hop": 128,
        "sample_rate": 44_100,
        "codebook_size": 512,
        "artists": 5,
        "genres": 7,
        "init_scale": 5.0,  # of a new prior the logits would be nearly equal
    }
    top = common | {"level": Level.TOP, "timing": TimingConfig(bins=16, min_seconds=0.1, max_seconds=60)}
    apart = LyricsConfig(characters=48, alphabet=30, apart=True)
    merged = LyricsConfig(characters=48, alphabet=30, drawable=True)
    upper = ConditionerConfig(width=64, depth=2, downs=2, codebook_size=512)
    return {
        "factored": PriorConfig(**top, pattern=FACTORED),
        "dense": PriorConfig(**top, pattern=(AttentionKind.DENSE,)),
        "rotary": PriorConfig(**top, pattern=(AttentionKind.DENSE,), positions="rotary"),
        "lyrics apart": PriorConfig(**top, lyrics=apart, pattern=(AttentionKind.ROW, AttentionKind.ENCODER)),
        "lyrics in one sequence": PriorConfig(
            **top, lyrics=merged, tied_head=False, pattern=(*FACTORED, AttentionKind.LYRICS)
        ),
        "upsampler": PriorConfig(**common, level=Level.MIDDLE, conditioner=upper, pattern=FACTORED),
    }


def greedy_codes(decoder: Decoder, prior: Prior, codes: int) -> Tensor:
    """Return codes of three rows after a short prefix."""
    prefix = torch.arange(30).reshape(3, 10) % 7
    decoder.begin(prefix.to(prior.device), conditioning(prior, 3))
    return decoder.decode(torch.rand(3, codes, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))


def bandwidth(check: Check) -> dict[str, Any]:
    """Measure the rate at which the device reads memory, and its matrix products in bfloat16."""
    memory = Memory(check.device, 2**24 if check.tiny else 2**30, beyond_caches=not check.tiny)
    for _ in range(10):
        memory.read()
    size = 256 if check.tiny else 8192
    one = torch.randn(size, size, device=check.device, dtype=torch.bfloat16)
    one @ one
    took = min(timed(lambda: one @ one, check.device) for _ in range(10))
    return {"bytes_a_second": 1 / memory.times.minimum, "matmul_flops": 2 * size**3 / took}


def random_prior(config: PriorConfig, device: torch.device, dtype: torch.dtype) -> Prior:
    """Return a prior with random weights, made on the device."""
    with unallocated():
        prior = Prior(config)
    prior = prior.to(dtype).to_empty(device=device)
    for name, one in prior.state_dict().items():
        if one.is_floating_point():
            one.fill_(1) if "norm" in name and name.endswith("weight") else one.normal_(std=0.02)
    return prior.requires_grad_(False).eval()


def decoding(name: str) -> Callable[[Check], dict[str, Any]]:
    """Return the part that measures a prior: conditioning, prefix and codes, of one row and of many."""

    def measure(check: Check) -> dict[str, Any]:
        config, device = check.shapes[name], check.device
        prior = random_prior(config, device, torch.bfloat16)
        conditioning(prior, 1)
        facts: dict[str, Any] = {"conditioning_s": timed(lambda: conditioning(prior, 1), device)}
        rate = check.figures.get("memory", {}).get("bytes_a_second")
        for key, rows in (("row", 1), ("rows", SPANS)):
            facts |= {f"{key}_{what}": value for what, value in at_half(check, prior, rows).items()}
            if rate:
                place = range(config.context // 2, config.context // 2 + 1)
                facts[f"{key}_floor_ms"] = 1e3 * step_bytes(config, "bf16", place, rows).total / rate
        return facts

    return measure


def at_half(check: Check, prior: Prior, rows: int) -> dict[str, float]:
    """Return the milliseconds of a code of all rows in the middle of a window, and those of a code of the prefix."""
    known, device = prior.config.context // 2, check.device
    codes = 8 if check.tiny else 64
    prefix = (torch.arange(known) % 7).expand(rows, -1).to(device)
    told = ConditioningTensors.join([conditioning(prior, 1)] * rows)
    decoder = check.decoder(prior, rows)
    decoder.begin(prefix, told)  # records the step
    reading = timed(lambda: decoder.begin(prefix, told), device)
    numbers = torch.rand(rows, codes, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    decoder.decode(numbers[:, :4])
    took = min(timed(lambda: decoder.decode(numbers), device) for _ in range(3))
    return {"ms": 1e3 * took / codes, "prefix_ms": 1e3 * reading / known / rows}


def training(check: Check) -> dict[str, Any]:
    """Measure training steps of a 1 B upsampler in mixed precision: codes a second, and the share of the peak FLOPs."""
    config, device = check.shapes["bottom"], check.device
    prior = random_prior(config, device, torch.float32).requires_grad_(True).train()
    optimizer = torch.optim.AdamW(prior.parameters(), lr=1e-5, fused=device.type == "cuda")
    labels = LabelBatch.repeat(
        1,
        slots=config.genre_slots,
        total_length=2 * config.window_samples,
        sample_length=config.window_samples,
        device=device,
    )
    upper = None
    if config.conditioner is not None:
        upper = torch.zeros(1, config.upper_context, dtype=torch.int64, device=device)
    codes = torch.randint(config.codebook_size, (1, config.context), device=device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            loss = prior.loss(codes, labels, upper)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step()
    took = min(timed(step, device) for _ in range(3))
    # 6 for each weight of the blocks and code, forward and backward; attention and conditioning are left out
    weights = sum(one.numel() for one in prior.transformer.parameters())
    flops = 6 * weights * config.context / took
    facts = {"codes_a_second": config.context / took, "model_flops": flops, "weights_of_blocks": weights}
    peak = check.figures.get("memory", {}).get("matmul_flops")
    return facts | ({"share_of_matmul": flops / peak} if peak else {})


def minute(check: Check) -> dict[str, Any]:
    """Extrapolate a minute of music through 1b-lyrics and both upsamplers, in minutes."""
    from jukectl.plan.forecast import Extent, level_work  # it alone needs the other libraries of jukectl

    minutes: dict[str, float] = {}
    for level, name in ((Level.TOP, "1b-lyrics"), (Level.MIDDLE, "bottom"), (Level.BOTTOM, "bottom")):
        facts = check.figures[name]
        rows = 1 if level is Level.TOP else SPANS
        key = "row" if rows == 1 else "rows"
        config = replace(check.shapes[name], level=level)
        settings = replace(DRAWN, advance=ADVANCE[level], parallel=rows)
        plan = MemoryPlan(BatchPlan(rows), "bf16", 0)
        work = level_work(config, settings, plan, Extent(CODES[level]), samples=1)
        prefix = rows * facts[f"{key}_prefix_ms"] / 1e3
        speed = Speed(0, 0, rows * facts["conditioning_s"], prefix, facts[f"{key}_ms"] / 1e3)
        minutes[level.label] = work.seconds(speed) / 60
    return {"minutes": minutes, "minute_minutes": sum(minutes.values())}


PARTS: dict[str, Callable[[Check], dict[str, Any]]] = {
    "parity": parity,
    "memory": bandwidth,
    "bottom": decoding("bottom"),
    "1b-lyrics": decoding("1b-lyrics"),
    "minute": minute,
    "training": training,
    "5b-lyrics": decoding("5b-lyrics"),
    "tests": tests,
}
"""Parts of the check, the most important first."""


def run(check: Check, names: Sequence[str]) -> None:
    """Run parts. One that fails, or has no time left, says so in its figures."""
    for name in names:
        began = time.monotonic()
        if check.left <= 0:
            facts: dict[str, Any] = {"failed": "no time was left"}
        else:
            try:
                facts = PARTS[name](check)
            except Exception as error:
                traceback.print_exc()
                facts = {"failed": f"{type(error).__name__}: {error}"}
        if check.device.type == "cuda":
            facts["peak_gigabytes"] = torch.cuda.max_memory_allocated(check.device) / 1e9
        gc.collect()  # the models of the part, before the next part measures its own memory
        if check.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(check.device)
        facts["seconds"] = time.monotonic() - began
        check.figures[name] = facts
        print(f"{name}: {facts}", flush=True)


def table(check: Check) -> str:
    """Return the figures as Markdown."""
    lines = [f"{device_name(check.device)}, torch {torch.__version__}, bf16", ""]
    lines += ["| prior | a row (ms) | floor | 16 rows (ms) | floor | prefix code (ms) | peak (GB) |"]
    lines += ["| --- |" + " ---: |" * 6]
    for name in check.shapes:
        facts = check.figures.get(name, {})
        if "row_ms" in facts:
            keys = ("row_ms", "row_floor_ms", "rows_ms", "rows_floor_ms", "rows_prefix_ms", "peak_gigabytes")
            lines.append(
                f"| {name} | " + " | ".join(f"{facts[key]:.3f}" if key in facts else "" for key in keys) + " |"
            )
    lines.append("")
    for name, facts in check.figures.items():
        if "failed" in facts:
            lines.append(f"- {name}: failed, {facts['failed']}")
        elif name not in check.shapes:
            lines.append(f"- {name}: " + ", ".join(f"{key} {shown(value)}" for key, value in facts.items()))
    return "\n".join(lines) + "\n"


def shown(value: object) -> str:
    """Return a figure as text, numbers to three significant digits."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {shown(one)}" for key, one in value.items())
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def device_name(device: torch.device) -> str:
    """Return the name of a GPU, or of another kind of device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small shapes, to see whether it runs")
    parser.add_argument("--seconds", type=float, default=420, help="no part begins after this")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="default: all")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--table", type=Path, help="write a Markdown table to this file")
    return parser.parse_args()


def main() -> int:
    """Run the check; return 1 if a part failed."""
    given = options()
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("There is no CUDA device here. To see whether the check runs: --device cpu --tiny", file=sys.stderr)
        return 2
    shapes = {"bottom": BOTTOM, "1b-lyrics": TOP_1B_LYRICS, "5b-lyrics": TOP_5B_LYRICS}
    if given.tiny:
        small = small_priors()
        shapes = {"bottom": small["upsampler"], "1b-lyrics": small["factored"], "5b-lyrics": small["dense"]}
    check = Check(device, given.tiny, time.monotonic() + given.seconds, shapes)
    run(check, given.parts)
    print("\n" + table(check))
    for path, text in ((given.json, json.dumps(check.figures, indent=1) + "\n"), (given.table, table(check))):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return int(any("failed" in facts for facts in check.figures.values()))


if __name__ == "__main__":
    sys.exit(main())
