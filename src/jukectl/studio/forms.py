"""Commands as the studio offers them: the options of each, and the command line that given values make.

The command line declares the options; `cli/forms.py` reads them from there.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from jukectl.codes.tree import is_tree
from jukectl.errors import BadInput
from jukectl.studio.songs import OWN, Songs, check_new
from jukectl.studio.uploads import AUDIO, MIDI, Uploads

LONGEST_VALUE = 1_000  # characters of a text
MOST_VALUES = 20  # of an option that may be given several times


class Kind(StrEnum):
    """Kinds of values."""

    FLAG = "flag"  # true or false
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    TEXTS = "texts"  # one text, or a list of them
    AUDIO = "audio"  # id of an uploaded recording
    MIDI = "midi"  # id of an uploaded MIDI file or recording
    SONG = "song"  # name of a song
    WORDS = "words"  # content of a text file
    MODEL = "model"  # name of a model
    NEW = "new"  # name of the song's new folder


JSON_TYPES: dict[Kind, dict[str, Any]] = {
    Kind.FLAG: {"type": "boolean"},
    Kind.INTEGER: {"type": "integer"},
    Kind.NUMBER: {"type": "number"},
    Kind.TEXTS: {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
}
"""JSON schemas of kinds; all others are texts."""


@dataclass(frozen=True, kw_only=True)
class OptionForm:
    """An option or an argument of a command."""

    name: str  # long name without dashes: "top-p"
    kind: Kind
    help: str
    value: str = ""  # that stands for its value in the help: "SECONDS"
    default: Any = None  # as JSON; None: see `shown`
    shown: str = ""  # text of the default
    panel: str = "Options"
    choices: tuple[str, ...] = ()
    is_argument: bool = False  # has no name on the command line
    required: bool = False
    off: str = ""  # flag that says no: "no-match-loudness"
    suffix: str = ""  # of the file of WORDS

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of its values."""
        described = {**JSON_TYPES.get(self.kind, {"type": "string"}), "description": self.help}
        if self.choices:
            described["enum"] = list(self.choices)
        return described if self.default is None else {**described, "default": self.default}


