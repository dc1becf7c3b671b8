import pytest

from jukectl.errors import BadInput, UnknownName
from jukectl.prior.vocabulary import Vocabulary

WORDS = Vocabulary(
    artists=("unlabelled", "Scott Joplin", "Anonymous Fiddler", "Ludwig van Beethoven"),
    genres=("unlabelled", "ragtime", "folk", "classical", "hip hop"),
    genre_slots=3,
)


def test_names_are_matched_without_regard_to_case() -> None:
    assert WORDS.labels("scott JOPLIN", ["Folk"]) == (1, (2,))


def test_none_is_unlabelled() -> None:
    assert WORDS.labels() == (0, (0,))
    assert WORDS.labels(None, [""]) == (0, (0,))


@pytest.mark.parametrize(
    "genres", [["ragtime", "folk"], ["ragtime folk"], ["Ragtime, folk"], ["ragtime, folk,", "FOLK"]]
)
def test_several_genres_may_be_given_in_any_of_the_usual_ways(genres: list[str]) -> None:
    assert WORDS.labels(None, genres)[1] == (1, 2)


def test_a_genre_of_two_words_is_one_genre() -> None:
    assert WORDS.labels(None, ["hip hop, ragtime"])[1] == (4, 1)


def test_more_genres_than_slots_are_an_error_of_the_user() -> None:
    with pytest.raises(BadInput, match=r"4 genres given.*up to 3"):
        WORDS.labels(None, ["ragtime folk classical", "hip hop"])


def test_an_unknown_name_is_an_error_that_lists_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"'Scot Joplyn'\. The nearest: Scott Joplin") as caught:
        WORDS.labels("Scot Joplyn")
    assert caught.value.exit_status == 2
    with pytest.raises(UnknownName, match=r"no genre is called 'foolk'.*folk"):
        WORDS.labels(None, ["ragtime foolk"])


def test_a_name_like_nothing_known_lists_some_names_all_the_same() -> None:
    with pytest.raises(UnknownName, match="unlabelled"):
        WORDS.labels("§")


def test_a_number_sign_gives_an_id() -> None:
    assert WORDS.labels("#3", ["#2", "#4"]) == (3, (2, 4))
    with pytest.raises(UnknownName, match="#0 to #3"):
        WORDS.labels("#4")


def test_a_model_without_word_lists_takes_ids_only() -> None:
    bare = Vocabulary(artist_ids=4111, genre_ids=120, genre_slots=5)
    assert bare.labels("#4110", ["#3 #17"]) == (4110, (3, 17))
    with pytest.raises(UnknownName, match="#4110"):
        bare.labels("#4111")
    with pytest.raises(UnknownName, match="Give an id"):
        bare.labels("Scott Joplin")
