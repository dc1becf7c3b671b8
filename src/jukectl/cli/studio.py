"""`jukectl studio`."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import ProgressStyle, say, show_facts, warnings_only
from jukectl.cli.next_steps import open_result
from jukectl.errors import BadInput, MissingTool

PORT = 8420


def studio(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder of the songs. It is made if it is missing.")] = Path(),
    port: Annotated[int, o.option("--port", "N", "Port; 0 picks a free one.", min=0, max=65_535)] = PORT,
    host: Annotated[
        str,
        o.option("--host", "ADDRESS", "Address to serve at. Any but this machine's own asks for the token it prints."),
    ] = "127.0.0.1",
    open: Annotated[bool, o.flag("--open/--no-open", "Open the page in the browser.")] = True,  # noqa: A002
) -> None:
    """Make songs in the browser: a queue of jobs with progress, and an API for scripts. It runs until Ctrl-C.

    A job is a song folder. Whatever stops the studio, its queue is there on the next start and resumes.

    Example: jukectl studio songs
    """
    from jukectl.cli.forms import forms

    try:
        from jukectl.studio.server import Place, serve
    except ImportError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise MissingTool(f"the studio needs {error.name}: pip install 'jukectl[studio]'") from error
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file, and the studio works in a folder of songs")
    place = Place(host=host, port=port)

    def ready(address: str) -> None:
        facts = {"address": address, "folder": str(folder.resolve()), "token": place.token}
        show_facts(context, facts, [address])
        say(context, f"the studio of {folder.resolve()} runs until Ctrl-C")
        sys.stdout.flush()
        if open:
            open_result(address)

    signal.signal(signal.SIGTERM, _end)
    launch = [sys.executable, "-m", "jukectl.cli.worker"]
    try:
        serve(folder, place, forms(), launch, warnings_only(ProgressStyle.AUTO), ready)
    except KeyboardInterrupt:  # the usual end, and no error
        return


def _end(number: int, frame: FrameType | None) -> None:
    """End as by Ctrl-C."""
    raise KeyboardInterrupt
