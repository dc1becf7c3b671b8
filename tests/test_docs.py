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


def commands(command: Any, name: str = "jukectl") -> Iterator[tuple[str, Any]]:
    """A command and all its subcommands, by full name."""
    yield name, command
    for sub_name, sub in getattr(command, "commands", {}).items():
        yield from commands(sub, f"{name} {sub_name}")


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if not hasattr(command, "commands")])
def test_every_command_has_help_with_an_example_of_itself(name):
    help_text = COMMANDS[name].help or ""
    first = help_text.strip().splitlines()[0] if help_text.strip() else ""
    assert first.endswith((".", ":", "?")) and len(first) > 15, f"{name} has no first sentence: {first!r}"
    assert re.search(rf"^\s*Example: {name}\b", help_text, re.MULTILINE), f"{name} has no line 'Example: {name} …'"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_group_option_and_argument_has_help(name):
    command = COMMANDS[name]
    assert command.help
    silent = [parameter.name for parameter in command.params if not getattr(parameter, "help", None)]
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
        "To develop": PYPROJECT["project"]["optional-dependencies"]["dev"],
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_files_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[\w-]*)?\)", document.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []
