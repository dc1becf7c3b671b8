"""`jukectl eval continuation`, from the command line to the figures."""

import json
from dataclasses import replace

import numpy as np
import pytest
from music_fixtures import RATE, is_picture, music, save_music

from jukectl.codes.level import Level
from jukectl.codes.song import Song


def test_eval_continuation_compares_the_new_part_with_prompt_and_recordings(run, prompted_song, manifest, tmp_path):
    arguments = ("eval", "continuation", prompted_song, "--reference", manifest, "--plots", tmp_path / "plots")
    facts = json.loads(run("--json", *arguments))
    first, second = facts["songs"]
    assert first["prompt"] == second["prompt"] and first["new"] != second["new"]
    assert first["prompt"]["seconds"] == first["new"]["seconds"] == 1.024
    assert first["likeness"]["loudness_lu"] == pytest.approx(
        abs(first["new"]["lufs"] - first["prompt"]["lufs"]), abs=0.02
    )
    measures = first["measures"]
    assert measures["range_of_prompt"] == pytest.approx(
        measures["dynamic_range_new"] / measures["dynamic_range_prompt"], abs=0.01
    )
    assert measures["key_kept"] is (first["likeness"]["key_fifths"] <= 1)
    assert (measures["beat_original"], measures["beat_new"]) == (None, None)  # a second is too short for them
    both = [song["measures"]["seam"] for song in facts["songs"]]
    assert facts["summary"]["songs"] == 2
    assert facts["summary"]["seam"] == pytest.approx(np.median(both), abs=1e-3)
    reference = facts["reference"]
    assert reference["own_measures"].keys() == reference["stranger_measures"].keys()
    assert (reference["recordings"], reference["skipped"]) == (6, [])
    for likeness in (reference["own"], reference["stranger"]):
        assert (
            likeness["timbre"]["percentile_10"] <= likeness["timbre"]["median"] <= likeness["timbre"]["percentile_90"]
        )
    assert is_picture(*facts["plots"])
    table = run("--quiet", "eval", "continuation", prompted_song)
    assert "| song/1" in table and " → " in table
    assert "| what is kept" in table and "| median of 2 songs" in table


@pytest.mark.parametrize("what", ["no prompt", "too short", "short recordings"])
def test_eval_continuation_refuses_songs_without_prompt_or_too_short(run, prompted_song, tmp_path, what):
    arguments = []
    for level in (Level.MIDDLE, Level.TOP):
        found = Song(prompted_song).codes(level)
        assert found is not None
        if what == "no prompt":
            Song(prompted_song).save(replace(found, prompt=0))
        if what == "too short":
            Song(prompted_song).save(found.cut(found.prompt + found.prompt // 2))
    if what == "short recordings":
        arguments = ["--reference", save_music(tmp_path / "short.wav", music(1.5, 0))]
    words = {"no prompt": "no prompt", "too short": "too short", "short recordings": "0 of 1"}[what]
    assert words in run("eval", "continuation", prompted_song, *arguments, status=2).splitlines()[-1]


def test_the_beat_of_a_continuation_is_compared_with_that_of_the_recording_as_it_went_on(run, tiny_model, tmp_path):
    struck = (np.arange(10 * RATE) % (RATE // 2) < 400) * music(10, 0)
    recording = save_music(tmp_path / "struck.wav", struck.astype(np.float32))
    arguments = ("--out", tmp_path / "song", "--model", tiny_model, "--prompt-seconds", 4, "--seconds", 4, "--seed", 0)
    run("--quiet", "continue", recording, *arguments, "--levels", "top")
    (song,) = json.loads(run("--json", "eval", "continuation", tmp_path / "song"))["songs"]
    measures = song["measures"]
    assert measures["beat_original"] > 0.5 > measures["beat_new"]
    assert measures["beat_of_original"] == pytest.approx(measures["beat_new"] / measures["beat_original"], abs=1e-3)
    recording.unlink()
    (song,) = json.loads(run("--json", "eval", "continuation", tmp_path / "song"))["songs"]
    assert (song["measures"]["beat_original"], song["measures"]["beat_of_original"]) == (None, None)
