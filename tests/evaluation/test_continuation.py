"""`jukectl eval continuation`, from the command line to the figures."""

import json
from dataclasses import replace

import pytest
from music_fixtures import is_picture, music, save_music

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
    reference = facts["reference"]
    assert (reference["recordings"], reference["skipped"]) == (6, [])
    for likeness in (reference["own"], reference["stranger"]):
        assert (
            likeness["timbre"]["percentile_10"] <= likeness["timbre"]["median"] <= likeness["timbre"]["percentile_90"]
        )
    assert is_picture(*facts["plots"])
    table = run("--quiet", "eval", "continuation", prompted_song)
    assert "| song/1" in table and " → " in table


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
