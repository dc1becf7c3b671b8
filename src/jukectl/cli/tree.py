"""`jukectl tree`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jukectl.cli.console import ProgressStyle, emit, progress, say, warnings_only
from jukectl.cli.options import (
    THE_SONGS,
    SamplingOptions,
    SongLevels,
    no_stream,
    option,
    sampling_command,
    song_argument,
)
from jukectl.cli.results import show_taken, show_tree_estimate
from jukectl.errors import BadInput

if TYPE_CHECKING:
    from jukectl.api import Grown

NOT_OF_A_TREE = (
    *("midi", "midi_at", "tempo", "meter", "no_beat", "schedule", "seconds", "start_at", "ending"),
    *("samples", "keep", "plots", "loudness", "match_loudness", "fade", "format", "open"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TreeOptions(SamplingOptions):
    """Options of a tree."""

    levels: SongLevels = None


@sampling_command(without=NOT_OF_A_TREE, shown={**THE_SONGS, "song_seconds": "up to the end of a leaf"})
def tree(
    context: typer.Context,
    source: Annotated[
        Path,
        song_argument("Recording or song to grow from, or tree to grow further.", "AUDIO|SONG|TREE"),
    ],
    options: TreeOptions,
    every: Annotated[
        float | None,
        option(
            "--every", "SECONDS", "Length of the new music of each node.", default="that of SONG, or 20 of a recording"
        ),
    ] = None,
    branch: Annotated[int, option("--branch", "N", "Number of continuations of each node.")] = 4,
    depth: Annotated[
        int | None,
        option("--depth", "N", "Number of steps from the root to a leaf.", default="2, or the tree's"),
    ] = None,
    leaf: Annotated[
        str | None,
        option("--leaf", "2.3", "Grow only the way to this leaf.", default="all leaves"),
    ] = None,
    out: Annotated[
        Path | None,
        option(
            "--out",
            "FOLDER",
            "Folder of the tree.",
            default="next to AUDIO or SONG, named after it",
            callback=no_stream,
        ),
    ] = None,
    at: Annotated[
        float | None,
        option("--at", "SECONDS", "Grow SONG from this time on.", default="its end"),
    ] = None,
    sample: Annotated[int, option("--sample", "N", "Sample of SONG to grow from, counted from 0.")] = 0,
    start: Annotated[float, option("--start", "SECONDS", "Time in AUDIO at which that part begins.")] = 0.0,
    prompt_seconds: Annotated[
        float | None,
        option(
            "--prompt-seconds", "SECONDS", "Length of the part of AUDIO to grow from.", default="the same as --every"
        ),
    ] = None,
) -> None:
    """Grow a tree: several continuations of a beginning, and several of each of those. Shared music is made once.

    A leaf is named by the way to it, such as 2.3: jukectl pick my-tree --leaf 2.3 makes it a song.

    Example: jukectl tree riff.wav --every 60 --branch 4 --depth 2 --levels top --out my-tree
    """
    from jukectl import api
    from jukectl.codes.tree import is_tree, parse_place

    request = options.request()
    place = parse_place(leaf) if leaf is not None else ()
    if place and depth is not None and depth != len(place):
        raise BadInput(f"the leaf {leaf} is {len(place)} steps from the root, and --depth is {depth}: leave one out")
    if is_tree(source):
        if place and out is not None and not options.dry_run:
            return show_taken(context, api.pick_place(source, place, out, overwrite=options.overwrite))
        if out is not None or options.overwrite or place:
            raise BadInput(f"{source} is a tree, which grows where it is: leave --out and --overwrite out")
    growth = api.Growth(every=every, branches=branch, depth=len(place) or (2 if depth is None else depth), leaf=place)
    beginning = api.Beginning(start=start, prompt_seconds=prompt_seconds, at=at, sample=sample)
    if options.dry_run:
        if is_tree(source):
            estimate = api.estimate_regrow(source, request, depth=depth, listener=warnings_only(options.show))
        else:
            estimate = api.estimate_tree(source, out, growth, beginning, request, listener=warnings_only(options.show))
        return show_tree_estimate(context, estimate)
    with progress(context, options.show) as listener:
        if is_tree(source):
            grown = api.regrow(source, request, depth=depth, listener=listener)
        else:
            grown = api.tree(source, out, growth, beginning, request, listener=listener)
    return _show_grown(context, grown, options.show)


def _show_grown(context: typer.Context, grown: "Grown", show: ProgressStyle) -> None:
    """Print the audio of the leaves; say on stderr if nothing was left to do, unless --progress is set."""
    if not grown.new and show is ProgressStyle.AUTO:
        say(context, f"{grown.tree} is grown already: nothing to do.")
    emit(
        context,
        list(grown.leaves.values()),
        {
            "tree": str(grown.tree),
            "leaves": {name: str(path) for name, path in grown.leaves.items()},
            "sampled": grown.sampled,
            "new": grown.new,
        },
    )
