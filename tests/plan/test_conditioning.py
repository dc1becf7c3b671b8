"""Conditioning from the request to the prior: lyrics, two sets of names, the song's length."""

from dataclasses import replace

import numpy as np
import pytest

from jukectl.api import Request, continue_, resume, sample, upsample
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.errors import BadInput, RecipeDiffers, UnknownName
from jukectl.lyrics.value import Lyrics
from jukectl.plan.conditioning import conditioning_of, song_samples
from jukectl.plan.recipes import recipe_of
from jukectl.prior.config import TimingConfig
from jukectl.progress import WarningsOnly

WORDS = Lyrics("Oh, sing it again:\nla la la\n")  # longer than the window of 16 characters
TOP = {"levels": (Level.TOP,)}


@pytest.fixture
def sing(ask, singing_model):
    """A request for a draft of the model that sings."""

    def make(**changes):
        return ask(**{"model": str(singing_model), "seconds": 3.2, "song_seconds": 4.0, **TOP, **changes})

    return make


def codes_of(path):
    return Song(path).codes(Level.TOP).array


@pytest.fixture
def tell(singing_model, sing):
    """What the top of the model that sings is told for a request, and the warnings."""

    def make(total=100, **changes):
        card = ModelFolder(singing_model).card
        warnings = []
        recipe = recipe_of(ModelFolder(singing_model), sing(**changes), None)
        return conditioning_of(recipe, card, Level.TOP, total, warnings.append), warnings

    return make


# Lyrics


def test_lyrics_change_the_codes_and_are_kept_in_the_recipe(sing, tmp_path):
    requests = {
        "a": sing(lyrics=WORDS),
        "b": sing(),
        "c": sing(lyrics=Lyrics(WORDS.text.upper())),
        "d": sing(lyrics=WORDS),
    }
    found = {name: codes_of(sample(tmp_path / name, request).song) for name, request in requests.items()}
    assert Song(tmp_path / "a").recipe().labels.lyrics == WORDS
    assert np.array_equal(found["a"], found["d"])
    assert not np.array_equal(found["a"], found["b"])
    assert not np.array_equal(found["a"], found["c"])


def test_a_song_resumes_with_the_lyrics_of_its_recipe(sing, tmp_path):
    song = Song(sample(tmp_path / "song", sing(lyrics=WORDS)).song)
    whole = song.codes(Level.TOP)
    song.save(whole.cut(70))
    assert resume(song.path).new
    assert np.array_equal(song.codes(Level.TOP).array, whole.array)
    assert not sample(song.path, sing(lyrics=WORDS)).new


@pytest.mark.parametrize("lyrics", [None, Lyrics("Oh, sing it again:\nlo la la\n")])
def test_other_lyrics_in_the_same_folder_are_an_error_that_shows_the_line(sing, tmp_path, lyrics):
    sample(tmp_path / "song", sing(lyrics=WORDS, seconds=0.2))
    with pytest.raises(RecipeDiffers, match=r"labels\.lyrics" if lyrics is None else r"labels\.lyrics, line 2: 'la la"):
        sample(tmp_path / "song", sing(lyrics=lyrics, seconds=0.2))
    if lyrics:
        with pytest.raises(RecipeDiffers, match=r"labels\.lyrics, line 2: 'la la"):
            upsample(tmp_path / "song", Request(lyrics=lyrics))


def test_a_prompt_may_be_sung_on_from(sing, riff, tmp_path):
    song = continue_(riff, tmp_path / "song", sing(lyrics=WORDS, seconds=0.5, song_seconds=None), prompt_seconds=1).song
    assert Song(song).recipe().labels.lyrics == WORDS
    again = continue_(riff, tmp_path / "other", sing(seconds=0.5, song_seconds=None), prompt_seconds=1).song
    assert not np.array_equal(codes_of(song), codes_of(again))


def test_lyrics_below_the_top_are_kept_and_not_needed(sing, tmp_path):
    draft = sample(tmp_path / "draft", sing(lyrics=WORDS, seconds=0.2, song_seconds=None)).song
    (tmp_path / "other").mkdir()
    (tmp_path / "other/top.npz").write_bytes((draft / "top.npz").read_bytes())
    upsample(draft, Request())
    upsample(tmp_path / "other", sing(lyrics=WORDS, seconds=0.2, seed=3))
    assert Song(tmp_path / "other").recipe().labels.lyrics == WORDS
    assert np.array_equal(Song(draft).codes(Level.BOTTOM).array, Song(tmp_path / "other").codes(Level.BOTTOM).array)


def test_a_model_that_does_not_sing_says_so_before_anything_is_made(ask, tmp_path):
    with pytest.raises(BadInput, match="tiny takes no lyrics, only artist and genre: leave --lyrics out"):
        sample(tmp_path / "song", ask(lyrics=WORDS))
    assert not (tmp_path / "song").exists()


def test_lyrics_without_any_character_of_the_alphabet_are_refused(sing, tmp_path):
    with pytest.raises(BadInput, match="singer has none of the lyrics' characters"):
        sample(tmp_path / "song", sing(lyrics=Lyrics("+++")))
    assert not (tmp_path / "song").exists()


