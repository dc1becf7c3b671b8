"""The man page, from the help texts of all commands. `make man` writes it."""

from collections.abc import Iterator
from typing import Any

import typer

from jukectl import __version__
from jukectl.cli.main import app

SECTION = 1


def man_page() -> str:
    """Return the man page of jukectl with all its commands, as roff."""
    command = typer.main.get_command(app)
    summary = str(command.help).partition(":")[0].partition(".")[0]
    lines = [
        f'.TH JUKECTL {SECTION} "" "jukectl {__version__}" "User Commands"',
        ".SH NAME",
        f"jukectl \\- {_roff(summary[:1].lower() + summary[1:])}",
        *_command(command, "jukectl", ".SH"),
    ]
    return "\n".join(lines) + "\n"


def _command(command: Any, name: str, heading: str, parent: Any = None) -> Iterator[str]:
    """Yield the lines of a command, and of those below it."""
    context = typer.Context(command, info_name=name.rpartition(" ")[2], parent=parent, **command.context_settings)
    yield f"{heading} {'SYNOPSIS' if parent is None else _roff(name)}"
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".B {_roff(name)}\n{_roff(usage)}"
    if parent is None:
        yield ".SH DESCRIPTION"
    for paragraph in str(command.help or "").split("\n\n"):
        yield ".PP"
        yield _example(paragraph) if paragraph.startswith("Example: ") else _paragraph(paragraph)
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            panels.setdefault(getattr(parameter, "rich_help_panel", None) or "Options", []).append(record)
    for panel, records in panels.items():
        yield f".PP\n.B {_roff(panel)}"
        for names, text in records:
            yield f".TP\n.B {_roff(names.replace('<bool>', '').strip())}\n{_roff(' '.join(text.split()))}"
    for sub, below in getattr(command, "commands", {}).items():
        yield from _command(below, f"{name} {sub}", ".SH" if parent is None else ".SS", context)


def _paragraph(text: str) -> str:
    """Return a paragraph; lines of several keep their breaks."""
    return "\n.br\n".join(_roff(line) for line in text.split("\n"))


def _example(text: str) -> str:
    return f"Example:\n.RS\n.EX\n{_roff(text.removeprefix('Example: '))}\n.EE\n.RE"


def _roff(text: str) -> str:
    """Return text such that roff prints it as it is, without the marks of rich."""
    plain = text.replace("\\[", "[").replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain[:1] in (".", "'") else plain
