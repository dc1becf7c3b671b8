"""The documents say what the program is: a new command, dependency or module without its line fails here."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from jukectl.cli.main import app

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PYPROJECT["project"]["optional-dependencies"]


def commands(command: Any, name: str = "jukectl") -> Iterator[tuple[str, Any]]:
    """A command and all its subcommands, by full name."""
    yield name, command
    for sub_name, sub in getattr(command, "commands", {}).items():
        yield from commands(sub, f"{name} {sub_name}")


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_every_command_has_help_with_an_example_of_itself():
    texts = {name: command.help or "" for name, command in COMMANDS.items() if not hasattr(command, "commands")}
    first = {name: text.strip().partition("\n")[0] for name, text in texts.items()}
    assert [name for name, line in first.items() if not line.endswith((".", ":", "?")) or len(line) <= 15] == []
    without = [name for name, text in texts.items() if not re.search(rf"^\s*Example: {name}\b", text, re.MULTILINE)]
    assert without == []


def test_every_group_option_and_argument_has_help():
    assert [name for name, command in COMMANDS.items() if not command.help] == []
    silent = [
        (name, parameter.name)
        for name, command in COMMANDS.items()
        for parameter in command.params
        if not getattr(parameter, "help", None)
    ]
    assert silent == []


def required(requirements: list[str]) -> set[str]:
    """The names of requirements like "torch>=2.5"."""
    return {match[0] for line in requirements if (match := re.match(r"[A-Za-z0-9_-]+", line))}


def section(title: str) -> set[str]:
    """The packages that a section of DEPENDENCIES.md explains: the rows of its table that say what for and why."""
    _, _, rest = (ROOT / "docs/DEPENDENCIES.md").read_text().partition(f"## {title}\n")
    rows = re.findall(r"^\| ([\w-]+) \| ([^|]+) \| ([^|]+) \|$", rest.partition("\n## ")[0], re.MULTILINE)
    return {
        name for name, purpose, reason in rows if name not in ("package", "---") and purpose.strip() and reason.strip()
    }


@pytest.mark.parametrize(
    ("title", "requirements"),
    {
        "To run": PYPROJECT["project"]["dependencies"],
        "In extras": [name for extra, names in EXTRAS.items() if extra != "dev" for name in names],
        "To develop": EXTRAS["dev"],
        "To build": PYPROJECT["build-system"]["requires"],
    }.items(),
)
def test_every_dependency_has_a_line_that_says_why_and_no_line_is_left_over(title, requirements):
    assert section(title) == required(requirements)


def test_architecture_names_every_package_and_no_module_that_is_gone():
    source = ROOT / "src/jukectl"
    text = (ROOT / "docs/ARCHITECTURE.md").read_text()
    internals = (ROOT / "docs/INTERNALS.md").read_text()
    named = set(re.findall(r"`((?:\w+/)*\w+\.py)`", text + internals))
    there = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    assert {name for name in named if not name.startswith("tests/")} - there == set()
    packages = {path.parent.relative_to(source).as_posix() for path in source.rglob("__init__.py")} - {"."}
    assert {package for package in packages if f"`{package}/" not in text} == set()


def sources() -> list[dict[str, str]]:
    found: list[dict[str, str]] = tomllib.loads((ROOT / "examples/mini/card.toml").read_text())["sources"]
    return found


def test_the_card_of_mini_names_every_collection_it_learned_from_with_author_and_licence():
    rows = re.findall(
        r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \| \d* +\| [\d.]* *\|$",
        (ROOT / "docs/MINI.md").read_text(),
        re.MULTILINE,
    )
    names = ("title", "artist", "licence", "package")
    assert sorted(rows) == sorted(tuple(source[name] for name in names) for source in sources())
    assert len(rows) >= 15


@pytest.mark.parametrize("recipe", sorted((ROOT / "examples/mini").glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_of_mini_keeps_the_same_songs_out(recipe):
    if recipe.stem == "card":
        return
    lines = (ROOT / "examples/mini/held_out.txt").read_text().splitlines()
    held_out = [line for line in lines if line and not line.startswith("#")]
    assert tomllib.loads(recipe.read_text())["data"]["held_out"] == held_out


DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])


def prose(document: Path) -> str:
    """The text of a document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document: the ids of its headings on GitHub and on the site."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> list[str]:
    """Links of a document to files that are not there, or to headings that these lack."""
    broken = []
    for path, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", prose(document)):
        target = document.parent / path if path else document
        if "://" not in path and not (target.exists() and (not anchor or anchor in anchors(target))):
            broken.append(f"{path}#{anchor}" if anchor else path)
    return broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_in_a_document_lead_to_files_and_headings_that_are_there(document):
    assert broken_links(document) == []


def test_a_broken_link_is_noticed(tmp_path):
    (tmp_path / "other.md").write_text("# The other\n\n## Two: words, here\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n[a](other.md) [b](other.md#two-words-here) [c](#page) [d](https://x.org/y#z)\n"
        "```text\n[e](none.md)\n```\n[f](gone.md) [g](other.md#three) [h](#nowhere) ![i](no.png)\n"
    )
    assert broken_links(page) == ["gone.md", "other.md#three", "#nowhere", "no.png"]


def test_pages_that_the_program_names_exist():
    sources = [*ROOT.glob("src/jukectl/**/*.py"), *ROOT.glob("examples/**/*.*"), *ROOT.glob("benchmarks/*.py")]
    named = {
        page
        for source in sources
        if source.suffix in (".py", ".sh", ".toml")
        for page in re.findall(r"docs/[\w-]+\.md", source.read_text(encoding="utf-8"))
    }
    assert len(named) > 3
    assert {page for page in named if not (ROOT / page).exists()} == set()