@pytest.mark.parametrize("lyrics", ["", " \n\t"])
def test_empty_lyrics_are_an_error(lyrics):
    with pytest.raises(BadInput, match="the lyrics are empty"):
        Request(lyrics=Lyrics(lyrics))


def test_omitted_characters_are_reported_once(sing, tmp_path):
    warnings = []
    sample(
        tmp_path / "song",
        sing(lyrics=Lyrics("1 + 1 + <i>"), seconds=0.2, levels=tuple(Level)[::-1]),
        listener=WarningsOnly(warnings.append),
    )
    about = [text for text in warnings if "characters" in text]
    assert about == ["singer has no characters for these of the lyrics, so they are left out: +, <, >"]


# Two sets of names


def test_a_genre_is_one_text_at_the_top_and_words_below(sing, tmp_path):
    warnings = []
    request = sing(genres=("Cool Jazz",), seconds=0.2, song_seconds=None, levels=tuple(Level)[::-1])
    sample(tmp_path / "song", request, listener=WarningsOnly(warnings.append))
    assert warnings == []


def test_a_name_that_a_level_lacks_causes_a_warning_with_the_level(sing, tmp_path):
    warnings = []
    request = sing(artist="Zoë", seconds=0.2, song_seconds=None, levels=(Level.TOP, Level.MIDDLE))
    sample(tmp_path / "song", request, listener=WarningsOnly(warnings.append))
    assert warnings == ["the middle prior has no label for Zoë: that level is made without"]


def test_a_name_that_no_level_has_is_an_error_before_anything_is_made(sing, tmp_path):
    with pytest.raises(UnknownName, match=r"'jaz'\. The nearest: jazz"):
        sample(tmp_path / "song", sing(genres=("jaz",)))
    assert not (tmp_path / "song").exists()


# The song's length


def top_config(singing_model, **timing):
    config = ModelFolder(singing_model).card.priors[Level.TOP]
    return replace(config, timing=replace(config.timing, **timing))


@pytest.mark.parametrize(
    ("seconds", "samples"),
    [(0.1, 4_000), (0.5, 4_000), (0.6, 4_800), (59.9, 479_200), (60.0, 479_999), (1_000.0, 479_999)],
)
def test_the_song_length_is_clamped_to_the_range_of_the_prior(singing_model, seconds, samples):
    assert song_samples(seconds, top_config(singing_model)) == samples


@pytest.mark.parametrize("seconds", [17.84, 23.8])
def test_the_shortest_published_songs_are_not_clamped(singing_model, seconds):
    config = replace(top_config(singing_model), sample_rate=44_100, timing=TimingConfig(min_seconds=seconds))
    assert song_samples(0.0, config) == song_samples(seconds, config) == round(seconds * 44_100)


def test_a_song_length_out_of_range_is_clamped_with_a_warning(tell):
    assert tell(song_seconds=5.0)[1] == []
    about, warnings = tell(song_seconds=60.0)
    assert about.song_samples == 479_999
    assert warnings == [
        "the model was trained on songs shorter than 60 s, so it is conditioned on just under that instead of 60 s"
    ]
    about, warnings = tell(song_seconds=0.25, seconds=0.2, total=6)
    assert about.song_samples == 4_000
    assert warnings == [
        "the model was trained on songs of 0.5 s or more, so it is conditioned on that instead of 0.25 s"
    ]
    assert tell(seconds=0.2, song_seconds=None, total=6)[1] == []  # nobody asked for a length
    assert len(tell(seconds=0.2, song_seconds=None, lyrics=WORDS, total=6)[1]) == 1  # but lyrics are laid out over it


def test_a_song_longer_than_the_range_is_made_with_a_warning(tell):
    about, warnings = tell(seconds=64.0, song_seconds=None, total=2_000)
    assert about.song_samples == 479_999
    assert warnings[0].endswith("instead of 64 s, and treats everything after it as the end")


def test_a_song_that_runs_past_its_end_is_made_with_a_warning_as_long_as_its_last_window_begins_before(tell):
    about, warnings = tell(seconds=3.2, song_seconds=1.2, total=100)  # 36 * 256 / 8000 = 1.152 s
    assert about.song_samples == 9_600
    assert warnings == ["the model is conditioned on a song of 1.2 s, but 3.2 s are made: the rest is past its end"]


def test_one_whose_last_window_would_begin_after_its_end_is_an_error_before_anything_is_made(sing, tmp_path):
    with pytest.raises(BadInput) as caught:
        sample(tmp_path / "song", sing(seconds=3.2, song_seconds=1.152))
    assert str(caught.value) == (
        "--song-seconds 1.152 is too short: 3.2 s are to be made, and the last window begins at 1.152 s, after the "
        "song's end. Give 4 or more, or leave it out"
    )
    assert not (tmp_path / "song").exists()


def test_so_it_is_where_the_recipe_was_changed_by_hand(sing, tmp_path):
    song = Song(sample(tmp_path / "song", sing(seconds=3.2, lyrics=WORDS)).song)
    text = song.toml_path.read_text(encoding="utf-8")
    assert "song_seconds = 4.0" in text
    song.toml_path.write_text(text.replace("song_seconds = 4.0", "song_seconds = 0.7"), encoding="utf-8")
    song.codes_path(Level.TOP).unlink()
    with pytest.raises(BadInput, match=r"--song-seconds 0\.7 is too short"):
        resume(song.path)
