"""`jukectl examples`: the files of examples/, also where jukectl was installed from an index."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli.app import App
from jukectl.cli.console import emit, say
from jukectl.cli.next_steps import suggest
from jukectl.examples import copy_examples

app = App(help="The examples: a riff to continue, scripts to start from, training recipes.", no_args_is_help=True)


@app.command()
def copy(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder for them. Files that are there stay as they are.")
    ] = Path("examples"),
) -> None:
    """Copy the examples to a folder. A second run adds what is missing, and replaces nothing.

    Example: jukectl examples copy examples
    """
    copied = copy_examples(folder)
    for name in copied.kept:
        say(context, f"{folder / name} is another file: kept.")
    if not copied.new:
        say(context, f"{folder} has every example already: nothing to do.")
    emit(
        context,
        [folder],
        {
            "folder": str(folder),
            **{key: [name.as_posix() for name in getattr(copied, key)] for key in ("new", "unchanged", "kept")},
        },
    )
    suggest(context, ("continue", folder / "riff.wav", "--genre", "Game"))
