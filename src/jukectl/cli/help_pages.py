"""The help of all commands as data, from which the man page and the reference of the site are written."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

EXAMPLE = "Example: "


@dataclass(frozen=True, kw_only=True)
class HelpPage:
    """The help of one command."""

    name: str  # in full: "jukectl models show"
    depth: int  # 0 for jukectl itself, 1 for its commands, 2 for those of groups
    usage: str  # arguments after the name
    paragraphs: tuple[str, ...]  # a line break in one is meant; an example begins with EXAMPLE
    panels: dict[str, list[tuple[str, str]]]  # names and help of the parameters, by the title of their panel


def help_pages() -> list[HelpPage]:
    """Return the pages of jukectl and all its commands, each group before its commands."""
    from jukectl.cli.main import app

    return list(_pages(typer.main.get_command(app), "jukectl", None))


def _pages(command: Any, name: str, parent: Any) -> Iterator[HelpPage]:
    context = typer.Context(command, info_name=name.rpartition(" ")[2], parent=parent, **command.context_settings)
    yield HelpPage(
        name=name,
        depth=name.count(" "),
        usage=" ".join(command.collect_usage_pieces(context)),
        paragraphs=tuple(_plain(str(command.help or "")).split("\n\n")),
        panels=_panels(command, context),
    )
    for sub, below in getattr(command, "commands", {}).items():
        yield from _pages(below, f"{name} {sub}", context)


def _panels(command: Any, context: Any) -> dict[str, list[tuple[str, str]]]:
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            names, text = record[0].replace("<bool>", "").strip(), " ".join(record[1].split())
            title = getattr(parameter, "rich_help_panel", None) or "Options"
            panels.setdefault(title, []).append((names, _plain(text)))
    return panels


def _plain(text: str) -> str:
    """Return text without the escapes of rich."""
    return text.replace("\\[", "[")
