"""The shell scripts in examples/, run as a user would run them, on a tiny model."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

import jukectl
from jukectl.codes.level import Level

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
Script = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def script(warm_jukectl: list[str], tmp_path: Path) -> Script:
    """Runs one of the scripts in a folder of its own."""
    environment = {**os.environ, "JUKECTL": " ".join(warm_jukectl)}

    def run(name: str, *arguments: object, **changes: str) -> subprocess.CompletedProcess[str]:
        command = [str(EXAMPLES / name), *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment | changes, capture_output=True, text=True, check=False
        )

    return run


def test_continue_riff_makes_two_songs_and_prints_where_they_are(script, riff, tiny_model, tmp_path):
    shutil.copy(riff, tmp_path / "my riff.wav")
    done = script("continue_riff.sh", "my riff.wav", "my song", "--seconds", 0.25, "--seed", 3, "--model", tiny_model)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["my song/audio/0.wav", "my song/audio/1.wav"]
    first, second = (soundfile.read(tmp_path / line)[0] for line in done.stdout.splitlines())
    assert len(first) == len(second)
    assert not np.array_equal(first, second)


def test_render_list_renders_each_line_and_says_which_failed(script, tiny_model, tmp_path):
    rows = [
        "# out\tartist\tgenre\tseconds\tseed",
        "",
        "one\tBjörk B.\t\t0.2\t5\r",
        "bad\tNobody At All",
        "two songs\t\t\t0.3",
    ]
    (tmp_path / "list.tsv").write_text("\n".join(rows), encoding="utf-8")
    done = script("render_list.sh", "list.tsv", "--levels", "top", "--model", tiny_model)
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["one/previews/top-0.wav", "two songs/previews/top-0.wav"]
    assert done.stderr.splitlines()[-1] == "not rendered: bad"
    assert "Nobody At All" in done.stderr
    one = (tmp_path / "one/song.toml").read_text(encoding="utf-8")
    assert "seed = 5" in one
    assert 'artist = "Björk B."' in one
    assert "seconds = 0.3" in (tmp_path / "two songs/song.toml").read_text()


def test_render_list_run_again_makes_nothing_again(script, tiny_model, tmp_path):
    (tmp_path / "list.tsv").write_text("one\t\t\t0.2\n")
    jukectl.sample(tmp_path / "one", jukectl.Request(model=str(tiny_model), seconds=0.2, levels=(Level.TOP,)))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "one").rglob("*.*")}
    done = script("render_list.sh", "list.tsv", "--levels", "top", "--model", tiny_model)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["one/previews/top-0.wav"]
    written = {path: time for path, time in before.items() if path.suffix in (".npz", ".wav", ".toml")}
    assert written
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())


def test_resume_all_finishes_what_is_unfinished_and_leaves_the_rest(script, tiny_model, tmp_path):
    songs = tmp_path / "songs"
    jukectl.sample(songs / "begun", jukectl.Request(model=str(tiny_model), seconds=0.25))
    shutil.copytree(songs / "begun", songs / "finished")
    whole = (songs / "begun/bottom.npz").read_bytes()
    for path in (songs / "begun/bottom.npz", songs / "begun/audio/0.wav"):
        path.unlink()  # as if the machine had gone down before the bottom level
    untouched = (songs / "finished/audio/0.wav").stat().st_mtime_ns
    (songs / "broken").mkdir()
    (songs / "broken/song.toml").write_text("no recipe")
    (songs / "not a song").mkdir()

    done = script("resume_all.sh", songs)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [str(songs / "begun/audio/0.wav")]
    assert (songs / "begun/bottom.npz").read_bytes() == whole
    assert (songs / "finished/audio/0.wav").stat().st_mtime_ns == untouched
    assert done.stderr.splitlines()[-1] == f"not finished: {songs / 'broken'}"


@pytest.mark.parametrize("name", ["render_list.sh", "resume_all.sh"])
def test_ctrl_c_stops_the_whole_list(script, tmp_path, name):
    """A command that ends with 130, as jukectl does after Ctrl-C, is the last that runs."""
    log = tmp_path / "log"
    fake = tmp_path / "jukectl"
    unfinished = json.dumps({"unfinished": ["top"]})
    fake.write_text(f"#!/bin/sh\ncase $* in *info*) echo '{unfinished}'; exit;; esac\necho called >> {log}\nexit 130\n")
    fake.chmod(0o755)
    (tmp_path / "list.tsv").write_text("one\ntwo\n")
    for song in ("one", "two"):
        (tmp_path / "songs" / song).mkdir(parents=True)
        (tmp_path / "songs" / song / "song.toml").touch()
    done = script(name, "list.tsv" if name == "render_list.sh" else "songs", JUKECTL=str(fake))
    assert done.returncode == 130
    assert log.read_text().splitlines() == ["called"]
