"""Facts of songs, code files and models, and the work left to do."""

import shutil

import pytest

from jukectl.api import Request, continue_, describe_model, describe_path, encode, list_models, sample, upsample
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.errors import BadInput, NotASong

FRAMES = {Level.TOP: 19, Level.MIDDLE: 76, Level.BOTTOM: 304}


def test_a_finished_song_has_nothing_left_to_do(song):
    facts = describe_path(song.path)
    assert facts["unfinished"] == []
    assert facts["levels"] == {
        level.label: {"frames": frames, "done": frames, "seconds": 0.608} for level, frames in FRAMES.items()
    }
    assert (facts["model"], facts["samples"], facts["seed"]) == ("tiny", 2, 3)
    assert (facts["kind"], facts["artist"], facts["genres"]) == ("sample", "Ada", ["jazz"])
    assert facts["audio"] == [str(song.audio_path(0)), str(song.audio_path(1))]


@pytest.mark.parametrize(
    ("stopped", "left"),
    [
        ((Level.TOP, 7), ["top", "middle", "bottom"]),
        ((Level.MIDDLE, 40), ["middle", "bottom"]),
        ((Level.BOTTOM, 0), ["bottom"]),
    ],
)
def test_an_unfinished_song_lists_its_missing_levels_and_its_final_length(song, stopped, left):
    level, frames = stopped
    for lower in TOP_DOWN[TOP_DOWN.index(level) + 1 :]:
        song.codes_path(lower).unlink()
    song.save(song.codes(level).cut(frames))
    facts = describe_path(song.path)
    assert facts["unfinished"] == left
    assert {name: one["frames"] for name, one in facts["levels"].items()} == {
        one.label: frames for one, frames in FRAMES.items()
    }
    assert facts["levels"][level.label]["done"] == frames


def test_a_song_with_a_recipe_alone_lists_all_levels_as_missing(song):
    for level in TOP_DOWN:
        song.codes_path(level).unlink()
    facts = describe_path(song.path)
    assert facts["unfinished"] == ["top", "middle", "bottom"]
    assert facts["samples"] == 2


def test_missing_audio_is_listed_as_unfinished(song):
    song.audio_path(1).unlink()
    assert describe_path(song.path)["unfinished"] == ["audio"]


def test_a_draft_is_finished_with_the_levels_of_its_recipe(ask, tmp_path):
    sample(tmp_path / "draft", ask(levels=(Level.TOP,)))
    facts = describe_path(tmp_path / "draft")
    assert list(facts["levels"]) == ["top"]
    assert facts["unfinished"] == []


def test_the_length_of_a_continued_song_includes_its_prompt(ask, riff, tmp_path):
    song = Song(continue_(riff, tmp_path / "song", ask(levels=(Level.TOP,))).song)
    song.save(song.codes(Level.TOP).cut(62))
    facts = describe_path(song.path)
    assert facts["levels"]["top"] == {"frames": 62 + 19, "done": 62, "seconds": 1.984}
    assert facts["prompt_seconds"] == 2.0


def test_an_encoded_recording_lists_a_missing_level(riff, tiny_model, tmp_path):
    encode(riff, tmp_path / "song", Request(model=str(tiny_model)))
    assert describe_path(tmp_path / "song")["unfinished"] == []
    (tmp_path / "song/middle.npz").unlink()
    facts = describe_path(tmp_path / "song")
    assert facts["unfinished"] == ["middle"]
    assert facts["levels"]["middle"] == {"frames": 248, "done": 0, "seconds": 0.0}


def test_codes_without_a_recipe_are_as_long_as_the_level_above(ask, song, tmp_path):
    other = Song.create(tmp_path / "other")
    shutil.copy(song.codes_path(Level.TOP), other.path)
    facts = describe_path(other.path)
    assert (facts["kind"], facts["model"], facts["seed"], facts["unfinished"]) == (None, None, None, [])
    upsample(other.path, ask())
    other.save(other.codes(Level.BOTTOM).cut(5))
    assert describe_path(other.path)["unfinished"] == ["bottom"]


def test_a_song_of_a_missing_model_lists_its_codes(ask, tiny_model, tmp_path):
    model = shutil.copytree(tiny_model, tmp_path / "model")
    sample(tmp_path / "song", ask(model=str(model), levels=(Level.TOP,)))
    shutil.rmtree(model)
    assert describe_path(tmp_path / "song")["levels"]["top"]["done"] == 19


def test_a_code_file_lists_level_samples_codes_and_hop(song):
    facts = describe_path(song.codes_path(Level.MIDDLE))
    assert (facts["level"], facts["samples"], facts["done"], facts["hop"]) == ("middle", 2, 76, 64)


def test_a_model_lists_its_sizes_names_and_licence(tiny_model):
    facts = describe_path(tiny_model)
    assert facts == describe_model(str(tiny_model))
    assert {name: facts[name] for name in ("name", "sample_rate", "hops", "codebook_size", "contexts", "licence")} == {
        "name": "tiny",
        "sample_rate": 8_000,
        "hops": {"bottom": 16, "middle": 64, "top": 256},
        "codebook_size": 32,
        "contexts": {"bottom": 64, "middle": 64, "top": 64},
        "licence": "CC0-1.0",
    }
    assert facts["artists"] == ["unlabelled", "Ada", "Björk B."]
    assert facts["parameters"] > 10_000


def test_models_are_listed_and_a_broken_one_shows_its_error(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr("jukectl.checkpoints.catalogue.user_models", lambda: tmp_path)
    shutil.copytree(tiny_model, tmp_path / "mine")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.toml").write_text("name = ")
    found = {model["name"]: model for model in list_models()}
    assert found["mine"]["licence"] == "CC0-1.0"
    assert "model.toml" in found["broken"]["summary"]
    assert describe_model("mine")["name"] == "tiny"


@pytest.mark.parametrize("name", ["missing", "notes.txt", "empty"])
def test_a_path_that_is_not_a_song_codes_or_model_is_refused(tmp_path, name):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    with pytest.raises((BadInput, NotASong)):
        describe_path(tmp_path / name)


def test_resume_does_the_unfinished_stages(song):
    from jukectl.api import resume

    song.codes_path(Level.BOTTOM).unlink()
    stages = set()
    resume(song.path, Request(), listener=lambda progress: stages.add(progress.stage))
    assert stages == {"plan", "estimate", "bottom codes", "decoding bottom"}
    assert describe_path(song.path)["unfinished"] == []
