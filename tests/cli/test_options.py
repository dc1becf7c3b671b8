"""The options that commands share: which commands have them, in which panels of the help, and what becomes of them."""

import os
import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest
import typer

from jukectl.cli.main import app
from jukectl.cli.options import PANEL_OF, PANELS, SamplingOptions, sampling_command
from jukectl.codes.level import Level

PROGRAM: Any = typer.main.get_command(app)
COMMANDS = PROGRAM.commands
LEAVES = {
    " ".join([name, *sub]): command
    for name, group in COMMANDS.items()
    for sub, command in ([([one], leaf) for one, leaf in getattr(group, "commands", {}).items()] or [([], group)])
}
SAMPLING = ("sample", "continue", "upsample", "branch", "tree", "resume")


@pytest.fixture
def given(monkeypatch):
    """A command with SamplingOptions, which returns the options that it was given."""
    taken = []

    @sampling_command(without={"lyrics"})
    def command(options: SamplingOptions) -> None:
        taken.append(options)

    cli = typer.Typer()
    cli.command()(command)

    def run(*arguments):
        cli(args=[*arguments], standalone_mode=False)
        return taken.pop()

    return run


def test_every_shared_option_has_a_place_in_a_panel():
    assert {field.name for field in fields(SamplingOptions)} <= {*PANEL_OF, "origins"}
    assert len(PANEL_OF) == sum(map(len, PANELS.values()))


@pytest.mark.parametrize("name", SAMPLING)
def test_the_panels_of_a_sampling_command_follow_one_another_in_one_order(name):
    panels = [parameter.rich_help_panel for parameter in COMMANDS[name].params if parameter.rich_help_panel]
    assert list(dict.fromkeys(panels)) == [panel for panel in PANELS if panel in panels]


def test_the_arguments_of_a_command_stay_in_the_order_of_its_function():
    parameters = COMMANDS["eval"].commands["midi"].params
    assert [one.name for one in parameters if one.param_type_name == "argument"] == ["model", "files"]


def shown_default(name, option):
    (found,) = (parameter for parameter in COMMANDS[name].params if option in parameter.opts)
    return found.show_default


def test_the_help_shows_the_default_of_each_command():
    shown = {name: shown_default(name, "--temperature") for name in ("sample", "branch")}
    assert shown == {"sample": "the model's, or 0.98", "branch": "the song's"}


def test_the_help_shows_a_default_for_every_option_that_takes_a_value():
    without = {
        f"{name} {parameter.opts[0]}"
        for name, command in LEAVES.items()
        for parameter in command.params
        if parameter.param_type_name == "option" and not (parameter.is_flag or parameter.required)
        if (parameter.default if parameter.show_default is True else parameter.show_default) in (None, "")
    }
    assert without == set()


def test_an_option_that_a_command_leaves_out_keeps_its_default(given):
    options = given("--seed", "7")
    assert (options.seed, options.lyrics) == (7, None)


def test_options_that_no_field_has_are_a_mistake_of_ours():
    with pytest.raises(AssertionError, match="colour"):

        @sampling_command(without={"colour"})
        def command(options: SamplingOptions) -> None:
            """Nothing calls it."""


def test_options_become_a_request(given):
    request = given("--top-k", "top=50", "--parallel", "4", "--genre", "Jazz", "--levels", "top").request(until=3.0)
    assert request.settings["top_k"] == {Level.TOP: 50}
    assert request.settings["parallel"] == dict.fromkeys(Level, 4)
    assert (request.genres, request.levels, request.until, request.seconds) == (("Jazz",), (Level.TOP,), 3.0, None)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("jukectl continue --pre", {"--preview", "--precision"}),
        ("jukectl sample --progress ", {"auto", "json", "none"}),
        ("jukectl br", {"branch"}),
    ],
)
def test_the_shell_completes_commands_options_and_choices(typed, offered):
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_JUKECTL_COMPLETE": "complete_bash"}
    command = [sys.executable, "-m", "jukectl"]
    done = subprocess.run(command, env={**os.environ, **words}, capture_output=True, text=True, check=False)
    assert set(done.stdout.split()) == offered
