import pytest

from jukectl.errors import BadInput, UnknownName
from jukectl.prior.vocabulary import UNLABELLED, Found, Style, Vocabulary, check_known

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


def test_a_name_unlike_all_others_still_gets_suggestions() -> None:
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


# The published sets of names

V3 = Vocabulary(
    artists=("unknown", "ada", "zoë", "the foos"),
    artist_numbers=(0, 1, 4, 4),
    genres=("unknown", "pop", "pop rock", "rhythm, blues"),
    artist_ids=9,
    genre_ids=12,
    style=Style.V3,
)
V2 = Vocabulary(
    artists=("ada", "r_e_m", "bj_rk"),
    artist_numbers=(2, 5, 8),
    genres=("unknown", "pop", "rock", "hip", "hop"),
    genre_numbers=(0, 3, 7, 8, 9),
    artist_ids=9,
    genre_ids=12,
    genre_slots=3,
    style=Style.V2,
)


@pytest.mark.parametrize(("name", "number"), [("ADA", 1), ("Zoë", 4), (" The Foos ", 4), ("unknown", 0), ("#8", 8)])
def test_v3_takes_names_in_lower_case(name: str, number: int) -> None:
    assert V3.found_artist(name) == Found((number,))


def test_a_v3_genre_is_one_text_of_any_number_of_words() -> None:
    assert V3.found_genres(["Pop Rock"]) == Found((2,))
    assert V3.found_genres(["Rhythm, Blues"]) == Found((3,))
    assert V3.found_genres(["rock pop"]) == Found((UNLABELLED,), ("rock pop",))
    with pytest.raises(BadInput, match="2 genres given, but the top prior takes up to 1 a song"):
        V3.found_genres(["pop", "pop rock"], "the top prior")


@pytest.mark.parametrize(
    ("name", "number"), [("Ada", 2), ("R.E.M.", 5), ("r e m", 5), ("__R-E--M!", 5), ("Björk", 8), ("#0", 0)]
)
def test_v2_takes_names_as_letters_and_digits_with_one_stroke_for_all_between_them(name: str, number: int) -> None:
    assert V2.found_artist(name) == Found((number,))


@pytest.mark.parametrize(
    "genres", [["Pop Rock"], ["pop_rock"], ["pop", "rock"], ["pop, rock"], ["#3,#7"], ["#3", "#7"]]
)
def test_each_word_of_a_v2_genre_has_an_id(genres: list[str]) -> None:
    assert V2.found_genres(genres) == Found((3, 7))


def test_an_unknown_word_of_a_published_set_is_id_0_in_its_place_and_reported() -> None:
    assert V2.found_genres(["pop polka rock"]) == Found((3, UNLABELLED, 7), ("polka",))
    assert V2.found_artist("Zoë") == Found((UNLABELLED,), ("Zoë",))
    assert V2.found_artist("漢字") == Found((UNLABELLED,), ("漢字",))  # nothing of it is a letter
    assert V2.found_genres(["漢字"]) == Found((UNLABELLED,), ("漢字",))


def test_a_plain_set_leaves_out_what_it_has_not() -> None:
    assert WORDS.found_genres(["ragtime polka"]) == Found((1,), ("polka",))
    assert WORDS.found_genres(["polka dance"]) == Found((UNLABELLED,), ("polka dance",))


def test_no_genre_is_unlabelled_in_every_style() -> None:
    assert [names.found_genres([]) for names in (WORDS, V2, V3)] == [Found((UNLABELLED,))] * 3
    assert [names.found_genres([" "]) for names in (WORDS, V2, V3)] == [Found((UNLABELLED,))] * 3


def test_a_genre_of_a_recordings_tags_is_a_plain_name_or_the_words_of_a_published_set() -> None:
    assert WORDS.found_tag("Hip Hop") == Found((4,))
    assert WORDS.found_tag("ragtime folk") == Found((UNLABELLED,), ("ragtime folk",))
    assert V2.found_tag("Pop/Polka Rock") == Found((3, UNLABELLED, 7), ("polka",))


