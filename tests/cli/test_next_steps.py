"""Suggestions of further commands are printed on a terminal only; --open opens the result."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from jukectl.cli.main import app


@pytest.fixture
def terminal(monkeypatch):
    """Make stdout and stderr a terminal. Pytest replaces the streams after this fixture, so the test calls it."""

    def connect():
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    return connect


def suggested(text):
    """The commands in the last line of stderr."""
    _, said, steps = text.splitlines()[-1].partition("Next: ")  # after what ends the bars
    assert said
    return [shlex.split(part)[1:] for part in steps.split("  |  ")]


@pytest.mark.parametrize(
    ("options", "commands"),
    [
        ([], ["play", "branch", "explore"]),
        (["--samples", "2"], ["play", "pick", "explore"]),
        (["--levels", "top"], ["play", "upsample", "branch"]),
    ],
)
def test_a_terminal_shows_what_to_do_with_a_song(jukectl, style, tmp_path, terminal, options, commands):
    terminal()
    steps = suggested(jukectl("sample", "--out", tmp_path / "a song", *style, *options).err)
    assert [step[:2] for step in steps] == [[command, str(tmp_path / "a song")] for command in commands]
    program: Any = typer.main.get_command(app)
    for command, *rest in steps:
        program.commands[command].make_context(command, rest)


def test_extracted_and_encoded_songs_have_next_steps_too(jukectl, song, riff, tiny_model, tmp_path, terminal):
    terminal()
    assert suggested(jukectl("pick", song, "--sample", 1, "--out", tmp_path / "one").err)[0][0] == "resume"
    assert suggested(jukectl("encode", riff, "--out", tmp_path / "codes", "--model", tiny_model).err)[0][0] == "decode"
    assert suggested(jukectl("decode", tmp_path / "codes").err)[0][0] == "play"


@pytest.mark.parametrize("globals_", [["--quiet"], ["--json"], []])
def test_pipes_and_quiet_commands_show_none(jukectl, song, terminal, globals_):
    if globals_:
        terminal()
    assert "Next:" not in jukectl(*globals_, "resume", song).err


@pytest.mark.parametrize(
    ("command", "opened"),
    [
        (["resume", "song"], "song/audio/0.wav"),
        (["decode", "song", "--level", "top"], "song/previews/top-0.wav"),
        (["plot", "song"], "song/plots/spectrogram.png"),
        (["explore", "song"], "site/index.html"),
    ],
)
def test_open_opens_the_result(jukectl, song, monkeypatch, command, opened):
    monkeypatch.chdir(song.parent)
    launched = []
    monkeypatch.setattr("typer.launch", lambda path: launched.append(path) or 1)
    answer = jukectl(*command, "--open")
    assert launched == [opened]
    assert Path(opened).exists()
    assert f"no program opens {opened} here" in answer.err
