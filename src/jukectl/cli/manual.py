"""The man page, from the help texts of all commands. `make man` writes it."""

from collections.abc import Iterator

from jukectl import __version__
from jukectl.cli.help_pages import EXAMPLE, HelpPage, help_pages

SECTION = 1


def man_page() -> str:
    """Return the man page of jukectl with all its commands, as roff."""
    pages = help_pages()
    summary = pages[0].paragraphs[0].partition(":")[0].partition(".")[0]
    lines = [
        f'.TH JUKECTL {SECTION} "" "jukectl {__version__}" "User Commands"',
        ".SH NAME",
        f"jukectl \\- {_roff(summary[:1].lower() + summary[1:])}",
        *(line for page in pages for line in _lines(page)),
    ]
    return "\n".join(lines) + "\n"


def _lines(page: HelpPage) -> Iterator[str]:
    """Yield the lines of a command."""
    yield f"{'.SS' if page.depth > 1 else '.SH'} {_roff(page.name) if page.depth else 'SYNOPSIS'}"
    yield f".B {_roff(page.name)}\n{_roff(page.usage)}"
    if not page.depth:
        yield ".SH DESCRIPTION"
    for paragraph in page.paragraphs:
        yield ".PP"
        yield _example(paragraph) if paragraph.startswith(EXAMPLE) else _paragraph(paragraph)
    for panel, records in page.panels.items():
        yield f".PP\n.B {_roff(panel)}"
        for names, text in records:
            yield f".TP\n.B {_roff(names)}\n{_roff(text)}"


def _paragraph(text: str) -> str:
    """Return a paragraph; lines of several keep their breaks."""
    return "\n.br\n".join(_roff(line) for line in text.split("\n"))


def _example(text: str) -> str:
    return f"Example:\n.RS\n.EX\n{_roff(text.removeprefix(EXAMPLE))}\n.EE\n.RE"


def _roff(text: str) -> str:
    """Return text such that roff prints it as it is."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain[:1] in (".", "'") else plain
