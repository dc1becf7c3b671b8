"""`jukectl doctor`."""

from dataclasses import asdict
from typing import Any

import typer

from jukectl.checkpoints.published import size
from jukectl.cli import options as o
from jukectl.cli.console import clock, show_facts
from jukectl.cli.values import parse_memory


def doctor(
    context: typer.Context,
    model: o.Model = None,
    device: o.Device = "auto",
    precision: o.Precision = "auto",
    max_memory: o.MaxMemory = None,
) -> None:
    """Show devices, memory, the models that fit, and the time that a minute of music would take.

    A published model need not be on this machine: it is planned from its shapes.

    Example: jukectl doctor --model 1b-lyrics
    """
    from jukectl import api

    facts = asdict(api.examine(device, precision, model, parse_memory(max_memory)))
    lines = [
        f"jukectl {facts['version']}, torch {facts['torch']}, devices: {', '.join(facts['devices'])}",
        f"{facts['cpus']} CPUs, {_gib(facts['memory_free_bytes'])} of {_gib(facts['memory_bytes'])} GiB free",
        f"ffmpeg: {'found' if facts['ffmpeg'] else 'not found; not needed for wav, flac, ogg and mp3'}",
    ]
    show_facts(context, facts, lines + [_model_line(one) for one in facts["models"]])


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f}"


def _model_line(model: dict[str, Any]) -> str:
    if "problem" in model:
        return f"{model['name']}: {model['problem']}"
    if not model["fits"]:
        return f"{model['name']}: does not fit into memory: it needs {size(model['needed_bytes'])} on {model['device']}"
    seconds = model["seconds_a_minute"]
    parts = ", ".join(f"{name} {clock(value)}" for name, value in seconds.items() if name != "all")
    here = "" if model["here"] else " (not here: planned from its shapes)"
    return (
        f"{model['name']}{here}: fits; a minute of music takes about {clock(seconds['all'])} on {model['device']} "
        f"({parts}) and {size(model['needed_bytes'])} of memory"
    )
