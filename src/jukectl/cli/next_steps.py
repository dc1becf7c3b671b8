"""Suggest commands after a result, in one line on a terminal, and open results for --open."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from jukectl.cli.console import console, echo, printable, warn

if TYPE_CHECKING:
    from jukectl.api import Rendered


def suggest(context: typer.Context, *commands: Sequence[object]) -> None:
    """Print commands that may follow, as one line on stderr. Pipes, --quiet and --json get none."""
    if console(context).quiet or console(context).json or not (sys.stdout.isatty() and sys.stderr.isatty()):
        return
    echo(printable("Next: " + "  |  ".join(f"jukectl {shlex.join(map(str, words))}" for words in commands)), err=True)


def after_song(context: typer.Context, result: "Rendered") -> None:
    """Suggest what to do with a song: listen, finish a draft, vary it, look at it."""
    song = result.song
    finished = any(path.parent.name == "audio" for path in result.audio)
    if not result.audio:
        return suggest(context, ("decode", song), ("upsample", song))
    play = ("play", song)
    if not finished:
        return suggest(context, play, ("upsample", song), ("branch", song))
    more = ("pick", song, "--sample", "0") if len(result.audio) > 1 else ("branch", song)
    return suggest(context, play, more, ("explore", song))


def open_result(path: Path | str) -> None:
    """Open a file or an address with the program that the system has for it."""
    if typer.launch(str(path)):
        warn(f"no program opens {path} here: open it yourself")
