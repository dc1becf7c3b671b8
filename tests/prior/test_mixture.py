"""Several names in one text, and the vector that they are to a prior."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jukectl.errors import BadInput
from jukectl.prior.conditioning import ArtistGenre
from jukectl.prior.labels import LabelBatch
from jukectl.prior.mixture import Mixture, Term, terms_of
from jukectl.prior.vocabulary import (
    UNLABELLED,
    Style,
    Vocabulary,
    artist_terms,
    genre_terms,
    mixed_artist,
    mixed_genres,
)

NAMES = Vocabulary(
    artists=("unlabelled", "Ada", "Björk B.", "Florence + The Machine", "Deus: Ex", "3:30"),
    genres=("unlabelled", "Jazz", "Hip Hop", "Metal"),
    genre_slots=2,
)


def terms(text, *sets):
    return artist_terms(sets or [NAMES], text)


def artist(text):
    return mixed_artist(NAMES, terms(text))


def genres(*texts, names=NAMES):
    return mixed_genres(names, [genre_terms([names], text) for text in texts], "this model")


@pytest.mark.parametrize("name", ["Ada", "björk b.", "Florence + The Machine", "Deus: Ex", "3:30", "#5"])
def test_a_known_name_may_contain_plus_and_colon(name):
    assert terms(name) == (Term(name, 1.0),)
    assert artist(name) == Mixture.of(NAMES.labels(name)[0])


def test_weights_follow_names_that_may_contain_plus_and_colon():
    assert terms("Ada:0.6+Björk B.:0.4") == (("Ada", 0.6), ("Björk B.", 0.4))
    assert terms(" Ada : .5 + Björk B.: 5e-1") == (("Ada", 0.5), ("Björk B.", 0.5))
    assert terms("Florence + The Machine:0.5+Deus: Ex:0.25+3:30:-0.25") == (
        ("Florence + The Machine", 0.5),
        ("Deus: Ex", 0.25),
        ("3:30", -0.25),
    )
    assert terms("#1:0.6+#3:0.4") == (("#1", 0.6), ("#3", 0.4))
    assert terms("Ada:0.5") == (("Ada", 0.5),)


def test_names_without_weights_have_equal_ones():
    assert terms("Ada+Björk B.") == (("Ada", 0.5), ("Björk B.", 0.5))
    assert terms("Ada+#2+3:30") == (("Ada", 1 / 3), ("#2", 1 / 3), ("3:30", 1 / 3))


def test_an_unknown_name_with_a_plus_ends_at_its_weight():
    assert terms("Simon + Garfunkel:0.5+Ada:0.5") == (("Simon + Garfunkel", 0.5), ("Ada", 0.5))
    assert terms("Nobody") == (("Nobody", 1.0),)


@pytest.mark.parametrize("text", ["Ada:0.5+Björk B.", "Ada:1+", "+", "Ada++#2", "Ada:1e9", "+".join(["Ada"] * 17)])
def test_an_invalid_mixture_is_refused_in_one_line(text):
    with pytest.raises(BadInput) as raised:
        terms(text)
    assert "\n" not in str(raised.value)


@given(st.text(alphabet="Ada:+0.5#- e", max_size=24))
def test_any_text_is_parsed_or_refused(text):
    try:
        found = terms(text)
    except BadInput:
        return
    assert found
    assert all(abs(weight) <= 100 for _, weight in found)


def test_weights_of_one_id_add_up_and_ids_of_weight_0_are_dropped():
    assert artist("Ada:0.5+#1:0.5") == Mixture.of(1)
    assert artist("Ada:1+Björk B.:0") == Mixture.of(1)
    assert artist("Ada:0+Björk B.:1") == Mixture.of(2)
    assert artist("Ada:0") == Mixture((), ())
    assert artist("Ada:2+Björk B.:-1") == Mixture((1, 2), (2.0, -1.0))


def test_an_artist_unknown_at_a_level_is_unlabelled_there():
    fewer = Vocabulary(artists=("unlabelled", "Ada"))
    both = artist_terms([NAMES, fewer], "Ada:0.6+Björk B.:0.4")
    assert mixed_artist(fewer, both) == Mixture((1, UNLABELLED), (0.6, 0.4))


def test_genres_are_mixed_beside_plain_ones():
    assert genres("Jazz, Metal") == Mixture.of(1, 3)
    assert genres("Jazz:0.7+Metal:0.3") == Mixture((1, 3), (0.7, 0.3))
    assert genres("Hip Hop", "Jazz:0.5+Metal:0.5") == Mixture((2, 1, 3), (1.0, 0.5, 0.5))
    assert genres("Metal:1+Jazz:0") == Mixture.of(3)
    assert genres() == Mixture.of(UNLABELLED)


def test_a_mixture_takes_as_many_genre_slots_as_its_longest_term():
    words = Vocabulary(genres=("unknown", "pop", "rock", "jazz"), genre_slots=2, style=Style.V2)
    assert genres("pop rock:0.5+jazz:0.5", names=words) == Mixture((1, 2, 3), (0.5, 0.5, 0.5))
    with pytest.raises(BadInput, match="3 genre words given, but this model takes up to 2"):
        genres("jazz", "pop rock:0.5+jazz:0.5", names=words)
    with pytest.raises(BadInput, match="takes up to 2"):
        genres("Jazz", "Metal", "Hip Hop:0.5+Jazz:0.5")


def make_conditioner():
    torch.manual_seed(0)
    return ArtistGenre(6, 4, 16, std=1.0)


def told(artists, kinds, slots=2):
    labels = LabelBatch.repeat(len(artists), slots=slots).styled(artists, kinds)
    return make_conditioner()(labels)[:, 0]


def test_a_mixture_is_the_weighted_sum_of_embeddings():
    conditioner = make_conditioner()
    (vector,) = told([Mixture((1, 2), (0.6, 0.4))], [Mixture((1, 3, 2), (0.5, 0.25, 0.25))])
    artists, kinds = conditioner.artist.weight, conditioner.genre.weight
    expected = 0.6 * artists[1] + 0.4 * artists[2] + 0.5 * kinds[1] + 0.25 * (kinds[3] + kinds[2])
    assert torch.allclose(vector, expected, atol=1e-6)


def test_an_artist_of_weight_0_adds_nothing():
    conditioner = make_conditioner()
    assert torch.equal(told([artist("Ada:0")], [Mixture.of(1)])[0], conditioner.genre.weight[1])


def test_labels_without_weights_are_unchanged_beside_mixtures():
    plain = LabelBatch.repeat(1, artist=2, genres=(1, 3), slots=2)
    styled = LabelBatch.repeat(1, slots=2).styled([Mixture.of(2)], [Mixture.of(1, 3)])
    assert styled.artist_weights is None and styled.genre_weights is None
    assert torch.equal(plain.artist, styled.artist) and torch.equal(plain.genres, styled.genres)
    mixed = told([Mixture((1, 4), (0.5, 0.5)), Mixture.of(2)], [Mixture((1, 2), (0.3, 0.7)), Mixture.of(1, 3)])
    assert torch.equal(mixed[1], make_conditioner()(plain)[0, 0])


def test_removing_labels_keeps_the_place_in_the_song():
    labels = LabelBatch.repeat(2, artist=3, genres=(1,), slots=2, total_length=900, offset=7, sample_length=5)
    bare = labels.styled([Mixture((1, 2), (0.5, 0.5))] * 2, [Mixture.of(1)] * 2).unlabelled()
    assert bare.artist.tolist() == [UNLABELLED] * 2
    assert bare.genres.tolist() == [[UNLABELLED, -1]] * 2
    assert bare.artist_weights is None
    assert (bare.total_length.tolist(), bare.offset.tolist()) == ([900] * 2, [7] * 2)


def test_longer_known_names_take_precedence():
    known = {"a", "b", "a+b"}
    assert terms_of("a+b+a", known.__contains__) == (Term("a+b", 0.5), Term("a", 0.5))
