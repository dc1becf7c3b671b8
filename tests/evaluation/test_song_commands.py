"""`jukectl eval originality`, `eval continuation` and `--plots`, from the command line to figures and pictures."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.data.encoded import CodeFolder

from .conftest import music, save_music


def is_picture(path: str) -> bool:
    """A light picture with something in it."""
    with Image.open(path) as picture:
        shades = np.asarray(picture.convert("L"))
    return picture.size[0] == 1_200 and shades.mean() > 150 and shades.std() > 10


@pytest.fixture
def copied(song, codes):
    """The song, whose first sample goes on with 20 codes of its own and 12 of the training song three."""
    found = Song(song).codes(Level.TOP)
    assert found is not None
    array = found.array.copy()
    array[0, -12:] = CodeFolder(codes).find("three.wav", Level.TOP)[40:52]
    Song(song).save(replace(found, array=array))
    return song


def test_originality_finds_a_planted_copy_and_where_it_comes_from(run, copied, codes, held_out):
    facts = json.loads(run("--json", "eval", "originality", copied, "--codes", codes, "--held-out", held_out))
    assert (facts["level"], facts["training_songs"]) == ("top", 4)
    first, second = facts["songs"]
    assert [one["name"] for one in facts["songs"]] == ["song/0", "song/1"]
    found = first["exact"]
    assert found["codes"] >= 12 and found["codes"] > second["exact"]["codes"]
    assert (found["from"]["title"], found["from"]["artist"]) == ("three", "Ada")
    second_of_code = 256 / 8_000
    before = found["codes"] - 12  # by chance the run may begin before the copy
    assert found["at"] == pytest.approx((32 + 20 - before) * second_of_code, abs=1e-3)
    assert found["from_at"] == pytest.approx((40 - before) * second_of_code, abs=1e-3)
    assert found["seconds"] == pytest.approx(found["codes"] * second_of_code, abs=1e-3)
    assert first["near"]["codes"] >= found["codes"]
    assert found["held_out"]["stretches"] == 2 * (93 // 32)  # two songs of 3 s, in stretches as long as the new part
    assert found["held_out"]["percentile"] == pytest.approx(100)
    assert 0 < first["coverage"]["8"] < 1 and first["coverage"]["64"] is None


def test_the_prompt_takes_no_part_in_originality(run, codes, tmp_path, tiny_model, held_out):
    """A song that is prompted with a training song: its own codes are new."""
    path = tmp_path / "prompted"
    run("--quiet", "encode", tmp_path / "music" / "one.wav", "--out", path, "--model", tiny_model)
    message = run("eval", "originality", path, "--codes", codes, status=2)
    assert "no new top codes" in message and "jukectl continue" in message
    prompt = Song(path).codes(Level.TOP)
    assert prompt is not None
    Song(path).save(prompt.append(np.random.default_rng(0).integers(32, size=(1, 30))))
    (found,) = json.loads(run("--json", "eval", "originality", path, "--codes", codes))["songs"]
    assert found["codes"] == 30 and found["exact"]["codes"] < 10
    assert found["exact"]["held_out"] is None


def test_originality_of_codes_of_another_codec_is_refused(run, copied, codes):
    found = Song(copied).codes(Level.TOP)
    assert found is not None
    Song(copied).save(replace(found, vqvae="0123456789abcdef"))
    message = run("eval", "originality", copied, "--codes", codes, status=2)
    assert "0123456789ab" in message and "jukectl data encode" in message


def test_the_tables_of_originality_are_markdown_and_its_picture_is_drawn(run, copied, codes, held_out, tmp_path):
    arguments = ("eval", "originality", copied, "--codes", codes, "--held-out", held_out, "--level", "middle")
    table = run("--quiet", *arguments, "--plots", tmp_path / "plots")
    assert "near copy" in table and "| held out, as long as song/0" in table
    for part in table.split("\n\n"):
        assert len({line.count("|") for line in part.splitlines()}) == 1
    assert is_picture(str(tmp_path / "plots" / "originality.png"))


def test_continuation_compares_the_new_part_with_the_prompt_and_with_recordings(run, song, manifest, tmp_path):
    arguments = ("eval", "continuation", song, "--reference", manifest, "--plots", tmp_path / "plots")
    facts = json.loads(run("--json", *arguments))
    first, second = facts["songs"]
    assert first["prompt"] == second["prompt"] and first["new"] != second["new"]
    assert first["prompt"]["seconds"] == first["new"]["seconds"] == 1.024
    assert first["likeness"]["loudness_lu"] == pytest.approx(
        abs(first["new"]["lufs"] - first["prompt"]["lufs"]), abs=0.02
    )
    usual = facts["reference"]
    assert (usual["recordings"], usual["skipped"]) == (6, [])
    for likeness in (usual["own"], usual["stranger"]):
        assert (
            likeness["timbre"]["percentile_10"] <= likeness["timbre"]["median"] <= likeness["timbre"]["percentile_90"]
        )
    assert is_picture(*facts["plots"])
    table = run("--quiet", "eval", "continuation", song)
    assert "| song/1" in table and " → " in table


@pytest.mark.parametrize("what", ["no prompt", "too short", "short recordings"])
def test_what_continuation_cannot_compare_is_one_line_and_status_2(run, song, tmp_path, what):
    arguments = []
    for level in (Level.MIDDLE, Level.TOP):
        found = Song(song).codes(level)
        assert found is not None
        if what == "no prompt":
            Song(song).save(replace(found, prompt=0))
        if what == "too short":
            Song(song).save(found.cut(found.prompt + found.prompt // 2))
    if what == "short recordings":
        arguments = ["--reference", save_music(tmp_path / "short.wav", music(1.5, 0))]
    words = {"no prompt": "no prompt", "too short": "too short", "short recordings": "0 of 1"}[what]
    assert words in run("eval", "continuation", song, *arguments, status=2).splitlines()[-1]


def test_reconstruction_and_prior_draw_their_pictures(run, codes, manifest, held_out, tiny_model, tmp_path):
    common = ("--held-out", held_out, "--model", tiny_model, "--plots", tmp_path / "plots")
    facts = json.loads(run("--json", "eval", "reconstruction", manifest, "--seconds", "1", *common))
    facts["plots"] += json.loads(run("--json", "eval", "prior", codes, "--segments", "2", *common))["plots"]
    names = ("reconstruction", "reconstruction-spectrograms", "prior")
    assert facts["plots"] == [str(tmp_path / "plots" / f"{name}.png") for name in names]
    assert all(map(is_picture, facts["plots"]))


def test_prior_tells_what_labels_save_over_the_first_codes(run, codes, held_out, tiny_model):
    arguments = ("eval", "prior", codes, "--held-out", held_out, "--segments", "4", "--model", tiny_model)
    facts = json.loads(run("--json", *arguments))
    for name, level in facts["levels"].items():
        assert list(level["by_length"]) == ["16", "all"]
        first, whole = level["by_length"].values()
        assert (first["segments"], whole["segments"]) == (8, 4)
        assert first["gains"]["artist"]["low"] <= first["gains"]["artist"]["bits"] <= first["gains"]["artist"]["high"]
        assert (first["gains"]["timing"] is None) == (name != "top")
        saved = level["shuffled_bits"] - level["bits"]
        assert whole["gains"]["shuffled"]["bits"] == pytest.approx(saved, abs=2e-4)
        assert whole["most_gain"] == pytest.approx(1 / 64, abs=1e-4)  # two styles, 64 codes
    assert "vs. no labels" in run("--quiet", *arguments)


def test_visqol_says_how_to_install_it(run, tmp_path, tiny_model, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "visqol", None)
    recording = save_music(tmp_path / "a.wav", music(1, 0))
    message = run("eval", "reconstruction", recording, "--visqol", "--model", tiny_model, status=1)
    assert "pip install 'visqol-python" in message
