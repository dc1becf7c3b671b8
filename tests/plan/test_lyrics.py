"""Timed lyrics, from an .lrc file's text to the characters that each window is told."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from jukectl.api import Request, resume, sample
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes import recipe_toml
from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.errors import BadInput, RecipeDiffers
from jukectl.lyrics.tokens import V3
from jukectl.lyrics.value import Lyrics
from jukectl.plan.conditioning import conditioning_of
from jukectl.plan.recipes import recipe_of
from jukectl.prior.labels import WindowShape
from jukectl.sampling.level import LevelJob
from jukectl.sampling.windows import Window

EARLY = "[00:00.00]one and two and three\n[00:00.50]four and five and six\n"
LATE = "[00:00.00]one and two and three\n[00:03.00]four and five and six\n"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def letters(times):
    """LRC of the alphabet, each letter at its time."""
    return "[00:00.00]" + "".join(f"<00:{time:05.2f}>{one}" for one, time in zip(LETTERS, times, strict=True))


@pytest.fixture
def sing(ask, singing_model):
    """A request for a draft of the model that sings, which hears 16 characters at a time."""

    def make(lyrics=LATE, lyrics_format="lrc", **changes):
        given = {"model": str(singing_model), "seconds": 3.2, "levels": (Level.TOP,), **changes}
        return ask(lyrics=Lyrics(lyrics, lyrics_format), **given)

    return make


@pytest.fixture
def windows(singing_model, sing):
    """The characters that the window which starts at a code is told, for a request; the model is not run."""
    folder = ModelFolder(singing_model)

    def of(start, offset=0, **changes):
        recipe = recipe_of(folder, sing(**changes), None)
        song = conditioning_of(recipe, folder.card, Level.TOP, 100, pytest.fail)
        song = replace(song, start_samples=offset)
        job = LevelJob(folder.prior(Level.TOP, torch.device("cpu")), 100, 0, song)
        window = job.place(Window(start, 0, start + 1)).lyric_window(WindowShape.of(job.prior.config))
        return "".join(V3[number - 1] if number else "_" for number in window.ids)

    return of


def test_a_window_has_the_lyrics_around_its_middle(windows):
    """A window is 64 codes of 0.032 s: its middle is 1.024 s after its start, and the ninth of its 16 characters."""
    even = letters([0.1 * one for one in range(26)])
    assert windows(0, lyrics=even) == "cdefghijklmnopqr"  # k at 1.0 s
    assert windows(10, lyrics=even) == "fghijklmnopqrstu"  # n at 1.3 s
    slow = letters([0.1 * one for one in range(12)] + [3.0 + 0.01 * one for one in range(14)])
    assert windows(36, lyrics=slow) == "defghijklmnopqrs"  # at 2.2 s l, from 1.1 s on, was the last


def test_times_count_from_the_start_of_the_song_wherever_the_piece_begins(windows):
    even = letters([0.1 * one for one in range(26)])
    assert windows(10, lyrics=even) == windows(0, lyrics=even, offset=10 * 256)


def test_without_times_the_words_are_spread_evenly(windows):
    assert windows(0, lyrics=LETTERS, lyrics_format="text") == LETTERS[:16]  # 26 * 1.024 / 3.2 = 8.3
    assert windows(10, lyrics=LETTERS, lyrics_format="text") == LETTERS[2:18]  # 26 * 1.344 / 3.2 = 10.9


def codes_of(path):
    return Song(path).codes(Level.TOP).array


def test_times_make_a_difference_and_song_toml_alone_makes_the_song_again(sing, tmp_path):
    late, early = sample(tmp_path / "late", sing()).song, sample(tmp_path / "early", sing(lyrics=EARLY)).song
    assert not np.array_equal(codes_of(late), codes_of(early))
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "song.toml").write_bytes((late / "song.toml").read_bytes())
    resume(tmp_path / "again")
    assert np.array_equal(codes_of(tmp_path / "again"), codes_of(late))


def test_the_recipe_keeps_the_lyrics_file_unchanged_with_its_format(sing, singing_model):
    recipe = recipe_of(ModelFolder(singing_model), sing(lyrics="[ti:Mine]\n" + LATE), None)
    again = recipe_toml.loads(recipe_toml.dumps(recipe), "song.toml")
    assert again == recipe
    assert again.labels.lyrics.source == "[ti:Mine]\n" + LATE
    assert 'lyrics_format = "lrc"' in recipe_toml.dumps(recipe)
    plain = replace(recipe, labels=replace(recipe.labels, lyrics=Lyrics(recipe.labels.lyrics.source)))
    assert "lyrics_format" not in recipe_toml.dumps(plain)
    assert plain.differences(recipe) == ["labels.lyrics_format: none here, 'lrc' asked"]


def test_other_times_in_the_same_folder_are_another_song(sing, tmp_path):
    sample(tmp_path / "song", sing(seconds=0.2))
    with pytest.raises(RecipeDiffers, match=r"labels\.lyrics, line 2: '\[00:03\.00\]four"):
        sample(tmp_path / "song", sing(lyrics=EARLY, seconds=0.2))


def test_words_after_the_end_of_the_song_cause_a_warning(sing, singing_model):
    folder, warnings = ModelFolder(singing_model), []
    recipe = recipe_of(folder, sing(lyrics=LATE + "[00:03.50]gone\n[00:04.00]far away\n"), None)
    conditioning_of(recipe, folder.card, Level.TOP, 100, warnings.append)
    assert warnings == [
        "the lyrics from 'gone' at 3.5 s on come after the song's end at 3.2 s: give more --seconds or --song-seconds "
        "to have them sung"
    ]


def test_lyrics_that_cannot_be_read_are_refused_before_anything_is_made():
    with pytest.raises(BadInput, match="line 2 has no time"):
        Lyrics("[00:01.00]one\ntwo", "lrc")
    with pytest.raises(BadInput, match="times but no words"):
        Request(lyrics=Lyrics("[ti:Mine]\n[00:01.00]\n", "lrc"))
