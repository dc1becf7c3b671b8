"""Branches: what is kept of the song they go on from, and what makes each of them what it is."""

import shutil

import numpy as np
import pytest

from jukectl.api import Request, branch, continue_, encode, estimate_branch, resume, sample
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.errors import BadInput, BadModel, RecipeDiffers, UnknownName
from jukectl.variations.branch import child_stream

AT, KEPT = 0.32, 10  # seconds, and as many top codes


@pytest.fixture
def grown(finished, tmp_path):
    """Three branches from the middle of the second sample."""
    path = tmp_path / "branch"
    branch(finished, AT, path, Request(samples=3, seed=7), sample=1)
    return path


def test_all_branches_share_the_prefix_and_then_differ(finished, grown):
    for level in TOP_DOWN:
        before, after = Song(finished).codes(level), Song(grown).codes(level)
        kept = KEPT * 4 ** (Level.TOP - level)
        assert after.prompt == kept
        assert after.array.shape == (3, before.done)  # as much as the song has after the cut
        assert (after.array[:, :kept] == before.array[1, :kept]).all()
    rest = {row.tobytes() for row in Song(grown).codes(Level.TOP).array[:, KEPT:]}
    assert len(rest) == 3


def test_a_branch_does_not_depend_on_the_number_of_branches(finished, grown, tmp_path):
    branch(finished, AT, tmp_path / "alone", Request(seed=7), sample=1)
    for level in TOP_DOWN:
        assert np.array_equal(Song(tmp_path / "alone").codes(level).array[0], Song(grown).codes(level).array[0])


def test_with_the_songs_own_seed_a_branch_of_its_first_sample_is_the_song(ask, tmp_path):
    """Since it is number 0 then too; a draft, where a window's place is all that counts."""
    draft = ask(levels=(Level.TOP,), seconds=3.0, settings={"advance": dict.fromkeys(Level, 0.25)})
    sample(tmp_path / "song", draft)
    whole = Song(tmp_path / "song").codes(Level.TOP).array
    branch(tmp_path / "song", 64 * 0.032, tmp_path / "again", Request(seed=3))
    assert np.array_equal(Song(tmp_path / "again").codes(Level.TOP).array, whole)


def test_without_a_seed_a_random_one_is_kept_in_the_recipe(finished, tmp_path):
    results = [branch(finished, AT, tmp_path / "b", Request(levels=(Level.TOP,))) for _ in range(2)]
    assert [result.new for result in results] == [True, False]
    assert Song(tmp_path / "b").recipe().seed != Song(finished).recipe().seed


def test_a_branch_needs_the_song_no_more_and_comes_from_its_folder_alone(finished, tmp_path, codes_in):
    song = shutil.copytree(finished, tmp_path / "song")
    branch(song, AT, tmp_path / "b", Request(samples=2, seed=7))
    before = codes_in(tmp_path / "b")
    shutil.rmtree(song)
    for level in TOP_DOWN:
        Song(tmp_path / "b").codes_path(level).unlink()
    resume(tmp_path / "b")
    assert codes_in(tmp_path / "b") == before


def test_labels_and_settings_are_the_songs_unless_others_are_asked_for(finished, grown, tmp_path):
    recipe, parent = Song(grown).recipe(), Song(finished).recipe()
    assert (recipe.labels, recipe.sampling) == (parent.labels, parent.sampling)
    assert recipe.song_seconds == parent.song_seconds
    steered = Request(artist="björk b.", seed=7, settings={"temperature": {Level.TOP: 0.5}}, samples=3)
    branch(finished, AT, tmp_path / "other", steered, sample=1)
    recipe = Song(tmp_path / "other").recipe()
    assert (recipe.labels.artist, recipe.labels.genres) == ("björk b.", ("jazz",))
    assert [recipe.sampling[level].temperature for level in TOP_DOWN] == [0.5, 0.98, 0.98]
    here, there = (Song(path).codes(Level.TOP).array for path in (grown, tmp_path / "other"))
    assert np.array_equal(here[:, :KEPT], there[:, :KEPT])
    assert not np.array_equal(here, there)


def test_a_longer_branch_has_a_longer_song_length(finished, tmp_path):
    branch(finished, None, tmp_path / "b", Request(seconds=1.0, levels=(Level.TOP,)))
    song = Song(tmp_path / "b")
    assert song.codes(Level.TOP).done == 19 + 31
    assert song.recipe().song_seconds == pytest.approx(0.608 + 1.0)


