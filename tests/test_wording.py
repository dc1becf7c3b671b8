"""The documents and the help use the field's terms: house words that readers had to read twice do not come back."""

import re
from pathlib import Path

import pytest

from jukectl.cli.help_pages import help_pages

ROOT = Path(__file__).parent.parent
TEXTS = {path.relative_to(ROOT).as_posix(): path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]}
HISTORY = {"CHANGELOG.md"}  # entries of released versions stay as they are

HOUSE_WORDS = {
    r"told|telling|tells (it|them)|heard": "conditioned on; estimated; predicted",
    r"gone on|goes on|going on|go on with": "continue",
    r"anew": "again, new",
    r"to be had": "available",
    r"nobody's?": "unconditioned",
    r"lays? over": "overrides",
    r"processors?": "CPU",
    r"take turns": "interleaved",
    r"whose chance": "random stream",
    r"its maker": "the author",
    r"weights of a byte": "8-bit weights",
    r"no seams to be": "no measurable seams",
    r"squeezed": "outlier",
    r"a quarter of the numbers": "parameters",
}


def prose(text: str) -> str:
    """A document without blocks of code, links and the names of things."""
    return re.sub(r"^```.*?^```$|`[^`\n]*`|\]\([^)]*\)", "", text, flags=re.MULTILINE | re.DOTALL)


def house_words(text: str) -> list[str]:
    """The lines with a house word, and the term to use in its place."""
    return [
        f"{line.strip()}: {term}"
        for line in prose(text).splitlines()
        for word, term in HOUSE_WORDS.items()
        if re.search(rf"\b({word})\b", line, re.IGNORECASE)
    ]


@pytest.mark.parametrize("name", sorted(TEXTS.keys() - HISTORY))
def test_a_document_has_no_house_words(name):
    assert house_words(TEXTS[name].read_text(encoding="utf-8")) == []


def test_the_help_has_no_house_words():
    found = {page.name: house_words("\n".join([*page.paragraphs, *texts(page.panels)])) for page in help_pages()}
    assert {name: lines for name, lines in found.items() if lines} == {}


def texts(panels: dict[str, list[tuple[str, str]]]) -> list[str]:
    """The help of all options and arguments of a page."""
    return [text for records in panels.values() for _, text in records]


def test_a_sentence_that_had_to_be_read_twice_is_noticed():
    assert house_words("8 spans at once; no seams to be heard\nProcessors: `told`\n```sh\nanew\n```\n") == [
        "8 spans at once; no seams to be heard: conditioned on; estimated; predicted",
        "8 spans at once; no seams to be heard: no measurable seams",
        "Processors:: CPU",
    ]
