"""`jukectl tree`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import Watching, emit, progress, say, warnings_only
from jukectl.cli.pick import show_taken
from jukectl.cli.requests import build_request, show_tree_estimate
from jukectl.errors import BadInput


def tree(
    context: typer.Context,
    source: Annotated[
        Path, typer.Argument(metavar="AUDIO|SONG|TREE", help="What to grow from, or a tree that is to go on growing.")
    ],
    every: Annotated[float, typer.Option("--every", help="Seconds of new music from a node to the next.")] = 60.0,
    branch: Annotated[int, typer.Option("--branch", help="How many continuations of each node.")] = 4,
    depth: Annotated[
        int | None, typer.Option("--depth", help="Steps from the beginning to a leaf. [default: 2, or the tree's]")
    ] = None,
    leaf: Annotated[
        str | None, typer.Option("--leaf", metavar="2.3", help="Grow only what leads to this leaf.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The tree's folder. [default: beside what it grows from]")
    ] = None,
    at: Annotated[
        float | None, typer.Option("--at", help="Of a song: grow from this second. [default: from its end]")
    ] = None,
    sample: Annotated[int, typer.Option("--sample", help="Of a song: which of its samples, counted from 0.")] = 0,
    start: Annotated[float, typer.Option("--start", help="Of a recording: where it begins, in seconds.")] = 0.0,
    prompt_seconds: Annotated[
        float | None,
        typer.Option("--prompt-seconds", help="Of a recording: how much to grow from. [default: as much as a step]"),
    ] = None,
    artist: o.Artist = None,
    genre: o.Genre = None,
    lyrics: o.Lyrics = None,
    song_seconds: Annotated[
        float | None,
        typer.Option("--song-seconds", help="Length of the song that the model is told. [default: up to a leaf's end]"),
    ] = None,
    seed: o.Seed = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    top_k: o.TopK = None,
    advance: o.Advance = None,
    guidance: o.Guidance = None,
    parallel: o.Parallel = None,
    levels: Annotated[
        str | None,
        typer.Option("--levels", help="Grow these alone: top is the quick draft. [default: the song's, or all]"),
    ] = None,
    preview: Annotated[
        str,
        typer.Option(
            "--preview", help="Levels, such as top, to decode to the tree's previews/ after every window, node by node."
        ),
    ] = "",
    model: o.Model = None,
    adapter: o.Adapter = None,
    device: o.Device = "auto",
    precision: o.Precision = "auto",
    max_memory: o.MaxMemory = None,
    overwrite: o.Overwrite = False,
    force: o.Force = False,
    dry_run: o.DryRun = False,
    show: o.ShowProgress = Watching.AUTO,
) -> None:
    """Grow a tree: several continuations of a beginning, several of each of those; shared music is made once.

    Its leaves are called by the way there, such as 2.3: jukectl pick my-tree --leaf 2.3 makes a song of one.

    Example: jukectl tree riff.wav --every 60 --branch 4 --depth 2 --levels top --out my-tree
    """
    from jukectl import api
    from jukectl.codes.tree import is_tree, parse_place

    request = build_request(
        artist=artist,
        genre=genre,
        lyrics=lyrics,
        song_seconds=song_seconds,
        seed=seed,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        advance=advance,
        guidance=guidance,
        parallel=parallel,
        preview=preview,
        model=model,
        adapter=adapter,
        device=device,
        precision=precision,
        max_memory=max_memory,
        overwrite=overwrite,
        force=force,
    )
    place = parse_place(leaf) if leaf is not None else ()
    if place and depth is not None and depth != len(place):
        raise BadInput(
            f"the leaf {leaf} is {len(place)} steps from the beginning, and --depth is {depth}: leave one out"
        )
    if is_tree(source):
        if place and out is not None and not dry_run:
            return show_taken(context, api.pick_place(source, place, out, overwrite=overwrite))
        if out is not None or overwrite or place:
            raise BadInput(f"{source} is a tree, which goes on growing where it is: leave --out and --overwrite out")
    growth = api.Growth(every=every, branches=branch, depth=len(place) or (2 if depth is None else depth), leaf=place)
    beginning = api.Beginning(start=start, prompt_seconds=prompt_seconds, at=at, sample=sample)
    stages = o.parse_levels(levels) if levels is not None else None
    if dry_run:
        if is_tree(source):
            estimate = api.estimate_regrow(source, request, depth=depth, listener=warnings_only(show))
        else:
            estimate = api.estimate_tree(
                source, out, growth, beginning, request, levels=stages, listener=warnings_only(show)
            )
        return show_tree_estimate(context, estimate)
    with progress(context, show) as listener:
        if is_tree(source):
            grown = api.regrow(source, request, depth=depth, listener=listener)
        else:
            grown = api.tree(source, out, growth, beginning, request, levels=stages, listener=listener)
    if not grown.new and show is Watching.AUTO:
        say(context, f"{grown.tree} is grown already: nothing to do.")
    return emit(
        context,
        list(grown.leaves.values()),
        {
            "tree": str(grown.tree),
            "leaves": {name: str(path) for name, path in grown.leaves.items()},
            "sampled": grown.sampled,
            "new": grown.new,
        },
    )
