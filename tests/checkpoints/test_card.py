"""Cards with one set of names for each level, as in the published models: v3 at the top, v2 below."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from jukectl.checkpoints.card import ModelCard
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadInput, BadModel, UnknownName
from jukectl.lyrics.value import Lyrics
from jukectl.prior.config import AttentionKind, LyricsConfig, PriorConfig
from jukectl.prior.vocabulary import Style, Vocabulary
from jukectl.vqvae.config import VQVAEConfig

WHERE = Path("somewhere/model.toml")
THIRD = Vocabulary(
    artists=("unknown", "ada", "zoë"),
    artist_numbers=(0, 3, 3),
    genres=("unknown", "pop rock", "polka"),
    characters="ab \n",
    character_numbers=(4, 2, 1, 3),
    style=Style.V3,
)
SECOND = Vocabulary(artists=("ada", "björk"), artist_numbers=(5, 8), genres=("unknown", "pop", "rock"), style=Style.V2)


def prior(level):
    top = level is Level.TOP
    return PriorConfig(
        level=level,
        context=8,
        width=8,
        depth=1,
        heads=1,
        blocks=2,
        hop=8,
        artists=4 if top else 9,
        genres=7 if top else 3,
        genre_slots=1 if top else 2,
        lyrics=LyricsConfig(characters=8, alphabet=5) if top else None,
    )


def make_card(**changes):
    values = {
        "name": "sung",
        "vqvae": VQVAEConfig(),
        "priors": {level: prior(level) for level in TOP_DOWN},
        "vocabularies": {Level.TOP: THIRD, Level.MIDDLE: SECOND, Level.BOTTOM: SECOND},
    }
    return ModelCard(**{**values, **changes})


def test_each_level_has_its_own_id_for_a_name():
    card = make_card()
    assert card.labels(Level.TOP, "Ada", ("Pop Rock",)) == (3, (1,))
    assert card.labels(Level.MIDDLE, "Ada", ("Pop Rock",)) == (5, (1, 2))
    assert all(card.unknown_at(level, "Ada", ("Pop Rock",)) == () for level in TOP_DOWN)


def test_a_name_that_one_level_lacks_is_id_0_there_and_reported():
    card = make_card()
    assert card.labels(Level.MIDDLE, "Zoë", ("polka",)) == (0, (0,))
    assert card.unknown_at(Level.MIDDLE, "Zoë", ("polka",)) == ("Zoë", "polka")
    assert card.unknown_at(Level.TOP, "Zoë", ("polka",)) == ()
    assert card.labels(Level.TOP, None, ("rock",)) == (0, (0,))
    assert card.unknown_at(Level.TOP, None, ("rock",)) == ("rock",)


def test_a_name_that_no_level_has_is_refused_with_the_nearest_names():
    with pytest.raises(UnknownName, match=r"'Byörk'\. The nearest: björk"):
        make_card().labels(Level.TOP, "Byörk", ())


def test_an_id_is_valid_if_any_level_has_it():
    card = make_card()
    assert card.labels(Level.TOP, "#8", ("#5",)) == (0, (5,))
    assert card.unknown_at(Level.TOP, "#8", ("#5",)) == ("#8",)
    assert card.labels(Level.BOTTOM, "#8", ("#5",)) == (8, (0,))
    with pytest.raises(UnknownName, match="go from #0 to #8"):
        card.labels(Level.TOP, "#9", ())
    bare = make_card(vocabularies={})
    assert bare.labels(Level.BOTTOM, "#8", ("#2,#1",)) == (8, (2, 1))
    assert bare.unknown_at(Level.TOP, "#8", ("#5",)) == ("#8",)


def test_too_many_genres_are_refused_with_the_name_of_the_level():
    with pytest.raises(BadInput, match="2 genres given, but the top prior takes up to 1 a song"):
        make_card().labels(Level.TOP, None, ("polka", "pop rock"))
    with pytest.raises(BadInput, match="3 genre words given, but the middle prior takes up to 2 a song: leave out pop"):
        make_card().labels(Level.MIDDLE, None, ("pop rock pop",))


def test_a_card_offers_the_names_of_the_top_prior():
    assert make_card().names.artists == ("unknown", "ada", "zoë")
    assert make_card(priors={Level.MIDDLE: prior(Level.MIDDLE)}, vocabularies={}, vocabulary=SECOND).names == SECOND


def test_lyrics_are_spelled_in_the_alphabet_of_the_model():
    assert make_card().spell(Level.TOP, Lyrics("a b\n")).ids == (4, 1, 2, 3)
    assert make_card().spell(Level.TOP, Lyrics("àüb")).left_out == "ü"
    with pytest.raises(BadInput, match="sung takes no lyrics, only artist and genre"):
        make_card().spell(Level.MIDDLE, Lyrics("a"))
    with pytest.raises(BadInput, match=r"sung has none of the lyrics' characters: x, Y"):
        make_card().spell(Level.TOP, Lyrics("xxYx"))
    assert make_card(vocabularies={}).spell(Level.TOP, Lyrics("aBED")).ids == (1, 2, 4)  # A to D, the default alphabet


def test_a_card_round_trips_and_writes_a_shared_set_of_names_once():
    card = make_card()
    text = card.to_toml()
    assert ModelCard.parse(text, WHERE) == card
    assert text.count("bj") == 1
    assert text.startswith("format = 1\n")


def test_an_added_alphabet_of_lyrics_round_trips():
    sung = LyricsConfig(characters=8, alphabet=5, apart=True, alignment_layer=1)
    top = replace(prior(Level.TOP), depth=2, pattern=("row", "encoder"), lyrics=sung, scale_residuals=True)
    top = replace(top, pattern=tuple(map(AttentionKind, top.pattern)), scale_depth=1)
    card = make_card(priors={Level.TOP: top}, vocabularies={Level.TOP: THIRD})
    assert ModelCard.parse(card.to_toml(), WHERE) == card


def test_any_name_round_trips_through_a_card():
    artists = ("", 'Who "?"', "back\\slash", "\x00\x07\t\r\n\x1f\x7f\x80\u2028", "漢字 🎵", "[[vocabularies]]", "# no")
    names = Vocabulary(artists=artists, style=Style.V3)
    card = make_card(priors={Level.MIDDLE: prior(Level.MIDDLE)}, vocabularies={Level.MIDDLE: names})
    assert ModelCard.parse(card.to_toml(), WHERE) == card


def test_a_card_with_as_many_names_as_the_published_models_is_fast():
    names = Vocabulary(artists=tuple(map(str, range(12_000))), style=Style.V3)
    top = replace(prior(Level.TOP), artists=12_000)
    began = time.process_time()
    card = ModelCard.parse(make_card(priors={Level.TOP: top}, vocabularies={Level.TOP: names}).to_toml(), WHERE)
    assert card.labels(Level.TOP, "11999", ()) == (11_999, (0,))
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("artist_numbers = [0, 3, 3]", "artist_numbers = [0, 3, 4]", "the top prior has no artist #4, only #0 to #3"),
        ("artist_numbers = [0, 3, 3]", "artist_numbers = [0, 3]", "artist_numbers needs a number for each name"),
        ("artist_numbers = [0, 3, 3]", "artist_numbers = [0, 3, -1]", "0 or more, got -1"),
        ("artist_numbers = [0, 3, 3]", "artist_numbers = 7", "artist_numbers must be a list of whole"),
        ("artist_numbers = [0, 3, 3]", "artist_numbers = [0, 3, true]", "artist_numbers must be a list"),
        ("character_numbers = [4,", "character_numbers = [5,", "the top prior has no character #5"),
        ('style = "v3"', 'style = "v4"', "'v4' is not a valid Style"),
        ('levels = ["top"]', 'levels = ["cellar"]', "cellar"),
        ('levels = ["top"]', "", "no 'levels'"),
    ],
)
def test_invalid_sets_of_names_are_refused(old, new, reason):
    text = make_card().to_toml()
    assert text.count(old) == 1
    with pytest.raises(BadModel, match=rf"model.toml is not a model description: .*{reason}"):
        ModelCard.parse(text.replace(old, new), WHERE)
