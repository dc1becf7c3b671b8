"""Whatever the README tells people to type is a command that exists, and the tour does what it says."""

import ast
import inspect
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from jukectl.cli.main import app, main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def command_lines(text: str) -> list[str]:
    """What follows `jukectl` on the lines of shell blocks, and in `jukectl …` inside a sentence."""
    whole = [block.replace("\\\n", " ") for block in blocks(text, "sh")]  # a backslash goes on with the next line
    lines = [line.partition("#")[0] for block in whole for line in block.splitlines()]
    inline = re.findall(r"(?<!`)`jukectl ([^`…]+)`(?!`)", text)
    return [line.removeprefix("jukectl ").strip() for line in lines if line.startswith("jukectl ")] + inline


def parse(command: Any, name: str, arguments: list[str], parent: Any = None) -> None:
    """Read a command line as the program would, without running it; raises where it would complain."""
    assert "--install-completion" not in arguments, "it would change the files of this user's shell"
    context = command.make_context(name, list(arguments), parent=parent)
    if hasattr(command, "commands"):
        rest = [*getattr(context, "_protected_args", []), *context.args]
        found, sub, rest = command.resolve_command(context, rest)
        parse(sub, found, rest, context)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_command_lines_in_a_document_are_understood(document):
    command, wrong = typer.main.get_command(app), {}
    for line in command_lines(document.read_text()):
        arguments = shlex.split(line)
        if arguments[-1:] == ["--help"]:  # help ends the program
            continue
        try:
            parse(command, "jukectl", arguments)
        except Exception as error:  # all of them are listed, not the first alone
            wrong[line] = str(error)
    assert wrong == {}


@pytest.mark.parametrize(
    ("line", "complaint"),
    {
        "decode --level top": "(?i)missing",
        "sample --out x --sead 1": "No such option",
        "models lost": "No such command",
        "continue a.wav --out x --seconds long": "valid number",
    }.items(),
)
def test_a_wrong_command_line_is_noticed(line, complaint):
    with pytest.raises(Exception, match=complaint):
        parse(typer.main.get_command(app), "jukectl", shlex.split(line))


def options(command: Any) -> set[str]:
    """Every option of a command and of its subcommands."""
    own = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return own.union({"--help"}, *(options(sub) for sub in getattr(command, "commands", {}).values()))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_options_and_make_targets_named_in_a_document_exist(document):
    text = document.read_text()
    assert set(re.findall(r"`(--[a-z][a-z-]+)", text)) - options(typer.main.get_command(app)) == set()
    in_blocks = [line for block in blocks(text, "sh") for line in block.splitlines()]
    named = re.findall(r"^make ([\w-]+)", "\n".join(in_blocks), re.MULTILINE) + re.findall(r"`make ([\w-]+)", text)
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(named) - targets == set()


def test_make_demo_and_make_test_are_the_first_two_commands():
    assert [line.split()[:2] for line in blocks(README, "sh")[0].splitlines()] == [["make", "demo"], ["make", "test"]]


def test_names_and_numbers_of_the_embedded_model_are_its_own():
    card = tomllib.loads((ROOT / "src/jukectl/assets/mini/model.toml").read_text())
    artists, genres = (set(card["vocabulary"][kind]) for kind in ("artists", "genres"))
    numbers = re.search(r"It knows (\d+) artists and (\d+) genres", README)
    assert numbers
    assert [int(number) for number in numbers.groups()] == [len(names - {"unlabelled"}) for names in (artists, genres)]
    lines = [line for line in command_lines(README) if "--model" not in line]
    given = {
        option: re.findall(rf'{option} (?:"([^"]+)"|(\S+))', "\n".join(lines)) for option in ("--artist", "--genre")
    }
    assert {quoted or bare for quoted, bare in given["--artist"]} <= artists
    assert {quoted or bare for quoted, bare in given["--genre"]} <= genres


@pytest.fixture
def mini_is_tiny(playing_model, riff, tmp_path, monkeypatch):
    """A working folder with the examples, in which a tiny model that follows notes is called mini."""
    (tmp_path / "examples").mkdir()
    shutil.copy(riff, tmp_path / "examples/riff.wav")
    shutil.copy(ROOT / "examples/tune.mid", tmp_path / "examples")
    shutil.copytree(playing_model, tmp_path / "assets/mini")
    card = tmp_path / "assets/mini/model.toml"
    card.write_text(card.read_text(encoding="utf-8").replace('name = "player"', 'name = "mini"'), encoding="utf-8")
    monkeypatch.setattr("jukectl.checkpoints.catalogue.assets", lambda: tmp_path / "assets")
    monkeypatch.setattr("jukectl.checkpoints.catalogue.user_models", lambda: tmp_path / "none")
    monkeypatch.chdir(tmp_path)
    return tmp_path


