"""`jukectl play`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli.console import emit
from jukectl.cli.options import LEVEL, option, song_argument
from jukectl.codes.level import Level


def play(
    context: typer.Context,
    path: Annotated[Path, song_argument("Song folder, finished or not, tree, or audio file.")],
    sample: Annotated[int, option("--sample", "N", "Sample to play, counted from 0.")] = 0,
    level: Annotated[
        str | None,
        option("--level", LEVEL, "Level to play.", default="the finest that is decoded"),
    ] = None,
    leaf: Annotated[
        str | None,
        option("--leaf", "2.3", "Leaf of a tree: plays the music from the root to it.", default="none"),
    ] = None,
    player: Annotated[
        str | None,
        option(
            "--player", "COMMAND", "Command that plays a file.", default="ffplay, mpv, afplay …, whichever is installed"
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
