"""The app: its help, the global options, and the only place where errors become exit statuses."""

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from jukectl import __version__
from jukectl.cli.app import App, load_help
from jukectl.cli.commands import CommandGroup
from jukectl.cli.console import Console, console, echo, json_line, printable
from jukectl.cli.defaults import default_map
from jukectl.cli.outputs import again
from jukectl.cli.streams import wants_json_lines
from jukectl.errors import JukectlError, Stopped, is_out_of_memory
from jukectl.settings import read_settings

INTERRUPTED = 130

app = App(
    name="jukectl",
    cls=CommandGroup,
    help="Generate music as audio: continue a recording, or make a new song, in the style of an artist and a genre.\n\n"
    "A song is a folder. Listen to it, make variants, keep the best, and continue from any moment of it. Every command "
    "can be stopped and run again. A small model is included: no GPU, network or account is needed.\n\n"
    "Example: jukectl continue riff.wav --artist Freedoom --genre Game\n\n"
    "Three variants, of which one is kept:\n"
    "  jukectl continue riff.wav --samples 3\n"
    "  jukectl pick riff-continued --sample 1\n"
    "On from 12 s in another genre:\n"
    "  jukectl branch riff-continued --at 12 --genre Piano\n"
    "A list of songs:\n"
    "  jukectl batch --init songs.csv\n"
    "  jukectl batch songs.csv",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        echo(f"jukectl {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", metavar="", callback=_version, is_eager=True, help="Print the version and exit."),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", metavar="", help="Print neither progress nor remarks; warnings and errors stay."),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", metavar="", help="Print details of plans and estimates, and the traceback of an error."
        ),
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print the result as one JSON object, for scripts.")
    ] = False,
) -> None:
    """Keep the global options and the settings for the command.

    `main` reads --verbose itself, since options may be what is wrong.
    """
    context.obj = shared = console(context)
    shared.quiet, shared.verbose, shared.json = quiet, verbose, json
    name = context.invoked_subcommand
    if name and name != "config":  # which is for files that cannot be read, too
        shared.settings = read_settings()
        context.default_map = default_map(context.command, shared.settings, name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 2 bad input, 130 after Ctrl-C, 1 any other error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    wait_without_spinning()
    shared = Console()
    if not {"--help", "-h"}.isdisjoint(given):
        load_help()
    try:
        status = app(args=given, prog_name="jukectl", standalone_mode=False, obj=shared)
    except typer.TyperException as error:  # wrong usage; without a message where the help was shown instead
        return fail(_usage(error), error.exit_code, given) if error.format_message() else error.exit_code
    except JukectlError as error:
        resume = f" Resume with: {again(given, shared.folder)}" if isinstance(error, Stopped) else ""
        return fail(f"{error}{resume}", error.exit_status, given)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        closed = isinstance(error, BrokenPipeError)
        said = "stdout was closed before the result was printed" if closed else f"{where}{error.strerror or error}"
        if not _has_working_folder():
            said = "the working folder was deleted: change to another one, or give absolute paths"
        return fail(said, 1, given)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        way_out = "Every finished window is saved: close other programs, or use fewer --samples or a smaller model"
        return fail(f"out of memory. {way_out}", 1, given)
    if status == INTERRUPTED:
        return _interrupted(given, shared.folder)
    return status if isinstance(status, int) else 0


def wait_without_spinning() -> None:
    """Let the threads of OpenMP sleep while they wait. It reads this when torch is first imported.

    They would spin, and take the cores that they wait for from other programs: beside one busy program two threads took
    3 times the time of one.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def _has_working_folder() -> bool:
    try:
        return Path.cwd().is_absolute()
    except FileNotFoundError:
        return False


def _usage(error: typer.TyperException) -> str:
    """Return what is wrong with a command line, and the help to read."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "jukectl"
    return f"{error.format_message().rstrip('. ')}. See: {command} --help"


def fail(message: str, status: int, given: Sequence[str] | None = None) -> int:
    """Print an error as one line on stderr, after the traceback with --verbose, and return the exit status."""
    given = sys.argv[1:] if given is None else given
    if {"--verbose", "-v"} & set(given):
        traceback.print_exc()
    message = printable(" ".join(message.split()))
    if wants_json_lines(given):
        json_line({"error": message, "status": status})
    else:
        echo(f"jukectl: {message}", err=True)
    return status


def _interrupted(given: Sequence[str], folder: Path | None) -> int:
    message = f"interrupted; every finished window is saved. Resume with: {again(given, folder)}"
    if wants_json_lines(given):
        return fail(message, INTERRUPTED, given)
    echo(f"\njukectl: {message}", err=True)
    return INTERRUPTED
