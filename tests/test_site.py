"""The site of the documentation: it builds without a warning, holds every command, and loads nothing from elsewhere."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import site_hooks
import typer

from jukectl.cli.help_pages import help_pages
from jukectl.cli.main import app

ROOT = Path(__file__).parent.parent


def commands(command: Any, name: str) -> dict[str, set[str]]:
    """The options of a command and of those below it, by full name."""
    found = {name: {option for one in command.params for option in one.opts if not getattr(one, "hidden", False)}}
    for sub, below in getattr(command, "commands", {}).items():
        found |= commands(below, f"{name} {sub}")
    return found


def test_the_reference_has_a_section_for_every_command_with_all_its_options():
    text = site_hooks.reference(help_pages())
    sections = dict(re.findall(r"^###? (jukectl[^\n]*)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))
    there = commands(typer.main.get_command(app), "jukectl")
    assert sections.keys() == there.keys()
    missing = {
        (name, option)
        for name, options in there.items()
        for option in options
        if option.startswith("--") and not re.search(rf"^`.*{option}\b.*`$", sections[name], re.MULTILINE)
    }
    assert missing == set()


@pytest.mark.parametrize(
    ("source", "link", "mended"),
    [
        ("README.md", "[a](docs/MINI.md#the-music)", "[a](MINI.md#the-music)"),
        ("README.md", "![a](docs/images/lyrics.png)", "![a](images/lyrics.png)"),
        ("docs/MINI.md", "[a](../README.md)", "[a](index.md)"),
        ("docs/MINI.md", "[a](../examples/riff.wav)", "[a](examples/riff.wav)"),
        ("docs/MINI.md", "[`a`](../examples/mini), [b](RESULTS.md)", "`a`, [b](RESULTS.md)"),
        ("docs/MINI.md", "[a](gone.md) [b](https://x.org) [c](#here)", "[a](gone.md) [b](https://x.org) [c](#here)"),
    ],
)
def test_links_of_a_page_are_turned_into_those_of_the_site(source, link, mended):
    assert site_hooks.mend(link, ROOT / source) == mended


@pytest.mark.skipif(not find_spec("material"), reason="the site needs mkdocs-material")
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert (built.returncode, built.stdout, built.stderr) == (0, "", "")
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) >= len(list((ROOT / "docs").glob("*.md")))
    loaded = (
        r"""<(?:script|img|iframe|audio|source)\b[^>]*\bsrc="?(https?:[^"> ]+)|<link\b[^>]*href="?(https?:[^"> ]+)"""
    )
    assert {page.name: found for page in pages if (found := re.findall(loaded, page.read_text(encoding="utf-8")))} == {}
