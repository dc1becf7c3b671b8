"""`jukectl pick` and `jukectl cut`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import Watching, emit, progress, say
from jukectl.errors import BadInput

if TYPE_CHECKING:
    from jukectl.api import Taken

BesideOut = Annotated[
    Path | None, typer.Option("--out", help="The new song folder. [default: beside the song, called after it]")
]


def pick(
    context: typer.Context,
    song: Annotated[Path, typer.Argument(help="A song folder, finished or not; or a tree.")],
    sample: Annotated[int | None, typer.Option("--sample", help="Which one, counted from 0.")] = None,
    leaf: Annotated[
        str | None, typer.Option("--leaf", metavar="2.3", help="Of a tree: which leaf, or node on the way.")
    ] = None,
    out: BesideOut = None,
    overwrite: o.Overwrite = False,
) -> None:
    """Make one sample of a song, or a leaf of a tree, a song of its own: gone on with, it is what it would have been.

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
    song: Annotated[Path, typer.Argument(help="A song folder, finished or not.")],
    at: Annotated[float, typer.Option("--at", help="Seconds from the song's start; down to a whole top code.")],
    sample: Annotated[
        int | None, typer.Option("--sample", help="One sample alone, counted from 0. [default: all]")
    ] = None,
    out: BesideOut = None,
    model: o.Model = None,
    device: o.Device = "auto",
    overwrite: o.Overwrite = False,
    force: o.Force = False,
) -> None:
    """Make the beginning of a song a song of its own, to be gone on from with jukectl branch.

    Example: jukectl cut my-song --at 31.5 --out the-beginning
    """
    from jukectl import api

    request = api.Request(model=model, device=device, overwrite=overwrite, force=force)
    with progress(context, Watching.AUTO) as listener:
        taken = api.cut(song, at, out, sample=sample, request=request, listener=listener)
    show_taken(context, taken)


def show_taken(context: typer.Context, taken: "Taken") -> None:
    """The new song's folder on stdout."""
    if not taken.new:
        say(context, f"{taken.song} is there already: nothing to do.")
    emit(context, [taken.song], {"song": str(taken.song), "new": taken.new})