@dataclass(frozen=True, kw_only=True)
class CommandForm:
    """A command."""

    name: str
    help: str
    options: tuple[OptionForm, ...]
    has_progress: bool  # takes --progress
    has_estimate: bool  # takes --dry-run

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of a request for a job."""
        properties = {"command": {"const": self.name}, **{option.name: option.schema for option in self.options}}
        required = ["command", *(option.name for option in self.options if option.required)]
        return {
            "title": self.name,
            "description": self.help,
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }


@dataclass(frozen=True, kw_only=True)
class Order:
    """A request that was checked."""

    form: CommandForm
    options: dict[str, Any]  # by long names
    source: str  # name of the song or of the recording that it begins with; "" for none
    of_tree: bool = False  # the source is a tree

    @property
    def makes_new(self) -> bool:
        """True if the command makes a song folder: `upsample` does so for a part of a song alone; trees grow."""
        if self.form.name == "upsample":
            return "sample" in self.options or bool(self.options.get("from"))
        if self.form.name == "tree" and self.of_tree:
            return False
        return any(option.kind is Kind.NEW for option in self.form.options)

    @property
    def default_name(self) -> str:
        """Name of the new song, if none is given."""
        end = {"continue": "continued", "upsample": "passage"}.get(self.form.name, self.form.name)
        return f"{self.source}-{end}" if self.source else "song"


class Forms:
    """The commands of the studio, by name, and what their values refer to."""

    def __init__(self, forms: Mapping[str, CommandForm], songs: Songs, uploads: Uploads) -> None:
        self.commands = dict(forms)
        self._songs, self._uploads = songs, uploads

    def order(self, values: Any) -> Order:
        """Check a request for a job: names and types of options. Raises BadInput, which names the option.

        The command itself checks the rest.
        """
        if not isinstance(values, dict):
            raise BadInput('a job is an object with a "command" and its options by their long names')
        form = self.commands.get(str(values.get("command")))
        if form is None:
            raise BadInput(f"command is one of {', '.join(self.commands)}")
        given = {name.replace("_", "-"): value for name, value in values.items() if name != "command"}
        known = {option.name: option for option in form.options}
        if unknown := [name for name in given if name not in known]:
            raise BadInput(f"{form.name} has no option {unknown[0][:40]!r}. It has {', '.join(known)}")
        options = {name: _checked(known[name], value) for name, value in given.items() if value is not None}
        source, of_tree = "", False
        for option in form.options:
            if option.kind is Kind.NEW and option.name in options:
                check_new(options[option.name])
            if option.required and option.name not in options:
                raise BadInput(f"{form.name} needs {option.name}: {option.help}")
            if option.kind is Kind.MODEL and option.name in options:
                self.check_model(options[option.name])
            if option.is_argument and option.kind is Kind.SONG:
                path = self._songs.path(options[option.name])
                source, of_tree = path.name, is_tree(path)
            elif option.is_argument:
                source = self._uploads.path(options[option.name]).stem
        return Order(form=form, options=options, source=source, of_tree=of_tree)

    def words(self, order: Order, new: str | None) -> list[str]:
        """Return the words of the command line, after "jukectl", which makes the song folder `new`, if any.

        Each value is joined to its option, so that none can be taken for another option. Raises BadInput.
        """
        words, arguments = [order.form.name], []
        for option in order.form.options:
            if option.kind is Kind.NEW or option.name not in order.options:
                continue
            value = order.options[option.name]
            if option.is_argument:
                arguments.append(self._file(option, value))
            elif option.kind is Kind.FLAG:
                words += [f"--{option.name}"] if value else [f"--{option.off}"] if option.off else []
            elif option.kind is Kind.TEXTS:
                words += [f"--{option.name}={one}" for one in value]
            elif option.kind in (Kind.AUDIO, Kind.MIDI, Kind.SONG, Kind.WORDS):
                words.append(f"--{option.name}={self._file(option, value)}")
            else:
                words.append(f"--{option.name}={_plainly(value)}")
        if new is not None:
            words.append(f"--out={new}")
        if any(argument.startswith("-") for argument in arguments):
            words.append("--")
        return [*words, *arguments]

    def check_model(self, name: str) -> None:
        """Raise BadInput for a model that is given by its folder."""
        is_name = re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name) and not (self._songs.folder / name).exists()
        _need(bool(is_name), "model", "the name of a model: see jukectl models list")

    def _file(self, option: OptionForm, value: str) -> str:
        """Return the path of a file that a value names, relative to the studio's folder."""
        if option.kind is Kind.SONG:
            return self._songs.path(value).name
        if option.kind is Kind.WORDS:
            timed = option.suffix == ".txt" and re.search(r"^\[\d+:\d", value, re.MULTILINE)
            path = self._uploads.text(value, ".lrc" if timed else option.suffix)
        else:
            path = self._uploads.path(value)
            allowed = AUDIO if option.kind is Kind.AUDIO else (*MIDI, *AUDIO)
            if path.suffix not in allowed:
                raise BadInput(f"{option.name} is a recording, and {path.name} is a MIDI file")
        return (Path(OWN) / "uploads" / path.relative_to(self._uploads.folder)).as_posix()


def _checked(option: OptionForm, value: Any) -> Any:
    """Return a value of the option's kind. Raises BadInput."""
    kind, name = option.kind, option.name
    if kind is Kind.FLAG:
        _need(isinstance(value, bool), name, "true or false")
        return value
    if kind in (Kind.INTEGER, Kind.NUMBER):
        is_number = isinstance(value, int) or (kind is Kind.NUMBER and isinstance(value, float))
        # a limit, since Python writes no integer of thousands of digits
        _need(is_number and not isinstance(value, bool) and abs(value) < 2**64, name, f"a {kind}")
        return value
    if kind is Kind.TEXTS:
        values = value if isinstance(value, list) else [value]
        _need(len(values) <= MOST_VALUES, name, f"at most {MOST_VALUES} texts")
        return [_text(name, str(one) if _is_number(one) else one, LONGEST_VALUE) for one in values]
    if kind is Kind.WORDS:
        _need(isinstance(value, str) and "\0" not in value, name, "a text")
        return value
    text = _text(name, value, LONGEST_VALUE)
    _need(not option.choices or text in option.choices, name, f"one of {', '.join(option.choices)}")
    return text


def _text(name: str, value: Any, longest: int) -> str:
    is_text = isinstance(value, str) and len(value) <= longest and not any(ord(char) < 32 for char in value)
    _need(is_text and not any(0xD800 <= ord(char) < 0xE000 for char in value), name, "one line of text")
    assert isinstance(value, str)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _need(holds: bool, name: str, expected: str) -> None:
    if not holds:
        raise BadInput(f"{name} is {expected}")


def _plainly(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
