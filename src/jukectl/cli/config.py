"""`jukectl config`: defaults of options, in a file of the user or of a project."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from jukectl import settings
from jukectl.cli import complete
from jukectl.cli.app import App
from jukectl.cli.console import emit, show_facts
from jukectl.cli.options import flag
from jukectl.errors import BadInput, MissingTool

app = App(
    help="Defaults of options, such as the artist and the folder of new songs. Options given to a command come first, "
    "then variables such as JUKECTL_GENRE, then jukectl.toml in the working folder or around it, then the user's file.",
    no_args_is_help=True,
)

Project = Annotated[bool, flag("--project", "Use jukectl.toml in the working folder in place of the user's file.")]


@app.command()
def show(context: typer.Context) -> None:
    """Show all settings, and where each value comes from.

    Example: jukectl config show
    """
    found = settings.read_settings()
    facts = {
        name: {"value": one.value, "origin": one.origin} if (one := found.get(name)) else None
        for name in settings.NAMES
    }
    width = max(map(len, settings.NAMES))
    values = {name: f"{_shown(one.value)}  ({one.origin})" for name, one in found.items()}
    lines = [f"{name:{width}}  {values.get(name, '-')}" for name in settings.NAMES]
    show_facts(context, facts, [*lines, f"The user's file is {settings.user_file()}."])


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


@app.command("set", context_settings={"ignore_unknown_options": True})  # -16 is a value
def set_(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help=f"Setting: {', '.join(settings.NAMES)}.",
            autocompletion=complete.choices(*settings.NAMES),
        ),
    ],
    value: Annotated[
        list[str] | None, typer.Argument(metavar="VALUE", help="Its value. genre may have several.")
    ] = None,
    unset: Annotated[bool, flag("--unset", "Remove the setting.")] = False,
    project: Project = False,
) -> None:
    """Set a default. Comments in the file stay.

    Example: jukectl config set genre Piano

    Example: jukectl config set artist --unset
    """
    settings.check_name(name, "config set")
    if unset == bool(value):
        raise BadInput(f"give a value, such as: jukectl config set {name} VALUE, or --unset to remove it")
    if wrong := [text for text in value or () if text.startswith("--")]:
        raise BadInput(f"config set has no option {wrong[0]}. See: jukectl config set --help")
    if value and len(value) > 1 and name != "genre":
        raise BadInput(f"{name} has one value, got {len(value)}: put quotes around one with spaces")
    path = _file(project)
    texts = [settings.parse(name, text, "config set") for text in value or ()]
    new = None if unset else texts if len(texts) > 1 else texts[0]
    settings.write_setting(path, name, new)
    emit(context, [path], {"file": str(path), name: new})


@app.command()
def edit(context: typer.Context, project: Project = False) -> None:
    """Open the file of settings in the editor that VISUAL or EDITOR names. A new file explains each setting.

    Example: jukectl config edit
    """
    path = _file(project)
    if not path.exists():
        settings.write_template(path)
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ("notepad" if sys.platform == "win32" else "vi")
    try:
        done = subprocess.run([*shlex.split(editor), str(path)], check=False)
    except OSError as error:
        raise MissingTool(f"cannot start {editor}: {error.strerror or error}. Name an editor in EDITOR") from error
    if done.returncode:
        raise MissingTool(f"{editor} ended with status {done.returncode}")
    settings.read_file(path)  # says what is wrong now, not at the next command
    emit(context, [path], {"file": str(path)})


def _file(project: bool) -> Path:
    return Path(settings.PROJECT) if project else settings.user_file()
