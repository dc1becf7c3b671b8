"""Notes on the command line."""

import tomllib
from importlib.util import find_spec

import pytest

from jukectl.midi.notes import Notes, write_midi

TUNE = Notes.of([(0.0, 0.3, 60, 90, False), (0.2, 0.5, 64, 90, False)])


@pytest.fixture
def tune(tmp_path):
    write_midi(tmp_path / "tune.mid", TUNE)
    return tmp_path / "tune.mid"


def test_a_song_is_as_long_as_the_notes_it_follows(jukectl, playing_model, tune, tmp_path):
    jukectl("sample", "--out", tmp_path / "song", "--model", playing_model, "--midi", tune, "--levels", "top")
    recipe = tomllib.loads((tmp_path / "song" / "song.toml").read_text())
    assert recipe["seconds"] == pytest.approx(0.5, abs=0.002)
    assert recipe["midi"]["start"] == 0


def test_a_song_can_be_longer_than_its_notes_and_start_them_later(jukectl, playing_model, tune, riff, tmp_path):
    options = ["--midi", tune, "--midi-at", 0.25, "--seconds", 1, "--levels", "top", "--prompt-seconds", 0.64]
    jukectl("continue", riff, "--out", tmp_path / "song", "--model", playing_model, *options)
    recipe = tomllib.loads((tmp_path / "song" / "song.toml").read_text())
    assert recipe["seconds"] == 1
    assert recipe["midi"]["start"] == pytest.approx(0.64 + 0.25)


def test_a_song_without_notes_lasts_twenty_seconds_by_default(jukectl, tiny_model, tmp_path):
    options = ["--out", tmp_path / "song", "--model", tiny_model, "--levels", "top", "--dry-run"]
    answer = jukectl("--json", "sample", *options)
    assert answer.json["levels"]["top"]["codes"] == 625  # of 0.032 s


def test_a_model_without_notes_refuses_them(fails, style, tune, tmp_path):
    assert "tiny has no MIDI conditioner" in fails("sample", "--out", tmp_path / "song", *style, "--midi", tune)


def test_models_show_says_if_a_model_follows_notes(jukectl, playing_model, tiny_model):
    for model, follows in ((playing_model, True), (tiny_model, False)):
        assert jukectl("--json", "models", "show", model).json["midi"] is follows
        (takes,) = (line for line in jukectl("models", "show", model).out.splitlines() if line.startswith("takes: "))
        assert ("midi" in takes) is follows


@pytest.mark.skipif(find_spec("basic_pitch") is not None, reason="basic-pitch is installed")
def test_following_a_recording_names_the_extra_to_install(fails, playing_model, riff, tmp_path):
    line = fails("sample", "--out", tmp_path / "song", "--model", playing_model, "--midi", riff, status=1)
    assert "pip install 'jukectl[transcribe]'" in line


def test_a_missing_midi_file_is_refused(fails, playing_model, tmp_path):
    arguments = ["sample", "--out", tmp_path / "song", "--model", playing_model, "--midi", tmp_path / "none.mid"]
    assert "cannot read" in fails(*arguments)
    assert not (tmp_path / "song").exists()
