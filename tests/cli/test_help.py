"""Help that teaches: what a newcomer needs is found from --help in at most two calls; the man page has the same."""

import re
import shlex
import shutil
import subprocess
import sys
from typing import Any

import pytest
import typer

from jukectl.cli.commands import COMMANDS
from jukectl.cli.main import app
from jukectl.cli.manual import man_page

TREE: Any = typer.main.get_command(app)


@pytest.fixture
def first_page(jukectl):
    """The first call: jukectl --help, its lines without borders."""
    return [line.strip(" │") for line in jukectl("--help").out.splitlines()]


def commands(page, title):
    """The command lines below a title of the first page, in order."""
    below = page[page.index(title) + 1 :]
    return [shlex.split(line)[1:] for line in below if line.startswith("jukectl ")]


def second_page(jukectl, command):
    """The second call: the help of a command, as one line."""
    return " ".join(" ".join(line.strip(" │") for line in jukectl(command, "--help").out.splitlines()).split())


@pytest.fixture
def tiny(jukectl, tiny_model, riff, tmp_path, monkeypatch):
    """Run command lines of the help in a folder with riff.wav, on a tiny model."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "riff.wav").write_bytes(riff.read_bytes())

    def run(arguments):
        if arguments[0] == "continue":
            arguments = [*arguments, "--model", tiny_model, "--seconds", "0.3", "--genre", "jazz"]
        known = {"Piano": "ambient", "12": "2.1"}
        return jukectl(*(known.get(one, one) for one in arguments))

    return run


# The three paths


def test_the_first_page_shows_how_to_make_three_variants_and_keep_one(jukectl, first_page, tiny, tmp_path):
    make, keep = commands(first_page, "Three variants, of which one is kept:")[:2]
    assert tiny(make).out.split() == [f"riff-continued/audio/{number}.wav" for number in range(3)]
    assert tiny(keep).out.split() == ["riff-continued-sample-1"]
    kept, second = (tmp_path / f"riff-continued{name}.wav" for name in ("-sample-1/audio/0", "/audio/1"))
    assert kept.read_bytes() == second.read_bytes()
    assert "--samples N Number of different songs to make" in second_page(jukectl, make[0])
    assert "Extract one sample of a song" in second_page(jukectl, keep[0])


def test_the_first_page_shows_how_to_continue_in_another_genre(jukectl, first_page, tiny):
    tiny(commands(first_page, "Three variants, of which one is kept:")[0])
    branch = commands(first_page, "On from 12 s in another genre:")[0]
    song = tiny(branch).out.partition("/")[0]
    assert jukectl("--json", "info", song).json["genres"] == ["ambient"]
    assert "--at SECONDS Time from which the music is new" in second_page(jukectl, branch[0])


def test_the_first_page_shows_how_to_render_a_list(jukectl, first_page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begin = first_page.index("A list of songs:") + 1
    init, render = (line.split()[1:] for line in first_page[begin : begin + 2])
    jukectl(*init)
    assert jukectl("--json", *render, "--dry-run").json["unfinished"] == 3


# All help texts


def leaves(command, name="jukectl"):
    """Every command below a group, with its full name."""
    for sub, below in command.commands.items():
        if hasattr(below, "commands"):
            yield from leaves(below, f"{name} {sub}")
        else:
            yield f"{name} {sub}", below


def test_the_examples_of_a_command_are_understood_by_it():
    for name, command in leaves(TREE):
        for line in re.findall(r"^Example: (.*)$", command.help, re.MULTILINE):
            words = shlex.split(line.replace("\\[", "["))
            assert words[: len(name.split())] == name.split()
            command.make_context(name, words[len(name.split()) :])


def test_the_list_of_commands_has_the_first_paragraph_and_the_panel_of_each():
    for name, entry in COMMANDS.items():
        command = TREE.commands[name]
        assert (entry.help, entry.panel) == (command.help.partition("\n\n")[0], command.rich_help_panel), name


@pytest.mark.parametrize(("arguments", "imported"), [(["--help"], set()), (["pick", "--help"], {"pick"})], ids=str)
def test_no_command_is_imported_but_the_one_that_is_asked_for(arguments, imported):
    code = f"import sys\nfrom jukectl.cli.main import main\nmain({arguments})\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    modules = {entry.place.partition(":")[0] for entry in COMMANDS.values()}
    assert {name for name in modules if f"jukectl.cli.{name}" in loaded} == imported


@pytest.mark.parametrize("option", ["--artist", "--genre", "--seconds", "--samples"])
def test_the_options_that_matter_come_early_in_their_panels(option):
    parameters = TREE.commands["continue"].params
    (found,) = (one for one in parameters if option in one.opts)
    panel = [one for one in parameters if one.rich_help_panel == found.rich_help_panel]
    assert panel.index(found) < 2


# The man page


def test_the_man_page_describes_every_command_and_option():
    page = man_page().replace("\\-", "-")
    for name, command in leaves(TREE):
        assert re.search(rf"^\.S[HS] {name}$", page, re.MULTILINE)
        for parameter in command.params:
            assert all(option in page for option in parameter.opts)
    assert "jukectl [align]" not in page
    assert "jukectl[align]" in page  # without the marks of rich


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is needed")
def test_the_man_page_is_valid_roff(tmp_path):
    path = tmp_path / "jukectl.1"
    path.write_text(man_page(), encoding="utf-8")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-K", "utf8", "-T", "utf8", str(path)], capture_output=True, text=True, check=True
    )
    assert "jukectl continue riff.wav --artist Freedoom --genre Game" in re.sub(r"\x1b\[\d*m|.\x08", "", done.stdout)
    assert done.stderr == ""
