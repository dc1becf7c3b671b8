"""From the options of a sampling command to a pipeline request, and from its result to stdout."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from jukectl.checkpoints.published import size
from jukectl.cli.console import Watching, emit, say, show_facts
from jukectl.cli.options import (
    parse_adapter,
    parse_levels,
    parse_memory,
    parse_per_level,
    read_schedule,
)
from jukectl.codes.level import Level

if TYPE_CHECKING:
    from jukectl.api import Estimate, Rendered, Request, TreeEstimate
    from jukectl.plan.dry_run import LevelEstimate


def build_request(
    *,
    temperature: str | None = None,
    top_p: str | None = None,
    top_k: str | None = None,
    advance: str | None = None,
    guidance: str | None = None,
    parallel: int | None = None,
    levels: str = "top,middle,bottom",
    preview: str = "",
    genre: list[str] | None = None,
    lyrics: Path | None = None,
    schedule: Path | None = None,
    adapter: list[str] | None = None,
    max_memory: str | None = None,
    seconds: float | None = None,
    **options: object,
) -> "Request":
    """A Request from option texts; BadInput names the option that is wrong."""
    from jukectl.lyrics.value import Lyrics
    from jukectl.plan.request import AdapterChoice, Request

    settings = {
        name: parse_per_level(option, text)
        for name, option, text in (
            ("temperature", "--temperature", temperature),
            ("top_p", "--top-p", top_p),
            ("top_k", "--top-k", top_k),
            ("advance", "--advance", advance),
            ("guidance", "--guidance", guidance),
        )
    }
    if parallel is not None:
        settings["parallel"] = dict.fromkeys(Level, parallel)  # the top follows from nothing, so it is made in one
    return Request(
        settings=settings,
        levels=parse_levels(levels),
        preview=parse_levels(preview),
        genres=tuple(genre or ()),
        lyrics=None if lyrics is None else Lyrics.read(lyrics),
        schedule=() if schedule is None else read_schedule(schedule),
        adapters=tuple(AdapterChoice(*parse_adapter(text)) for text in adapter or ()),
        max_memory=parse_memory(max_memory),
        seconds=20.0 if seconds is None else seconds,
        seconds_of_midi=seconds is None and options.get("midi") is not None,
        **options,  # type: ignore[arg-type]
    )


def show_rendered(context: typer.Context, result: "Rendered", show: Watching) -> None:
    """The audio paths on stdout; a remark where there was nothing to do, unless other progress than usual is shown."""
    if not result.new and show is Watching.AUTO:
        say(context, f"{result.song} is finished already: nothing to do.")
    emit(
        context,
        result.audio,
        {
            "song": str(result.song),
            "audio": [str(path) for path in result.audio],
            "new": result.new,
            **({"plots": [str(path) for path in result.plots]} if result.plots else {}),
        },
    )


def show_estimate(context: typer.Context, estimate: "Estimate") -> None:
    """What a song would take, on stdout: lines for people, or with --json one object."""
    from jukectl.plan.eta import duration

    lines = _level_lines(estimate.levels)
    if estimate.encoding_seconds:
        lines.insert(0, f"prompt to codes: about {duration(estimate.encoding_seconds)}")
    if estimate.decoding_seconds:
        lines.append(f"codes to audio: about {duration(estimate.decoding_seconds)}")
    memory = f"{size(estimate.memory_bytes)} of the {size(estimate.memory_free_bytes)} of memory to be had"
    total = f"{estimate.song} with {estimate.model} on {estimate.device}: about {duration(estimate.seconds)}, {memory}"
    if not lines:
        total = f"{estimate.song} is finished already: nothing to do."
    show_facts(context, estimate.to_dict(), [*lines, total])


def show_tree_estimate(context: typer.Context, estimate: "TreeEstimate") -> None:
    """What a tree would take to grow, on stdout: lines for people, or with --json one object."""
    from jukectl.plan.eta import duration

    lines = []
    if estimate.encoding_seconds:
        lines.append(f"recording to codes: about {duration(estimate.encoding_seconds)}")
    for step in estimate.steps:
        nodes = "1 node" if step.nodes == 1 else f"{step.nodes} nodes"
        what = f"step {step.step}, {nodes}" if step.step else "root"
        lines += [f"{what}, {line}" for line in _level_lines(step.levels)]
    if estimate.decoding_seconds:
        lines.append(f"codes to audio: about {duration(estimate.decoding_seconds)}")
    memory = f"{size(estimate.memory_bytes)} of the {size(estimate.memory_free_bytes)} of memory to be had"
    total = (
        f"{estimate.tree} with {estimate.model} on {estimate.device}: {estimate.nodes} nodes to grow, "
        f"about {duration(estimate.seconds)}, {memory}"
    )
    if not lines:
        total = f"{estimate.tree} is grown already: nothing to do."
    show_facts(context, estimate.to_dict(), [*lines, total])


def _level_lines(levels: "Mapping[Level, LevelEstimate]") -> list[str]:
    """What each level would take."""
    from jukectl.plan.eta import duration

    return [
        f"{level.label}: {one.codes} codes in {one.windows} windows that know {one.known}; {one.at_a_time} of "
        f"{one.rows} rows at a time in {one.precision}: about {duration(one.seconds)} and {size(one.memory_bytes)}"
        for level, one in levels.items()
    ]
