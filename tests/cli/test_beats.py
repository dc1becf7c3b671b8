"""Beats on the command line."""

import tomllib

import pytest


def test_a_tempo_and_a_meter_are_kept_in_the_recipe(jukectl, beating_model, tmp_path):
    options = ["--tempo", 96.5, "--meter", "6/8", "--seconds", 1, "--levels", "top"]
    jukectl("sample", "--out", tmp_path / "song", "--model", beating_model, *options)
    beat = tomllib.loads((tmp_path / "song" / "song.toml").read_text())["beat"]
    assert (beat["tempo"], beat["meter"]) == (96.5, "6/8")


def test_a_schedule_may_change_the_tempo(jukectl, beating_model, tmp_path):
    (tmp_path / "faster.toml").write_text('[[change]]\nat = 0.5\ntempo = 150\nmeter = "3/4"\n')
    options = ["--tempo", 96, "--schedule", tmp_path / "faster.toml", "--seconds", 1, "--levels", "top"]
    jukectl("sample", "--out", tmp_path / "song", "--model", beating_model, *options)
    changes = tomllib.loads((tmp_path / "song" / "song.toml").read_text())["schedule"]
    assert changes == [{"at": 0.5, "tempo": 150.0, "meter": "3/4"}]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--tempo", "900"), "--tempo must be 20 to 400 beats a minute"),
        (("--tempo", "90", "--meter", "4"), "--meter: '4' is no time signature"),
        (("--tempo", "90", "--no-beat"), "--no-beat leaves the beat free"),
        (("--meter", "3/4"), "give one with --tempo"),
    ],
)
def test_wrong_beats_are_refused(fails, beating_model, tmp_path, options, named):
    assert named in fails("sample", "--out", tmp_path / "song", "--model", beating_model, *options)
    assert not (tmp_path / "song").exists()


def test_a_model_without_beats_refuses_a_tempo(fails, style, tmp_path):
    assert "tiny was not trained with beats" in fails("sample", "--out", tmp_path / "song", *style, "--tempo", 100)


def test_a_wrong_tempo_in_a_schedule_is_refused_with_its_file(fails, beating_model, tmp_path):
    (tmp_path / "bad.toml").write_text("[[change]]\nat = 0.5\ntempo = 5000\n")
    options = ["--model", beating_model, "--tempo", 96, "--schedule", tmp_path / "bad.toml"]
    assert "bad.toml: change[0].tempo must be 20 to 400" in fails("sample", "--out", tmp_path / "song", *options)
