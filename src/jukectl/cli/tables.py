"""Tables on stdout, which are Markdown as well."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


def table(*headings: str, text: int) -> "Table":
    """A table that is Markdown as well; numbers, all but the first `text` columns, are set to the right."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.MARKDOWN)
    for number, heading in enumerate(headings):
        made.add_column(heading, justify="left" if number < text else "right", no_wrap=True)
    return made


def lines(tables: Sequence["Table"]) -> list[str]:
    """Tables as plain lines, as wide as they need to be, an empty one between two."""
    from io import StringIO

    from rich.console import Console

    texts = []
    for one in tables:
        terminal = Console(file=StringIO(), width=1_000, color_system=None)
        with terminal.capture() as captured:
            terminal.print(one)
        texts.append(captured.get().strip())  # the box has blank edges
    return [line.rstrip() for line in "\n\n".join(texts).split("\n")]


def figure(value: float | None) -> str:
    """Two decimals; a dash for what has none, such as the decibels of silence."""
    return "-" if value is None else f"{value:.2f}"


def cell(text: str) -> "Text":
    """Text of a user's own for a cell: no [markup] is read in it, and a bar is no border."""
    from rich.text import Text

    return Text(text.replace("|", "\\|"))
