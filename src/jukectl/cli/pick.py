"""`jukectl pick` and `jukectl cut`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import progress
from jukectl.cli.results import show_taken
from jukectl.errors import BadInput


def pick(
    context: typer.Context,
    song: Annotated[Path, o.song_argument("Song folder, finished or not, or a tree.")],
    sample: Annotated[
        int | None,
        o.option("--sample", "N", "Sample of a song to extract, counted from 0.", default="none"),
    ] = None,
    leaf: Annotated[
        str | None,
        o.option("--leaf", "2.3", "Leaf of a tree to extract, or another node.", default="none"),
    ] = None,
    out: o.OutBeside = None,
    overwrite: o.Overwrite = False,
) -> None:
    """Extract one sample of a song, or a leaf of a tree, to a new song. It continues exactly as in the original.

    Example: jukectl pick my-song --sample 2 --out the-one
    """
    from jukectl import api
    from jukectl.codes.tree import is_tree, parse_place

    if is_tree(song):
        if leaf is None or sample is not None:
            raise BadInput(
                f"{song} is a tree: say which leaf with --leaf, such as --leaf 0.1 (see jukectl info {song})"
            )
        return show_taken(context, api.pick_place(song, parse_place(leaf), out, overwrite=overwrite))
    if sample is None or leaf is not None:
        raise BadInput(f"{song} is no tree: say which sample with --sample, such as --sample 0")
    return show_taken(context, api.pick(song, sample, out, overwrite=overwrite))


def cut(
    context: typer.Context,
    song: Annotated[Path, o.song_argument("Song folder, finished or not.")],
    at: Annotated[float, o.option("--at", "SECONDS", "Time to cut at, down to a whole top code.")],
    sample: Annotated[
        int | None,
        o.option("--sample", "N", "Extract this sample alone, counted from 0.", default="all"),
    ] = None,
    out: o.OutBeside = None,
    model: o.Model = None,
    device: o.Device = "auto",
    overwrite: o.Overwrite = False,
    force: o.Force = False,
) -> None:
    """Extract the beginning of a song to a new song, to continue from with jukectl branch.

    Example: jukectl cut my-song --at 31.5 --out the-beginning
    """
    from jukectl import api

    request = api.Request(model=model, device=device, overwrite=overwrite, force=force)
    with progress(context) as listener:
        taken = api.cut(song, at, out, sample=sample, request=request, listener=listener)
    show_taken(context, taken)
