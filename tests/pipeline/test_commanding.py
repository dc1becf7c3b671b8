"""The command that a recipe tells: typed in, it asks for the same song."""

import shlex
import shutil
from pathlib import Path

import pytest

from jukectl.cli.main import main
from jukectl.codes.song import Song
from jukectl.pipeline.commanding import command_of

COMMON = ["--levels", "top", "--seconds", "0.224", "--seed", "3", "--progress", "none"]


@pytest.mark.parametrize(
    "options",
    [
        ["sample", "--artist", "Ada", "--genre", "jazz"],
        ["sample", "--temperature", "0.7", "--top-p", "0.9", "--samples", "2", "--start-at", "0"],
        ["sample", "--artist", "Ada:0.25+Björk B.:0.75", "--song-seconds", "4", "--top-k", "7", "--advance", "0.25"],
        ["continue", "riff.wav", "--prompt-seconds", "0.5", "--start", "0.25"],
    ],
)
def test_the_command_makes_the_song_again(options, tiny_model, riff, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(riff, "riff.wav")
    assert main(["--quiet", *options, "--model", str(tiny_model), *COMMON, "--out", "one"]) == 0
    recipe = Song(Path("one")).recipe()
    assert recipe is not None
    words = shlex.split(command_of(recipe, "two"))
    assert words[0] == "jukectl"
    again = [str(tiny_model) if word == "tiny" else word for word in words[1:]]  # which is no known name
    assert main(["--quiet", *again, "--progress", "none"]) == 0
    other = Song(Path("two")).recipe()
    assert other is not None
    assert recipe.differences(other) == []
    assert Path("one/top.npz").read_bytes() == Path("two/top.npz").read_bytes()
