"""One sample by itself, and the beginning alone: new songs that are to the bit what the old one would have been."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from events import is_saved_window

from jukectl.api import Request, branch, continue_, cut, decode, encode, pick, resume, sample, upsample
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.errors import BadInput, NotASong, RecipeDiffers

TOP_CODE = 0.032  # seconds


@pytest.fixture
def draft(ask, tmp_path):
    """Three samples at the top level: 19 codes each."""
    sample(tmp_path / "draft", ask(samples=3, levels=(Level.TOP,)))
    return tmp_path / "draft"


@pytest.fixture
def unchanged(finished):
    """Files of the song that things are taken from are the same at the end."""
    before = {path: path.read_bytes() for path in sorted(finished.rglob("*")) if path.is_file()}
    yield finished
    assert before == {path: path.read_bytes() for path in sorted(finished.rglob("*")) if path.is_file()}


def arrays(path: Path) -> dict[Level, np.ndarray]:
    return {level: codes.array for level in TOP_DOWN if (codes := Song(path).codes(level)) is not None}


def same(some: dict[Level, np.ndarray], others: dict[Level, np.ndarray]) -> bool:
    return some.keys() == others.keys() and all(np.array_equal(some[level], others[level]) for level in some)


# One sample


@pytest.mark.parametrize("options", [{}, {"parallel": 2.0}], ids=["one span", "two spans"])
def test_picked_and_then_upsampled_is_upsampled_and_then_picked(draft, tmp_path, codes_in, options):
    settings = {name: dict.fromkeys(Level, value) for name, value in options.items()}
    picked = pick(draft, 2).song
    assert picked == tmp_path / "draft-sample-2"
    upsample(picked, Request(settings=settings))
    upsample(draft, Request(settings=settings))
    after = pick(draft, 2, tmp_path / "after").song
    assert codes_in(after) == codes_in(picked)
    assert (after / "audio/0.wav").read_bytes() == (picked / "audio/0.wav").read_bytes()
    assert (after / "audio/0.wav").read_bytes() == (draft / "audio/2.wav").read_bytes()
    assert Song(after).recipe().streams == (2,)


def test_a_picked_song_is_rendered_again_from_its_recipe_alone(unchanged, tmp_path, codes_in):
    picked = pick(unchanged, 1, tmp_path / "one").song
    (tmp_path / "again").mkdir()
    shutil.copy(picked / "song.toml", tmp_path / "again")
    resume(tmp_path / "again")
    assert codes_in(tmp_path / "again") == codes_in(picked)


def test_the_first_sample_is_what_it_would_have_been_without_the_others(ask, unchanged, tmp_path, codes_in):
    """So nothing but the record of what a level was made on can tell the two recipes apart."""
    picked = pick(unchanged, 0, tmp_path / "one").song
    sample(tmp_path / "alone", ask(seed=3))
    assert codes_in(picked) == codes_in(tmp_path / "alone")
    assert not Song(picked).recipe().differences(Song(tmp_path / "alone").recipe())
    assert "sample_numbers" not in (picked / "song.toml").read_text()


def test_nothing_of_a_picked_song_is_made_again_and_picking_twice_does_nothing(unchanged, tmp_path):
    assert pick(unchanged, 1, tmp_path / "one").new
    assert not resume(tmp_path / "one").new
    assert not pick(unchanged, 1, tmp_path / "one").new
    with pytest.raises(RecipeDiffers, match="sample_numbers: 1 here, none asked"):
        pick(unchanged, 0, tmp_path / "one")
    assert pick(unchanged, 0, tmp_path / "one", overwrite=True).new


def test_an_unfinished_level_of_a_picked_sample_resumes(ask, finished, tmp_path, codes_in):
    """Picked while another run was at the bottom level: what it has made is kept, to the bit."""
    shutil.copytree(finished, tmp_path / "half")
    song = Song(tmp_path / "half")
    song.save(song.codes(Level.BOTTOM).cut(64))  # its first window
    shutil.rmtree(song.path / "audio")
    picked = pick(song.path, 1, tmp_path / "one").song
    assert Song(picked).codes(Level.BOTTOM).done == 64
    resume(picked)
    whole = pick(finished, 1, tmp_path / "whole").song
    assert codes_in(picked) == codes_in(whole)


def test_a_level_that_spans_were_being_made_of_is_made_again_to_the_same_codes(ask, tmp_path, codes_in):
    parallel = {"parallel": dict.fromkeys(Level, 3.0)}

    def stop(progress):
        if is_saved_window(progress, "bottom"):
            raise KeyboardInterrupt

    song = Song(tmp_path / "spans")
    with pytest.raises(KeyboardInterrupt):
        sample(song.path, ask(samples=2, settings=parallel, seconds=1.2), listener=stop)
    assert song.spans_path(Level.BOTTOM).exists()
    picked = pick(song.path, 1).song
    assert Song(picked).codes(Level.BOTTOM) is None
    resume(picked)
    resume(song.path)
    whole = pick(song.path, 1, tmp_path / "whole").song
    assert codes_in(picked) == codes_in(whole)


def test_a_prompt_comes_with_it(riff, ask, tmp_path, codes_in):
    continue_(riff, tmp_path / "song", ask(samples=2, levels=(Level.TOP,)), prompt_seconds=0.5)
    picked = pick(tmp_path / "song", 1).song
    assert (picked / "prompt.wav").read_bytes() == (tmp_path / "song/prompt.wav").read_bytes()
    upsample(picked, Request())
    upsample(tmp_path / "song", Request())
    assert codes_in(pick(tmp_path / "song", 1, tmp_path / "after").song) == codes_in(picked)
    assert Song(picked).codes(Level.MIDDLE).prompt == 60


def test_codes_without_a_recipe_can_be_picked_too(finished, tmp_path):
    (tmp_path / "codes").mkdir()
    shutil.copy(finished / "top.npz", tmp_path / "codes")
    picked = pick(tmp_path / "codes", 1).song
    assert np.array_equal(arrays(picked)[Level.TOP], arrays(finished)[Level.TOP][1:])


@pytest.mark.parametrize("number", [2, -1, 10**9])
def test_a_sample_that_is_not_there_is_named_and_nothing_is_made(unchanged, tmp_path, number):
    with pytest.raises(BadInput, match=rf"has the samples 0 to 1; got --sample {number}"):
        pick(unchanged, number, tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_a_song_is_not_picked_into_itself(finished):
    with pytest.raises(BadInput, match="is the song itself"):
        pick(finished, 0, finished)


# A beginning


@pytest.mark.parametrize(("at", "top"), [(0.32, 10), (0.3199, 9), (0.3201, 10), (TOP_CODE, 1), (0.608, 19)])
def test_a_cut_keeps_whole_top_codes_and_what_belongs_to_them_below(unchanged, tmp_path, at, top):
    cut(unchanged, at, tmp_path / "cut")
    before = arrays(unchanged)
    for level, array in arrays(tmp_path / "cut").items():
        assert np.array_equal(array, before[level][:, : top * 4 ** (Level.TOP - level)])
    assert soundfile.info(tmp_path / "cut/audio/1.wav").frames == top * 256


def test_of_a_cut_song_nothing_is_made_again(unchanged, tmp_path):
    assert cut(unchanged, 0.32, tmp_path / "cut").new
    assert not resume(tmp_path / "cut").new
    assert not cut(unchanged, 0.32, tmp_path / "cut").new
    with pytest.raises(RecipeDiffers, match="trunk"):
        cut(unchanged, 0.2, tmp_path / "cut")


def test_a_cut_draft_is_upsampled_as_far_as_it_goes(draft, tmp_path):
    path = cut(draft, 0.32).song
    assert path == tmp_path / "draft-cut-0.32"
    assert arrays(path).keys() == {Level.TOP}
    upsample(path, Request())
    assert {level: array.shape for level, array in arrays(path).items()} == {
        Level.TOP: (3, 10),
        Level.MIDDLE: (3, 40),
        Level.BOTTOM: (3, 160),
    }


def test_a_cut_song_whose_codes_are_lost_has_them_again(unchanged, tmp_path, codes_in):
    cut(unchanged, 0.32, tmp_path / "cut", sample=1)
    before = codes_in(tmp_path / "cut")
    (tmp_path / "cut/top.npz").unlink()
    (tmp_path / "cut/bottom.npz").unlink()
    resume(tmp_path / "cut")
    assert codes_in(tmp_path / "cut") == before


def test_changed_or_lost_prefix_codes_are_reported(unchanged, tmp_path):
    cut(unchanged, 0.32, tmp_path / "cut")
    song = Song(tmp_path / "cut")
    song.codes_path(Level.TOP).unlink()
    whole = song.prefix_path(Level.TOP).read_bytes()
    shutil.copy(unchanged / "top.npz", song.prefix_path(Level.TOP))
    with pytest.raises(RecipeDiffers, match=r"top\.trunk\.npz is not the file in the recipe"):
        resume(song.path)
    song.prefix_path(Level.TOP).unlink()
    with pytest.raises(NotASong, match=r"has lost top\.trunk\.npz"):
        resume(song.path)
    song.prefix_path(Level.TOP).write_bytes(whole)
    resume(song.path)


@pytest.mark.parametrize("at", [0.0, -1.0, 0.031, 0.65, 1e9, float("nan"), float("inf")])
def test_an_impossible_cut_is_refused_before_anything_is_written(unchanged, tmp_path, at):
    with pytest.raises(BadInput, match="--at"):
        cut(unchanged, at, tmp_path / "cut")
    assert not (tmp_path / "cut").exists()


@pytest.mark.parametrize(("at", "prompt"), [(0.3, 9), (0.7, 15)])
def test_a_cut_of_a_continued_song_shortens_its_prompt_with_it(riff, ask, tmp_path, at, prompt):
    """Of the draft, so that the lower levels have to begin with what is left of the recording."""
    continue_(riff, tmp_path / "song", ask(levels=(Level.TOP,)), prompt_seconds=0.5)
    path = cut(tmp_path / "song", at).song
    assert soundfile.info(path / "prompt.wav").frames == prompt * 256
    upsample(path, Request())
    assert Song(path).codes(Level.MIDDLE).prompt == 4 * prompt
    assert Song(path).codes(Level.MIDDLE).done == 4 * int(at / TOP_CODE)


def test_an_encoded_recording_can_be_cut_and_continued(riff, tiny_model, tmp_path):
    encode(riff, tmp_path / "song", Request(model=str(tiny_model)))
    path = cut(tmp_path / "song", 0.4).song
    result = branch(path, None, None, Request(samples=2, seconds=0.2))
    assert Song(result.song).codes(Level.TOP).array.shape == (2, 12 + 6)
    assert len(decode(result.song)) == 2