def test_more_genre_words_than_slots_are_named() -> None:
    with pytest.raises(BadInput, match=r"4 genre words given, but .* up to 3 a song: leave out hop"):
        V2.found_genres(["pop rock", "Hip-Hop"])


def test_a_name_that_is_written_so_goes_before_one_that_only_amounts_to_it() -> None:
    names = Vocabulary(artists=("R.E.M.", "r_e_m"), artist_numbers=(1, 2), style=Style.V2)
    assert names.found_artist("R.E.M.") == Found((2,))
    assert Vocabulary(artists=("R.E.M.",), artist_numbers=(1,), style=Style.V2).found_artist("rem..") != Found((1,))
    assert Vocabulary(artists=("R.E.M.",), artist_numbers=(1,), style=Style.V2).found_artist("r e m") == Found((1,))


def test_a_name_is_an_error_only_where_no_set_has_it() -> None:
    check_known([V2, V3], ["Zoë"], ["Pop Rock"])
    check_known([V2, V3], ["#8"], ["hip hop", "#11"])
    with pytest.raises(UnknownName, match=r"no artist is called 'Zoo'\. The nearest: .*zoë"):
        check_known([V2, V3], ["Zoo"], [])
    with pytest.raises(UnknownName, match=r"no genre is called 'pokk'\. The nearest: .*rock"):
        check_known([V2, V3], [], ["pop pokk"])
    with pytest.raises(UnknownName, match="no genre has the id #12: this model's go from #0 to #11"):
        check_known([V2, V3], [], ["#12"])


def test_all_unknown_names_are_reported_at_once() -> None:
    with pytest.raises(UnknownName) as caught:
        check_known([WORDS], ["Scot Joplyn"], ["foolk", "#99", "hip hop"])
    assert [said.partition(":")[0] for said in str(caught.value).split(". no ")] == [
        "no artist is called 'Scot Joplyn'. The nearest",
        "genre is called 'foolk'. The nearest",
        "genre has the id #99",
    ]


def test_an_id_that_one_set_has_not_is_unlabelled_there() -> None:
    short = Vocabulary(artist_ids=4, genre_ids=4, genre_slots=2)
    check_known([short, V2], ["#7"], ["#3,#5"])
    assert short.found_artist("#7") == Found((UNLABELLED,), ("#7",))
    assert short.found_genres(["#3,#5"]) == Found((3,), ("#5",))


def test_with_a_name_for_every_id_a_set_is_a_plain_one() -> None:
    named = V2.named(artists=9, genres=12)
    assert named.style is Style.PLAIN
    assert named.artists == ("#0", "#1", "ada", "#3", "#4", "r_e_m", "#6", "#7", "bj_rk")
    assert named.genres[7:] == ("rock", "hip", "hop", "#10", "#11")
    assert V3.named().artists == ("unknown", "ada", "#2", "#3", "zoë")


def test_numbers_go_with_names() -> None:
    with pytest.raises(ValueError, match="artist_numbers needs a number for each name, got 1 for 2"):
        Vocabulary(artists=("a", "b"), artist_numbers=(1,))
    with pytest.raises(ValueError, match="genre_numbers are 0 or more, got -1"):
        Vocabulary(genres=("a",), genre_numbers=(-1,))


def test_the_alphabet_is_the_sets_own_or_as_published() -> None:
    assert Vocabulary(characters="ba ").alphabet(9) == {"b": 1, "a": 2, " ": 3}
    assert Vocabulary(characters="ba", character_numbers=(4, 0)).alphabet(9) == {"b": 4, "a": 0}
    assert Vocabulary().alphabet(79)["["] == 74
    assert "".join(Vocabulary().alphabet(9)) == "ABCDEFGH"
