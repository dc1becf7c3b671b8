"""The command that a recipe tells: typed in, it asks for the same song, or grows the same tree."""

import shlex
import shutil
from pathlib import Path

import pytest

from jukectl.cli.main import main
from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.codes.tree import Tree, TreeRecipe
from jukectl.plan.command import command_of, tree_command

COMMON = ["--levels", "top", "--seconds", "0.224", "--seed", "3", "--progress", "none"]


@pytest.mark.parametrize(
    "options",
    [
        ["sample", "--artist", "Ada", "--genre", "jazz"],
        ["sample", "--temperature", "0.7", "--top-p", "0.9", "--samples", "2", "--start-at", "0"],
        ["sample", "--artist", "Ada:0.25+Björk B.:0.75", "--song-seconds", "4", "--top-k", "7", "--advance", "0.25"],
        ["sample", "--song-seconds", "4.123456789", "--temperature", "0.98765432"],
        ["continue", "riff.wav", "--prompt-seconds", "0.5", "--start", "0.25"],
    ],
)
def test_the_command_makes_the_song_again(options, tiny_model, riff, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(riff, "riff.wav")
    assert main(["--quiet", *options, "--model", str(tiny_model), *COMMON, "--out", "one"]) == 0
    recipe = Song(Path("one")).recipe()
    assert recipe is not None
    codes = Song(Path("one")).codes(Level.TOP)
    assert codes is not None
    words = shlex.split(command_of(recipe, "two", sample_rate=codes.sample_rate))
    assert words[0] == "jukectl"
    assert ("--song-seconds" in words) == ("--song-seconds" in options)
    again = [str(tiny_model) if word == "tiny" else word for word in words[1:]]  # which is no known name
    assert main(["--quiet", *again, "--progress", "none"]) == 0
    other = Song(Path("two")).recipe()
    assert other is not None
    assert recipe.differences(other) == []
    assert Path("one/top.npz").read_bytes() == Path("two/top.npz").read_bytes()


def test_the_command_fills_in_top_codes_of_other_making_again(tiny_model, finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        Path(name).mkdir()
        shutil.copy(finished / "top.npz", name)
    options = ["--genre", "jazz", "--seed", "3", "--model", str(tiny_model), "--temperature", "middle=0.7,bottom=0.6"]
    assert main(["--quiet", "upsample", "one", *options, "--progress", "none"]) == 0
    recipe = Song(Path("one")).recipe()
    assert recipe is not None
    again = [str(tiny_model) if word == "tiny" else word for word in shlex.split(command_of(recipe, "two"))[1:]]
    assert main(["--quiet", *again, "--progress", "none"]) == 0
    assert Path("one/bottom.npz").read_bytes() == Path("two/bottom.npz").read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        ["riff.wav", "--prompt-seconds", "0.5", "--start", "0.25", "--depth", "2", "--levels", "top"],
        [
            "riff.wav",
            "--every",
            "0.1",
            "--depth",
            "1",
            "--temperature",
            "top=0.7,middle=0.9,bottom=0.8",
            "--guidance",
            "2",
        ],
        ["song", "--sample", "1", "--at", "0.3333", "--leaf", "1.0", "--song-seconds", "4.123456789"],
        ["song", "--levels", "top", "--artist", "Björk B.", "--depth", "1", "--advance", "0.25", "--top-k", "9"],
        ["song", "--levels", "top", "--depth", "1", "--expected", "top=1"],
    ],
    ids=" ".join,
)
def test_the_command_grows_the_tree_again(options, tiny_model, riff, finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(riff, "riff.wav")
    shutil.copytree(finished, "song")
    every = [] if "--every" in options else ["--every", "0.224"]
    asked = ["tree", *options, *every, "--branch", "2", "--seed", "5", "--model", str(tiny_model)]
    assert main(["--quiet", *asked, "--progress", "none", "--out", "one"]) == 0
    words = shlex.split(command_of_tree(Path("one"), "two"))
    assert words[:2] == ["jukectl", "tree"]
    again = [str(tiny_model) if word == "tiny" else word for word in words[1:]]  # which is no known name
    assert main(["--quiet", *again, "--progress", "none"]) == 0
    nodes = {path.name: path.read_bytes() for path in Path("one/nodes").glob("*.npz")}
    assert nodes
    assert {path.name: path.read_bytes() for path in Path("two/nodes").glob("*.npz")} == nodes
    assert read(Path("one")).step.differences(read(Path("two")).step) == []


def test_the_command_of_a_tree_that_grew_deeper_grows_all_of_it(tiny_model, riff, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(riff, "riff.wav")
    common = ["--every", "0.224", "--branch", "2", "--levels", "top", "--song-seconds", "3", "--model", str(tiny_model)]
    assert main(["--quiet", "tree", "riff.wav", *common, "--depth", "1", "--progress", "none", "--out", "one"]) == 0
    assert main(["--quiet", "tree", "one", "--depth", "2", "--progress", "none"]) == 0
    assert "--depth 2" in command_of_tree(Path("one"), "two")


def read(folder: Path) -> TreeRecipe:
    recipe = Tree(folder).recipe()
    assert recipe is not None
    return recipe


def command_of_tree(folder: Path, out: str) -> str:
    root = Tree(folder).root.recipe()
    assert root is not None
    return tree_command(read(folder), root, out)
