"""Silent stretches of new music are reported, and of several samples the best are kept as they would be without."""

from dataclasses import replace

import numpy as np
import pytest

from jukectl.api import Request, resume, sample
from jukectl.audio import faults
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.errors import BadInput, RecipeDiffers
from jukectl.plan.command import command_of
from jukectl.progress import WarningEvent
from jukectl.render import choose
from jukectl.render.decode import waveform

RATE = 8_000
TONE = (0.3 * np.sin(2 * np.pi * 220 * np.arange(4 * RATE) / RATE)).astype(np.float32)


class Killed(BaseException):
    """Stands for a process that ends at once."""


@pytest.fixture
def ask(tiny_model):
    return Request(model=str(tiny_model), artist="Ada", seconds=1.5, seed=5, samples=4)


@pytest.fixture
def quiet_even(monkeypatch):
    """Decoded music whose even samples are silent after the first half second."""
    decode, count = waveform, [0]

    def muted(*given):
        music = decode(*given)
        if count[0] % 2 == 0:
            music[RATE // 2 :] = 0
        count[0] += 1
        return music

    monkeypatch.setattr(choose, "waveform", muted)


def test_the_longest_silence_is_found_with_its_seconds():
    music = TONE.copy()
    music[RATE : 2 * RATE] = 0
    music[3 * RATE : round(3.2 * RATE)] = 0
    assert faults.longest_silence(music, RATE) == pytest.approx((1.0, 2.0), abs=0.06)
    assert faults.longest_silence(TONE, RATE) == (0.0, 0.0)
    assert faults.longest_silence(np.zeros(RATE, np.float32), RATE) == pytest.approx((0.0, 1.0))


def test_a_silent_stretch_is_a_warning(ask, quiet_even, tmp_path):
    events = []
    sample(tmp_path / "song", replace(ask, levels=(Level.TOP,)), listener=events.append)
    warned = [event.text for event in events if isinstance(event, WarningEvent)]
    assert [text.partition(" is silent from 0.5 to ")[0] for text in warned] == ["sample 0", "sample 2"]
    assert all("--samples 8 --keep 2" in text for text in warned)


def test_music_that_sounds_is_no_warning(ask, tmp_path):
    events = []
    sample(tmp_path / "song", replace(ask, levels=(Level.TOP,)), listener=events.append)
    assert not [event for event in events if isinstance(event, WarningEvent)]


def test_the_best_samples_are_kept_with_the_codes_they_have_without_the_choice(ask, quiet_even, tmp_path):
    all_of_them, kept = Song(tmp_path / "all"), Song(tmp_path / "kept")
    sample(all_of_them.path, ask)
    result = sample(kept.path, replace(ask, keep=2))
    assert len(result.audio) == 2
    recipe = kept.recipe()
    assert (recipe.keep.chosen, recipe.streams, recipe.samples) == ((1, 3), (1, 3), 2)
    for level in TOP_DOWN:
        assert np.array_equal(kept.codes(level).array, all_of_them.codes(level).array[[1, 3]])
    assert " --samples 4 --keep 2" in command_of(recipe, "again")
    assert not sample(kept.path, replace(ask, keep=2)).new  # the same command has nothing to do
    with pytest.raises(RecipeDiffers, match="keep"):
        sample(kept.path, ask)


@pytest.mark.parametrize("saves", range(1, 8))
def test_a_choice_that_was_stopped_is_the_same_when_it_is_resumed(ask, quiet_even, tmp_path, monkeypatch, riff, saves):
    whole = Song(tmp_path / "whole")
    sample(whole.path, replace(ask, keep=2))
    stopped, left, save, write = Song(tmp_path / "stopped"), [saves], Song.save, Song.write_recipe

    def counted(call):
        def counting(*given):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return call(*given)

        return counting

    with monkeypatch.context() as patch:
        patch.setattr(Song, "save", counted(save))
        patch.setattr(Song, "write_recipe", counted(write))
        with pytest.raises(Killed):
            sample(stopped.path, replace(ask, keep=2))
    resume(stopped.path)
    assert stopped.recipe().keep == whole.recipe().keep
    for level in TOP_DOWN:
        assert np.array_equal(stopped.codes(level).array, whole.codes(level).array)


@pytest.mark.parametrize(
    ("finding", "better"),
    [
        (choose.Finding(0.5, 0.0, -20.0, (0.0, 0.0)), choose.Finding(0.0, 0.9, -60.0, (0.0, 0.0))),
        (choose.Finding(0.0, 0.9, -20.0, (0.0, 0.0)), choose.Finding(0.0, 0.1, -60.0, (0.0, 0.0))),
        (choose.Finding(0.0, 0.1, -60.0, (0.0, 0.0)), choose.Finding(0.0, 0.1, -20.0, (0.0, 0.0))),
    ],
    ids=["silence", "loop", "level"],
)
def test_silence_weighs_more_than_a_loop_and_a_loop_more_than_the_level(finding, better):
    assert finding.faults(-20.0) > better.faults(-20.0)


@pytest.mark.parametrize("keep", [0, 5, -1])
def test_an_impossible_number_of_samples_to_keep_is_refused(ask, keep):
    with pytest.raises(BadInput, match="--keep"):
        replace(ask, keep=keep)


def test_to_keep_all_samples_is_no_choice(ask, tmp_path):
    sample(tmp_path / "song", replace(ask, keep=4, levels=(Level.TOP,)))
    assert Song(tmp_path / "song").recipe().keep is None
