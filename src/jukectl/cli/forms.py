"""The commands of the studio, read from the command line: the same options, help texts and defaults."""

import inspect
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

from jukectl.cli.commands import find_command
from jukectl.studio.forms import CommandForm, Kind, OptionForm

COMMANDS = ("sample", "continue", "branch", "tree", "upsample", "resume", "decode", "pick", "cut")

LEFT_OUT = {
    *("open", "show", "dry_run", "resume_last"),  # the studio sees to these itself
    "adapter",  # a path to any file
}
"""Parameters that the studio does not offer."""

LEFT_OUT_OF = {
    **{name: {"overwrite"} for name in COMMANDS if name != "upsample"},  # a song in place of another
    "decode": {"out"},  # only stdout
    "tree": {"overwrite", "start", "prompt_seconds"},  # of recordings: a tree grows from a song
}

SPECIAL = {
    "model": Kind.MODEL,
    "audio": Kind.AUDIO,
    "song": Kind.SONG,
    "source": Kind.SONG,
    "midi": Kind.MIDI,
    "lyrics": Kind.WORDS,
    "schedule": Kind.WORDS,
    "out": Kind.NEW,
}
"""Parameters whose values are not those of the command line, where they are paths."""

SUFFIXES = {"lyrics": ".txt", "schedule": ".toml"}
FIXED = ("format", "precision", "level")
"""Parameters whose values are those of their metavar: "wav|flac|ogg|mp3"."""

TYPES: dict[Any, Kind] = {bool: Kind.FLAG, int: Kind.INTEGER, float: Kind.NUMBER, str: Kind.TEXT}


def forms() -> dict[str, CommandForm]:
    """Return the commands of the studio, by name."""
    return {name: _form(name, find_command(name)) for name in COMMANDS}


def _form(name: str, command: Any) -> CommandForm:
    parameters = inspect.signature(command).parameters
    hints = get_type_hints(command, include_extras=True)
    left_out = LEFT_OUT | LEFT_OUT_OF.get(name, set())
    described = [(one, *get_args(hints[key])[:2]) for key, one in parameters.items() if get_args(hints[key])]
    return CommandForm(
        name=name,
        help=inspect.cleandoc(command.__doc__).partition("\n")[0],
        options=tuple(_option(*one) for one in described if one[0].name not in left_out),
        has_progress="show" in parameters,
        has_estimate="dry_run" in parameters,
    )


def _option(parameter: inspect.Parameter, hint: Any, info: OptionInfo | ArgumentInfo) -> OptionForm:
    """Return an option or an argument of a command, from its name, its type and what typer is given of it."""
    kind = SPECIAL.get(parameter.name) or _kind(hint)
    default = parameter.default if isinstance(parameter.default, (bool, int, float, str)) else None
    # in Annotated, the first argument of typer.Option is a name, although typer calls it the default
    names = [one for one in (info.default, *(info.param_decls or ())) if isinstance(one, str) and one.startswith("--")]
    on, _, off = (names[0] if names else parameter.name).partition("/")
    value = info.metavar or ""
    return OptionForm(
        name=on.removeprefix("--"),
        kind=kind,
        help=info.help or "",
        value=value,
        default=None if kind is Kind.NEW else default,
        shown=info.show_default if isinstance(info.show_default, str) else "",
        panel=info.rich_help_panel or "Options",
        choices=tuple(value.split("|")) if parameter.name in FIXED else (),
        is_argument=isinstance(info, ArgumentInfo),
        required=parameter.default is parameter.empty,
        off=off.removeprefix("--"),
        suffix=SUFFIXES.get(parameter.name, ""),
    )


def _kind(hint: Any) -> Kind:
    """Return the kind of values of a type, such as float or `list[str] | None`."""
    kinds = [one for one in get_args(hint) if one is not NoneType] if NoneType in get_args(hint) else [hint]
    return Kind.TEXTS if get_origin(kinds[0]) is list else TYPES[kinds[0]]
