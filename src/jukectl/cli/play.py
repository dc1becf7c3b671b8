"""`jukectl play`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli.console import emit
from jukectl.cli.options import LEVEL
from jukectl.codes.level import Level


def play(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="Song folder, finished or not, tree, or audio file.")],
    sample: Annotated[int, typer.Option("--sample", metavar="N", help="Sample to play, counted from 0.")] = 0,
    level: Annotated[
        str | None,
        typer.Option("--level", metavar=LEVEL, help="Level to play.", show_default="the finest that is decoded"),
    ] = None,
    leaf: Annotated[
        str | None,
        typer.Option(
            "--leaf", metavar="2.3", help="Leaf of a tree: plays the music from the root to it.", show_default="none"
        ),
    ] = None,
    player: Annotated[
        str | None,
        typer.Option(
            "--player",
            metavar="COMMAND",
            help="Command that plays a file.",
            show_default="ffplay, mpv, afplay …, whichever is installed",
        ),
    ] = None,
) -> None:
    """Play a song in the terminal: its audio, or the previews of an unfinished song.

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
