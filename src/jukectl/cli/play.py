"""`jukectl play`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli.console import emit
from jukectl.codes.level import Level


def play(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A song folder, one that is in progress too; a tree; or an audio file.")],
    sample: Annotated[int, typer.Option("--sample", help="Which of its samples, counted from 0.")] = 0,
    level: Annotated[
        str | None, typer.Option("--level", help="top, middle or bottom. [default: the finest that was decoded]")
    ] = None,
    leaf: Annotated[
        str | None, typer.Option("--leaf", metavar="2.3", help="Of a tree: the music on the way to this leaf.")
    ] = None,
    player: Annotated[
        str | None,
        typer.Option("--player", help="A command that plays a file. [default: ffplay, mpv, afplay … as there is]"),
    ] = None,
) -> None:
    """Play a song in the terminal: its final audio, or the preview of what is there so far.

    Example: jukectl play my-song --sample 1
    """
    from jukectl.codes.tree import parse_place
    from jukectl.render.decode import play

    files, name = play(
        path,
        sample=sample,
        level=Level.parse(level) if level else None,
        leaf=parse_place(leaf) if leaf else (),
        player=player,
    )
    emit(context, files, {"played": [str(file) for file in files], "player": name})
