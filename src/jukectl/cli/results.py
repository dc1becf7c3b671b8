"""Results of the commands that make songs, on stdout."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from jukectl.cli.console import ProgressStyle, console, emit, say, show_facts
from jukectl.cli.next_steps import after_song, open_result, suggest
from jukectl.cli.outputs import Destination, write_audio
from jukectl.codes.level import Level

if TYPE_CHECKING:
    from jukectl.api import Estimate, Rendered, Taken, TreeEstimate
    from jukectl.cli.options import SamplingOptions
    from jukectl.plan.dry_run import LevelEstimate


def show_rendered(context: typer.Context, result: "Rendered", options: "SamplingOptions") -> None:
    """Print the audio paths, open the first with --open; say on stderr if nothing was left to do, or what to do next.

    With --progress set, stderr has neither.
    """
    if not result.new and options.show is ProgressStyle.AUTO:
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
    if options.show is ProgressStyle.AUTO:
        after_song(context, result)
    if options.open and result.audio:
        open_result(result.audio[0])


def show_song(context: typer.Context, result: "Rendered", options: "SamplingOptions", place: Destination) -> None:
    """Print the audio paths of a new song, or write its audio to stdout if --out asks for that."""
    if place.to_stdout:
        write_audio(result.audio[0])
    else:
        show_rendered(context, result, options)


def show_taken(context: typer.Context, taken: "Taken") -> None:
    """Print the folder of a new song."""
    if not taken.new:
        say(context, f"{taken.song} exists already: nothing to do.")
    emit(context, [taken.song], {"song": str(taken.song), "new": taken.new})
    suggest(context, ("resume", taken.song), ("branch", taken.song), ("play", taken.song))


def show_estimate(context: typer.Context, estimate: "Estimate") -> None:
    """Print what a song would take: a line for people, with --verbose one for each level; or with --json one object."""
    lines = _around(estimate, "prompt to codes", _level_lines(estimate.levels))
    total = f"{estimate.song}: {_total(context, estimate)}"
    if not lines:
        total = f"{estimate.song} is finished already: nothing to do."
    show_facts(context, estimate.to_dict(), [*_details(context, lines), total])


def show_tree_estimate(context: typer.Context, estimate: "TreeEstimate") -> None:
    """Print what a tree would take to grow, as `show_estimate` does."""
    steps = []
    for step in estimate.steps:
        nodes = "1 node" if step.nodes == 1 else f"{step.nodes} nodes"
        name = f"step {step.step}, {nodes}" if step.step else "root"
        steps += [f"{name}, {line}" for line in _level_lines(step.levels)]
    lines = _around(estimate, "recording to codes", steps)
    total = f"{estimate.tree}: {estimate.nodes} nodes to grow, {_total(context, estimate)}"
    if not lines:
        total = f"{estimate.tree} is grown already: nothing to do."
    show_facts(context, estimate.to_dict(), [*_details(context, lines), total])


def _details(context: typer.Context, lines: list[str]) -> list[str]:
    return lines if console(context).verbose else []


def _around(estimate: "Estimate | TreeEstimate", encoding: str, lines: list[str]) -> list[str]:
    """Return the lines of sampling, after that of encoding and before that of decoding, if there are any."""
    from jukectl.plan.eta import duration

    before = [f"{encoding}: about {duration(estimate.encoding_seconds)}"] if estimate.encoding_seconds else []
    after = [f"codes to audio: about {duration(estimate.decoding_seconds)}"] if estimate.decoding_seconds else []
    return [*before, *lines, *after]


def _total(context: typer.Context, estimate: "Estimate | TreeEstimate") -> str:
    """Return the time and the memory of all together; with --verbose the model and the memory that is available."""
    from jukectl.checkpoints.published import size
    from jukectl.plan.eta import plainly

    total = plainly(estimate.seconds, estimate.memory_bytes, estimate.device)
    if console(context).verbose:
        total += f" ({estimate.model} on {estimate.device}, {size(estimate.memory_free_bytes)} available)"
    return total


def _level_lines(levels: "Mapping[Level, LevelEstimate]") -> list[str]:
    """Return a line for each level."""
    from jukectl.checkpoints.published import size
    from jukectl.plan.eta import duration

    return [
        f"{level.label}: {one.codes} codes in {_counted(one.windows, 'window')}, {one.known} prefix codes; "
        f"{one.at_a_time} of {one.rows} rows per batch in {one.precision}: "
        f"about {duration(one.seconds)} and {size(one.memory_bytes)}"
        for level, one in levels.items()
    ]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