def test_of_a_continued_song_the_recording_stays_the_beginning_at_every_level(riff, ask, tmp_path):
    """The draft has only top codes, so the lower levels of the branch encode the prompt themselves."""
    continue_(riff, tmp_path / "song", ask(levels=(Level.TOP,)), prompt_seconds=0.5)
    branch(tmp_path / "song", 0.7, tmp_path / "b", Request(seed=1, levels=TOP_DOWN))
    continue_(riff, tmp_path / "whole", ask(), prompt_seconds=0.5)
    middle, whole = (Song(tmp_path / name).codes(Level.MIDDLE) for name in ("b", "whole"))
    assert middle.prompt == 60
    assert np.array_equal(middle.array[:, :60], whole.array[:, :60])
    assert middle.done == 4 * Song(tmp_path / "b").codes(Level.TOP).done


def test_a_branch_into_the_same_folder_is_refused(finished):
    with pytest.raises(BadInput, match="is the song itself"):
        branch(finished, AT, finished, Request())


def test_another_cut_in_the_same_folder_is_refused(finished, grown):
    with pytest.raises(RecipeDiffers, match="trunk"):
        branch(finished, 0.2, grown, Request(samples=3, seed=7), sample=1)
    with pytest.raises(RecipeDiffers, match="seed: 7 here, 8 asked"):
        branch(finished, AT, grown, Request(samples=3, seed=8), sample=1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"at": 5.0}, BadInput, "--at 5"),
        ({"sample": 2}, BadInput, "--sample 2"),
        ({"request": Request(samples=1001)}, BadInput, "at most 1000"),
        ({"request": Request(artist="Nobody")}, UnknownName, "Nobody"),
        ({"request": Request(song_seconds=0.01, seconds=9.0)}, BadInput, "--song-seconds"),
    ],
    ids=["cut", "sample", "samples", "artist", "length"],
)
def test_an_impossible_branch_is_refused_before_anything_is_written(finished, tmp_path, arguments, error, message):
    given = {"at": AT, "out": tmp_path / "b", "request": Request(), **arguments}
    with pytest.raises(error, match=message):
        branch(finished, given.pop("at"), given.pop("out"), given.pop("request"), **given)
    assert not (tmp_path / "b").exists()


def test_codes_of_another_codec_are_refused(finished, other_model, tmp_path):
    with pytest.raises(BadModel, match="the vqvae part"):
        branch(finished, AT, tmp_path / "b", Request(model=str(other_model)))


def test_an_estimate_of_a_branch_writes_nothing(finished, tmp_path):
    estimate = estimate_branch(finished, AT, tmp_path / "b", Request(samples=3), sample=1)
    assert {level: one.codes for level, one in estimate.levels.items()} == {
        level: 3 * 9 * 4 ** (Level.TOP - level) for level in TOP_DOWN
    }
    assert not (tmp_path / "b").exists()


def test_a_branch_of_an_encoded_recording_keeps_its_codes(riff, tiny_model, tmp_path):
    encode(riff, tmp_path / "song", Request(model=str(tiny_model)))
    whole = Song(tmp_path / "song").codes(Level.BOTTOM).array
    branch(tmp_path / "song", 1.0, tmp_path / "b", Request(artist="Ada", seconds=0.1))
    assert np.array_equal(Song(tmp_path / "b").codes(Level.BOTTOM).array[:, : 31 * 16], whole[:, : 31 * 16])


def test_numbers_of_a_branch_are_of_the_way_there_and_never_too_large_for_a_recipe():
    assert [child_stream(0, child) for child in range(3)] == [0, 1, 2]
    assert child_stream(child_stream(2, 3), 1) == 2_003_001
    number = 999
    for _ in range(50):
        number = child_stream(number, 999)
        assert 0 <= number < 2**63


def test_the_time_of_a_cut_is_remembered_as_it_was_given(finished, tmp_path):
    request = Request(levels=(Level.TOP,), seed=1)
    branch(finished, 0.335, tmp_path / "b", request)
    prefix = Song(tmp_path / "b").recipe().prefix
    assert (prefix.seconds, prefix.frames[Level.TOP]) == (0.335, KEPT)
    toml = Song(tmp_path / "b").toml_path  # as earlier versions wrote it, rounded to codes
    toml.write_text(toml.read_text().replace("seconds = 0.335", "seconds = 0.32"))
    assert not branch(finished, 0.335, tmp_path / "b", request).new
