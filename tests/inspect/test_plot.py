"""`jukectl plot`, from the command line to the pictures."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from music_fixtures import music, save_music
from PIL import Image

from jukectl.codes.level import Level
from jukectl.codes.song import Song


def test_plot_draws_a_song_into_its_plots_folder(run, song):
    assert run("--quiet", "plot", song.path) == f"{song.path / 'plots' / 'spectrogram.png'}\n"
    with Image.open(song.path / "plots" / "spectrogram.png") as picture:
        assert picture.size[0] == 1_200 and picture.size[1] > 600  # three levels
        light = np.asarray(picture.convert("L")).mean()
    run("--quiet", "plot", song.path, "--dark")
    with Image.open(song.path / "plots" / "spectrogram.png") as picture:
        assert np.asarray(picture.convert("L")).mean() < light / 2


def test_plot_draws_the_levels_that_exist(run, song):
    run("--quiet", "plot", song.path)
    with Image.open(song.path / "plots" / "spectrogram.png") as picture:
        three = picture.height
    (song.path / "bottom.npz").unlink()
    run("--quiet", "plot", song.path)
    with Image.open(song.path / "plots" / "spectrogram.png") as picture:
        assert three - 250 < picture.height < three - 190


def test_plot_draws_any_sample_of_a_song(run, song):
    assert run("--quiet", "plot", song.path, "--sample", "1") == f"{song.path / 'plots' / 'spectrogram-1.png'}\n"
    run("--quiet", "plot", song.path)
    one, other = (song.path / "plots" / name for name in ("spectrogram.png", "spectrogram-1.png"))
    assert one.read_bytes() != other.read_bytes()
    assert "--sample 2" in run("plot", song.path, "--sample", "2", status=2)


def test_plot_writes_the_picture_of_a_recording_beside_it_or_to_out(run, tmp_path):
    recording = save_music(tmp_path / "riff.wav", music(1, 1))
    assert run("--quiet", "plot", recording) == f"{tmp_path / 'riff-spectrogram.png'}\n"
    picture = tmp_path / "new" / "a.svg"
    assert json.loads(run("--json", "plot", recording, "--out", picture)) == {"plot": str(picture)}
    assert picture.read_text().startswith("<?xml")


@pytest.mark.parametrize("what", ["nothing there", "empty folder", "text", "gif", "another codec"])
def test_plot_refuses_bad_input_in_one_line_with_status_2(run, tmp_path, song, what):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.wav").write_text("no music")
    other = tmp_path / "other"
    shutil.copytree(song.path, other)
    for level in Level:
        found = Song(other).codes(level)
        assert found is not None
        Song(other).save(replace(found, vqvae="0123"))
    arguments = {
        "nothing there": [tmp_path / "gone"],
        "empty folder": [tmp_path / "empty"],
        "text": [tmp_path / "text.wav"],
        "gif": [song.path, "--out", tmp_path / "a.gif"],
        "another codec": [other],
    }[what]
    message = run("--quiet", "plot", *arguments, status=2)
    assert len(message.splitlines()) == 1
