"""`jukectl bench`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jukectl.cli import options as o
from jukectl.cli import tables
from jukectl.cli.console import clock, progress, show_facts
from jukectl.cli.values import parse_levels

if TYPE_CHECKING:
    from rich.table import Table


def bench(
    context: typer.Context,
    model: o.Model = None,
    levels: Annotated[str, o.option("--levels", o.ANY_LEVELS, "Levels to measure.")] = o.ALL_LEVELS,
    samples: Annotated[int, o.option("--samples", "N", "Number of songs made at once.")] = 1,
    precision: o.Precision = "auto",
    device: o.Device = "auto",
    codes: Annotated[int, o.option("--codes", "N", "Number of codes in each timed run.")] = 64,
) -> None:
    """Measure how fast a model generates codes, against the limit set by this machine's memory bandwidth.

    The floor is the time to read what a step needs, which is weights, keys and values, at the measured bandwidth. Runs
    of jukectl, of memory reads and of naive PyTorch are interleaved. The table shows medians, and minima in brackets.

    Example: jukectl bench --model mini --levels top
    """
    from jukectl import api

    with progress(context) as listener:
        facts = api.bench(
            model,
            levels=parse_levels(levels),
            samples=samples,
            codes=codes,
            device=device,
            precision=precision,
            listener=listener,
        )
    made = [_level(name, level, facts) for name, level in facts["levels"].items()]
    show_facts(context, facts, [*tables.lines(made), "", _minute(facts)])


def _level(name: str, level: dict[str, Any], facts: dict[str, Any]) -> "Table":
    """Return the table of one level."""
    made = tables.table(
        f"{facts['model']}, {name}: {facts['precision']} on {facts['device']}, samples: {facts['samples']}",
        "median (min)",
        text=1,
    )
    step, speed, read = level["bytes_a_step"], level["gigabytes_a_second"], level["prefill"]
    megabytes = tables.figure((step["weights"] + step["cache"]) / 1e6)
    made.add_row(f"time per code, {level['decoder']} (ms)", _both(level["decode_ms"]))
    made.add_row(f"floor: {megabytes} MB at {speed['median']:.1f} GB/s (ms)", _both(level["floor_ms"]))
    if level["cached_floor_ms"]:
        made.add_row("floor, read from the CPU's cache (ms)", _both(level["cached_floor_ms"]))
    made.add_row("time per code / floor", _both(level["against_floor"]))
    made.add_row("time per code, naive PyTorch (ms)", _both(level["naive_ms"]))
    made.add_row("naive PyTorch / jukectl", _both(level["against_naive"]))
    made.add_row("codes per second, all samples", f"{level['codes_a_second']:.0f}")
    for part in ("half", "full"):
        one = read[part]
        made.add_row(f"prefill of {one['codes']} codes (ms)", tables.figure(one["ms"]))
        made.add_row("time per code of the prefill (ms)", f"{one['ms_a_code']:.4f}")
    made.add_row("conditioning of one window (ms)", tables.figure(read["conditioning_ms"]))
    made.add_row("audio decoded (s/s)", f"{level['codec']['seconds_a_second']:.0f}")
    minute = level["minute"]
    made.add_row(
        f"a minute of music: {minute['codes']} codes in {minute['windows']} windows (s)", f"{minute['seconds']:.1f}"
    )
    return made


def _minute(facts: dict[str, Any]) -> str:
    seconds = facts["minute_seconds"]
    parts = ", ".join(f"{name} {clock(value)}" for name, value in seconds.items() if name != "all")
    what = "a minute of music" if facts["samples"] == 1 else f"{facts['samples']} songs of a minute"
    return f"{what} would take {clock(seconds['all'])}: {parts}"


def _both(times: dict[str, float]) -> str:
    return f"{times['median']:.3f} ({times['least']:.3f})"
