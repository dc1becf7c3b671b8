"""Lower levels of a song's beginning, today a part and tomorrow the rest; and passages from within."""

import numpy as np
import pytest
import soundfile
from events import is_saved_window

from jukectl.api import Request, estimate_upsample, pick, resume, sample, upsample, upsample_passage
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.errors import BadInput, RecipeDiffers

SECONDS = 3.0  # 93 top codes, 372 middle, 1488 bottom


@pytest.fixture(scope="module")
def draft(tiny_model, tmp_path_factory):
    """Two samples at the top level. Copied to change it."""
    path = tmp_path_factory.mktemp("songs") / "draft"
    sample(path, Request(model=str(tiny_model), artist="Ada", seconds=SECONDS, seed=3, samples=2, levels=(Level.TOP,)))
    return path


@pytest.fixture(scope="module")
def whole(draft, tmp_path_factory):
    """One of them upsampled at once. Not to be changed."""
    path = pick(draft, 1, tmp_path_factory.mktemp("songs") / "whole").song
    upsample(path, Request())
    return path


@pytest.fixture
def one(draft, tmp_path):
    return pick(draft, 1, tmp_path / "one").song


def arrays(path):
    return {level: Song(path).codes(level).array for level in TOP_DOWN}


@pytest.mark.parametrize("until", [0.01, 1.0, 2.9])
def test_a_beginning_is_bit_for_bit_that_of_the_whole_and_no_more_than_its_windows(one, whole, until):
    upsample(one, Request(until=until))
    there, all_of_it = arrays(one), arrays(whole)
    for level in (Level.MIDDLE, Level.BOTTOM):
        rate = 125 * 4 ** (1 - level)
        made = there[level].shape[1]
        assert made >= until * rate
        assert made <= until * rate + 64 + 64  # a window, and one that the level below reads
        assert np.array_equal(there[level], all_of_it[level][:, :made])
    assert soundfile.info(one / "audio/0.wav").frames == 16 * there[Level.BOTTOM].shape[1]


def test_the_rest_made_tomorrow_is_the_song_made_at_once(one, whole, codes_in):
    for until in (0.5, 1.2, 1.2):
        upsample(one, Request(until=until))
    assert resume(one).new
    assert codes_in(one) == codes_in(whole)
    assert (one / "audio/0.wav").read_bytes() == (whole / "audio/0.wav").read_bytes()
    assert Song(one).recipe().made == Song(whole).recipe().made


def test_a_sample_picked_from_a_partial_song_is_completed(draft, whole, tmp_path, codes_in):
    import shutil

    both = shutil.copytree(draft, tmp_path / "both")
    upsample(both, Request(until=0.6))
    picked = pick(both, 1).song
    upsample(picked, Request())
    assert codes_in(picked) == codes_in(whole)


def test_codes_above_that_were_changed_meanwhile_are_refused(one):
    upsample(one, Request(until=0.5))
    song = Song(one)
    middle = song.codes(Level.MIDDLE)
    changed = middle.array.copy()
    changed[0, 3] ^= 1
    from dataclasses import replace

    song.save(replace(middle, array=changed))
    with pytest.raises(RecipeDiffers, match="was made from other middle codes"):
        upsample(one, Request())


def test_an_estimate_of_a_beginning_is_of_that(one):
    part, whole = (estimate_upsample(one, Request(until=until)) for until in (0.5, None))
    upsample(one, Request(until=0.5))
    for level, array in arrays(one).items():
        assert level is Level.TOP or part.levels[level].codes == array.shape[1]
    assert whole.levels[Level.BOTTOM].codes == 1488


def test_spans_made_at_once_have_no_beginning(one):
    with pytest.raises(BadInput, match="leave --to or --parallel out"):
        upsample(one, Request(until=0.5, settings={"parallel": dict.fromkeys(Level, 2.0)}))


@pytest.mark.parametrize("until", [0.0, -1.0, float("nan"), float("inf")])
def test_no_such_time(until):
    with pytest.raises(BadInput, match="--to"):
        Request(until=until)


# Passages


def test_a_passage_is_close_to_that_part_of_the_whole_song(draft, whole, tmp_path):
    result = upsample_passage(draft, 1.5, 2.0, tmp_path / "part", Request(), sample=1)
    first, last = 46, 63  # whole top codes around 1.5 and 2 seconds
    alike = {}
    for level, array in arrays(result.song).items():
        ratio = 4 ** (Level.TOP - level)
        assert array.shape == (1, (last - first) * ratio)
        alike[level] = float(np.mean(array == arrays(whole)[level][:, first * ratio : last * ratio]))
    assert alike[Level.TOP] == 1
    assert alike[Level.MIDDLE] > 0.5  # of random ones 1 in 32 would be
    assert alike[Level.BOTTOM] > 0.5
    assert soundfile.info(result.audio[0]).frames == (last - first) * 256
    assert not (result.song / "growing").exists()


def test_the_whole_song_as_a_passage_is_the_song(draft, whole, tmp_path):
    result = upsample_passage(draft, 0.0, None, tmp_path / "part", Request(), sample=1)
    for level, array in arrays(result.song).items():
        assert np.array_equal(array, arrays(whole)[level])


def test_a_stopped_passage_resumes_and_finishes(draft, tmp_path, codes_in):
    def stop(progress):
        if is_saved_window(progress, "bottom"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upsample_passage(draft, 1.5, 2.0, tmp_path / "part", Request(), listener=stop)
    upsample_passage(draft, 1.5, 2.0, tmp_path / "alone", Request())
    assert upsample_passage(draft, 1.5, 2.0, tmp_path / "part", Request()).new
    assert codes_in(tmp_path / "part") == codes_in(tmp_path / "alone")
    assert not upsample_passage(draft, 1.5, 2.0, tmp_path / "part", Request()).new
    with pytest.raises(RecipeDiffers, match="holds something else"):
        upsample_passage(draft, 1.0, 2.0, tmp_path / "part", Request())


@pytest.mark.parametrize(("since", "to"), [(2.0, 1.0), (1.0, 9.0), (-1.0, 2.0), (3.5, None), (float("nan"), 2.0)])
def test_a_passage_outside_the_song_is_refused(draft, tmp_path, since, to):
    with pytest.raises(BadInput, match="--from"):
        upsample_passage(draft, since, to, tmp_path / "part", Request())
    assert not (tmp_path / "part").exists()
