"""The commands of jukectl, each of which is imported when it is needed.

A command line and the completion of its values need one command, and the list of all needs none. Importing and building
all of them took half the time of `jukectl --help`.
"""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from jukectl.cli.app import App

MAKE = "Make music"
STEER = "Choose and vary"
LOOK = "Listen and inspect"
MODELS = "Models and settings"
TRAIN = "Train"


@dataclass(frozen=True)
class Entry:
    """A command, or a group of commands, in the list of `jukectl --help`."""

    panel: str
    place: str  # module in this package, and the function or the App there
    help: str  # first paragraph of its help text


COMMANDS = {
    "encode": Entry(MAKE, "encode:encode", "Turn a recording into codes at every level, in a song folder."),
    "sample": Entry(
        MAKE, "sample:sample", "Make a new song from nothing, down to audio. With --out, run it again to resume."
    ),
    "continue": Entry(
        MAKE,
        "continue_:continue_",
        "Continue a recording in a style. The song begins with the recording. With --out, run it again to resume.",
    ),
    "batch": Entry(MAKE, "batch:batch", "Make every song in a list, many at a time. Run it again to resume."),
    "upsample": Entry(
        MAKE,
        "upsample:upsample",
        "Make the levels that are missing or unfinished, then decode them. Run it again to resume.",
    ),
    "decode": Entry(
        MAKE, "decode:decode", "Turn codes into audio: the bottom level into audio/, an upper level into previews/."
    ),
    "resume": Entry(
        MAKE, "resume:resume", "Finish a song from where it stopped, at every level that its recipe asks for."
    ),
    "pick": Entry(
        STEER,
        "pick:pick",
        "Extract one sample of a song, or a leaf of a tree, to a new song. It continues exactly as in the original.",
    ),
    "cut": Entry(
        STEER, "pick:cut", "Extract the beginning of a song to a new song, to continue from with jukectl branch."
    ),
    "branch": Entry(
        STEER,
        "branch:branch",
        "Continue from a moment within a song: new samples that share its beginning, in the same or another style.",
    ),
    "tree": Entry(
        STEER,
        "tree:tree",
        "Grow a tree: several continuations of a beginning, and several of each of those. Shared music is made once.",
    ),
    "stems": Entry(
        STEER,
        "stems:stems",
        "Separate the singing from the rest: vocals and accompaniment, which add up to the song.",
    ),
    "info": Entry(
        LOOK, "info:info", "Show what a song, a code file, a tree or a model contains, and what is left to do."
    ),
    "play": Entry(LOOK, "play:play", "Play a song in the terminal: its audio, or the previews of an unfinished song."),
    "plot": Entry(
        LOOK,
        "plot:plot",
        "Draw the spectrogram of each level of a song, or the waveform and spectrogram of a recording.",
    ),
    "explore": Entry(
        LOOK,
        "explore:explore",
        "Make a web page of songs: listen level by level, see spectrograms, follow lyrics, and compare.",
    ),
    "embed": Entry(
        LOOK,
        "embed:embed",
        "Describe recordings by a layer of the model: one vector each, or one for each code, in .npz files.",
    ),
    "studio": Entry(
        MAKE,
        "studio:studio",
        "Make songs in the browser: a queue of jobs with progress, and an API for scripts. It runs until Ctrl-C.",
    ),
    "doctor": Entry(
        MODELS,
        "doctor:doctor",
        "Show devices, memory, the models that fit, and the time that a minute of music would take.",
    ),
    "bench": Entry(
        MODELS,
        "bench:bench",
        "Measure how fast a model generates codes, against the limit set by this machine's memory bandwidth.",
    ),
    "lyrics": Entry(STEER, "lyrics:app", "Find when words are sung, and see lyrics as a model reads them."),
    "eval": Entry(
        LOOK,
        "evaluate:app",
        "Measure a model on held-out music, and songs against their prompts and the training data.",
    ),
    "models": Entry(
        MODELS,
        "models:app",
        "Local and published models: list, show, pull, convert, assemble, merge, check, cache.",
    ),
    "config": Entry(
        MODELS,
        "config:app",
        "Defaults of options, such as the artist and the folder of new songs. Options given to a command come first, "
        "then variables such as JUKECTL_GENRE, then jukectl.toml in the working folder or around it, then the user's "
        "file.",
    ),
    "examples": Entry(
        MODELS, "examples:app", "The examples: a riff to continue, scripts to start from, training recipes."
    ),
    "train": Entry(TRAIN, "train:app", "Train one model of the stack from a TOML recipe. Run it again to resume."),
    "data": Entry(TRAIN, "data:app", "Prepare music for training: scan a folder, encode it, transcribe its notes."),
}


class Commands(MutableMapping[str, Any]):
    """The commands by name, each loaded when it is first asked for."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _build(name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"the command {name} stays")

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class CommandGroup(TyperGroup):
    """jukectl itself, a group that lists its commands without loading them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = Commands()
        self._lists = False

    @contextmanager
    def _listing(self) -> Iterator[None]:
        self._lists = True
        try:
            yield
        finally:
            self._lists = False

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; while they are listed, one without parameters."""
        entry = COMMANDS.get(cmd_name)
        if self._lists and entry:
            return TyperCommand(cmd_name, help=entry.help, rich_help_panel=entry.panel)
        return super().get_command(ctx, cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help with the list of commands."""
        with self._listing():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Return the commands and options that complete a word."""
        with self._listing():
            return super().shell_complete(ctx, incomplete)


def find_command(name: str) -> Any:
    """Import the function of a command, or the App of a group of commands; raise KeyError if there is none."""
    module, _, attribute = COMMANDS[name].place.partition(":")
    return getattr(import_module(f"jukectl.cli.{module}"), attribute)


def _build(name: str) -> Any:
    """Return a command as typer makes it."""
    found, panel, app = find_command(name), COMMANDS[name].panel, App(rich_markup_mode="rich")
    if isinstance(found, App):
        app.add_typer(found, name=name, rich_help_panel=panel)
    else:
        app.command(name, rich_help_panel=panel)(found)
    return typer.main.get_group(app).commands[name]