EXAMPLES = blocks((ROOT / "docs/python.md").read_text(), "python")
FOR_TINY = {'"Freedoom"': '"Ada"', '"Game"': '"jazz"', '"Piano"': '"ambient"', "seconds=60": "seconds=2.5"}
FOR_TINY |= {f"seconds={count}": f"seconds={count / 10}" for count in (6, 12, 20)}


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_of_the_python_page_run(number, mini_is_tiny, capsys):
    text = EXAMPLES[number]
    for name, value in FOR_TINY.items():
        text = text.replace(name, value)
    exec(compile(text, f"docs/python.md, example {number + 1}", "exec"), {})
    assert capsys.readouterr().out


def test_the_functions_that_the_python_page_lists_are_those_of_the_program():
    import jukectl

    rows = re.findall(r"^\| (`[a-z].*?) \| .* \|$", (ROOT / "docs/python.md").read_text(), re.MULTILINE)
    calls = [ast.parse(call).body[0].value for row in rows for call in re.findall(r"`(\w+\(.*?\))`", row)]
    assert len(calls) == 8
    for call in calls:
        inspect.signature(getattr(jukectl, call.func.id)).bind(*call.args)


READERS: dict[str, Callable[[str], object]] = {
    "python": ast.parse,
    "toml": tomllib.loads,
    "json": json.loads,
    "sh": lambda block: [shlex.split(line, comments=True) for line in block.replace("\\\n", " ").splitlines()],
    "": str,  # a tree of files, or a picture in text
    "text": str,
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_of_a_document_can_be_read(document):
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL):
        READERS[language](block)


def test_the_settings_in_the_docs_are_those_of_the_program():
    from jukectl.settings import NAMES

    text = section("docs/render-many.md", "Defaults")
    assert tuple(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == NAMES


def test_the_fields_of_an_archive_in_the_docs_are_those_of_the_program():
    from jukectl.codes.archive import FIELDS

    text = section("docs/files.md", "Codes: `top.npz`, `middle.npz`, `bottom.npz`")
    assert tuple(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == FIELDS


def section(document: str, title: str) -> str:
    """A section of a document, without those that follow."""
    _, found, rest = (ROOT / document).read_text().partition(f"## {title}\n")
    assert found, f"{document} has no section {title}"
    return rest.partition("\n## ")[0]


def quick(line: str) -> list[str]:
    """A line of the README for the tiny model: with less to make, and without names that it does not know."""
    arguments = shlex.split(line, comments=True)
    for option, value in (("--artist", None), ("--genre", None), ("--seconds", "0.3"), ("--at", "2.1")):
        if option in arguments:
            at = arguments.index(option)
            arguments[at : at + 2] = [option, value] if value else []
    return arguments


def test_the_tour_runs_from_its_first_line_to_its_last(mini_is_tiny, capsys):
    layout = section("docs/files.md", "The song folder")
    tour = section("README.md", "Five things to try") + layout
    lines = [line for block in blocks(tour, "sh") for line in block.splitlines()]
    for line in lines:
        command, *arguments = quick(line)
        if command != "jukectl":
            subprocess.run([command, *arguments], check=True)
        elif arguments[0] != "play":  # which needs a sound card
            assert main(arguments) == 0, f"{line}\n{capsys.readouterr().err}"
    named = re.findall(r"^  (\S+(?:  \S+)*?)   ", layout, re.MULTILINE)
    files = {name for group in named for name in group.split()}
    assert files == {
        "song.toml",
        "prompt.wav",
        "top.npz",
        "middle.npz",
        "bottom.npz",
        "audio/0.wav",
        "previews/top-0.wav",
    }
    missing = {name for name in files if not (mini_is_tiny / "riff-song" / name).exists()}
    assert missing == {"previews/top-0.wav"}  # where asked for, as in the draft
    assert (mini_is_tiny / "draft/previews/top-0.wav").exists()
    for song in ("kept", "on-piano", "ode", "other-song"):
        assert (mini_is_tiny / song / "audio/0.wav").exists()
    assert (mini_is_tiny / "site/index.html").exists()
