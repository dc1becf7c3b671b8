"""The commands of the studio, read from the command line: the same options, help texts and defaults."""

from collections.abc import Iterator, Mapping
from typing import Any

import typer

from jukectl.studio.forms import CommandForm, Kind, OptionForm

COMMANDS = ("sample", "continue", "branch", "upsample", "resume", "decode", "pick", "cut")

LEFT_OUT = {
    *("open", "show", "dry_run", "resume_last"),  # the studio sees to these itself
    "adapter",  # a path to any file
}
"""Parameters that the studio does not offer."""

LEFT_OUT_OF = {
    "decode": {"out"},  # only stdout
    **{name: {"overwrite"} for name in COMMANDS if name != "upsample"},  # a song in place of another
}

SPECIAL = {
    "model": Kind.MODEL,
    "audio": Kind.AUDIO,
    "song": Kind.SONG,
    "midi": Kind.MIDI,
    "lyrics": Kind.WORDS,
    "schedule": Kind.WORDS,
    "out": Kind.NEW,
}
"""Parameters whose values are not those of the command line, where they are paths."""

SUFFIXES = {"lyrics": ".txt", "schedule": ".toml"}
TYPES = {"integer": Kind.INTEGER, "integer range": Kind.INTEGER, "float": Kind.NUMBER, "float range": Kind.NUMBER}


def forms() -> dict[str, CommandForm]:
    """Return the commands of the studio, by name."""
    from jukectl.cli.main import app

    commands: Mapping[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {name: _form(name, commands[name]) for name in COMMANDS}


def _form(name: str, command: Any) -> CommandForm:
    names = {parameter.name for parameter in command.params}
    return CommandForm(
        name=name,
        help=str(command.help or "").partition("\n")[0],
        options=tuple(_options(name, command)),
        has_progress="show" in names,
        has_estimate="dry_run" in names,
    )


def _options(command_name: str, command: Any) -> Iterator[OptionForm]:
    for parameter in command.params:
        if parameter.name in LEFT_OUT | LEFT_OUT_OF.get(command_name, set()):
            continue
        is_argument = parameter.param_type_name == "argument"
        kind = SPECIAL.get(parameter.name) or _kind(parameter)
        default = parameter.default if isinstance(parameter.default, (bool, int, float, str)) else None
        shown = getattr(parameter, "show_default", None)
        yield OptionForm(
            name=parameter.name if is_argument else parameter.opts[0].removeprefix("--"),
            kind=kind,
            help=str(parameter.help or ""),
            value=str(parameter.metavar or ""),
            default=None if kind is Kind.NEW else default,
            shown=shown if isinstance(shown, str) else "",
            panel=getattr(parameter, "rich_help_panel", None) or "Options",
            choices=tuple(str(one) for one in getattr(parameter.type, "choices", ()) or ()) or _choices(parameter),
            is_argument=is_argument,
            off=parameter.secondary_opts[0].removeprefix("--") if parameter.secondary_opts else "",
            suffix=SUFFIXES.get(parameter.name, ""),
        )


def _kind(parameter: Any) -> Kind:
    if getattr(parameter, "is_flag", False):
        return Kind.FLAG
    return Kind.TEXTS if parameter.multiple else TYPES.get(parameter.type.name, Kind.TEXT)


def _choices(parameter: Any) -> tuple[str, ...]:
    """Return the values of "wav|flac|ogg|mp3"; none for values that follow other rules."""
    value = str(parameter.metavar or "")
    fixed = parameter.name in ("format", "precision", "level") and "|" in value
    return tuple(value.split("|")) if fixed else ()
