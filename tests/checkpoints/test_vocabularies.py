"""Word lists of published models: two sets of names in one file, and invalid files."""

import json

import pytest

from jukectl.checkpoints.vocabularies import LARGEST, read_vocabularies
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadModel
from jukectl.lyrics.tokens import V2, V3
from jukectl.prior.config import LyricsConfig, PriorConfig
from jukectl.prior.vocabulary import Style

ARTISTS = {"ada": 1, "zoë": 4, "the foos": 4, "ada.v2": 2, "the_foos.v2": 6, "unknown": 0}
GENRES = {"unknown": 0, "pop rock": 1, "pop.v2": 2, "rock.v2": 5, "unknown.v2": 0}
LYRICS = {"<unk>": 0, **{character: number for number, character in enumerate(V3, 1)}}


def prior(level=Level.TOP, artists=9, genres=7, alphabet=None):
    lyrics = LyricsConfig(characters=8, alphabet=alphabet) if alphabet else None
    return PriorConfig(
        level=level,
        context=8,
        width=8,
        depth=1,
        heads=1,
        blocks=2,
        hop=8,
        artists=artists,
        genres=genres,
        genre_slots=3,
        lyrics=lyrics,
    )


PRIORS = {level: prior(level, alphabet=79 if level is Level.TOP else None) for level in TOP_DOWN}


@pytest.fixture
def put(tmp_path):
    def write(**files):
        for name, value in files.items():
            text = value if isinstance(value, str) else json.dumps(value)
            (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_one_file_with_both_sets_of_names_is_read_by_suffix(put):
    sets = read_vocabularies(put(vocab={"artists": ARTISTS, "genres": GENRES, "lyrics": LYRICS}), PRIORS)
    assert [sets[level].style for level in TOP_DOWN] == [Style.V3, Style.V2, Style.V2]
    assert sets[Level.TOP].artists == ("unknown", "ada", "zoë", "the foos")
    assert sets[Level.TOP].artist_numbers == (0, 1, 4, 4)  # with a gap, and two names of one id
    assert sets[Level.TOP].genres == ("unknown", "pop rock")
    assert sets[Level.TOP].genre_numbers == ()
    assert sets[Level.BOTTOM].artists == ("ada", "the_foos")
    assert sets[Level.BOTTOM].artist_numbers == (2, 6)
    assert sets[Level.BOTTOM].genres == ("unknown", "pop", "rock")


@pytest.mark.parametrize(
    "files",
    [
        {"artists": ARTISTS, "genres": GENRES, "lyrics": LYRICS},
        {"vocab": {"artists_encoder": ARTISTS, "genres_encoder": GENRES, "lyrics_encoder": LYRICS}},
    ],
)
def test_three_files_and_other_keys_of_the_lists_are_equivalent(put, tmp_path, files):
    (tmp_path / "one").mkdir()
    (tmp_path / "one/vocab.json").write_text(json.dumps({"artists": ARTISTS, "genres": GENRES, "lyrics": LYRICS}))
    assert read_vocabularies(put(**files), PRIORS) == read_vocabularies(tmp_path / "one", PRIORS)


def test_a_folder_without_lists_has_no_names(tmp_path):
    assert read_vocabularies(tmp_path, PRIORS) == {}


def test_a_missing_word_list_leaves_its_names_out(put):
    sets = read_vocabularies(put(artists=ARTISTS), PRIORS)
    assert sets[Level.TOP].artists
    assert sets[Level.TOP].genres == ()


def test_the_tokenizers_settings_decide_the_set_of_each_level(put):
    settings = {"version": ["v2", "v3", "v2"]}
    sets = read_vocabularies(put(artists=ARTISTS, tokenizer_config=settings), PRIORS)
    assert [sets[level].style for level in TOP_DOWN] == [Style.V2, Style.V3, Style.V2]


def test_published_sizes_override_the_tokenizers_settings(put):
    priors = {Level.TOP: prior(artists=4_111, genres=120), Level.MIDDLE: prior(Level.MIDDLE, 7_898, 604)}
    sets = read_vocabularies(put(artists=ARTISTS, tokenizer_config={"version": ["v3", "v3", "v3"]}), priors)
    assert [names.style for names in sets.values()] == [Style.V2, Style.V3]


def test_v2_names_alone_need_no_suffix(put):
    settings = {"version": ["v2"] * 3}
    sets = read_vocabularies(put(artists={"ada": 1, "the_foos": 2}, tokenizer_config=settings), PRIORS)
    assert sets[Level.MIDDLE].artists == ("ada", "the_foos")


def test_names_of_a_plain_list_are_numbered(put):
    sets = read_vocabularies(put(genres=["none", "pop"]), PRIORS)
    assert sets[Level.TOP].found_genres(["Pop"]).ids == (1,)


def test_characters_of_a_file_are_in_the_order_of_their_ids(put):
    shuffled = {character: 79 - number for number, character in enumerate(V3, 1)}
    top = read_vocabularies(put(lyrics=shuffled), PRIORS)[Level.TOP]
    assert top.alphabet(79) == shuffled
    assert read_vocabularies(put(lyrics=LYRICS), PRIORS)[Level.TOP].alphabet(79)["A"] == 1


def test_an_unpublished_alphabet_may_leave_ids_out(put):
    lyrics = {"<unk>": 0, "b": 3, "a": 7, "c": 3}
    top = read_vocabularies(put(lyrics=lyrics), {Level.TOP: prior(alphabet=10)})[Level.TOP]
    assert top.alphabet(10) == {"a": 7, "b": 3, "c": 3}


def test_a_file_of_the_79_alphabet_serves_a_prior_of_80_characters(put):
    top = read_vocabularies(put(lyrics=LYRICS), {Level.TOP: prior(alphabet=80)})[Level.TOP]
    assert top.alphabet(80) == {character: number for number, character in enumerate(V2, 1)}


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"vocab": "{"}, "vocab.json is not JSON"),
        ({"vocab": DEEP}, "vocab.json is not JSON"),
        ({"vocab": "[]"}, "vocab.json is not a table"),
        ({"vocab": {"model": {}}}, "vocab.json holds no artists"),
        ({"vocab": {"artists": 3}}, "vocab.json holds no table of artists"),
        ({"artists": '{"a": 1' + "0" * 5_000 + "}"}, "artists.json is not JSON"),
        ({"artists": "7"}, "artists.json is not a table"),
        ({"artists": {"a": -1}}, "artists.json gives 'a' of the artists an invalid id"),
        ({"artists": {"a": True}}, "artists.json gives 'a' of the artists an invalid id"),
        ({"artists": {"a": 1.0}}, "artists.json gives 'a' of the artists an invalid id"),
        ({"artists": {"a": "1"}}, "artists.json gives 'a' of the artists an invalid id"),
        ({"artists": '{"\\ud800": 1}'}, "artists.json holds no table of artists"),
        ({"genres": {"a": 7}}, "genres in .* are not those of its top prior: it has ids up to 6, and 'a' has 7"),
        ({"artists": {"a.v2": 1, "a": 2, "b.v2": 9}}, "artists in .* not those of its middle prior"),
        ({"artists": ARTISTS, "tokenizer_config": {"version": ["v4", "v2", "v2"]}}, "version in .*tokenizer_config"),
        ({"artists": ARTISTS, "tokenizer_config": {"version": ["v2"]}}, "version in .*tokenizer_config"),
        ({"artists": ARTISTS, "tokenizer_config": {"version": 7}}, "version in .*tokenizer_config"),
        ({"artists": ARTISTS, "tokenizer_config": {"version": [[], {}, None]}}, "version in .*tokenizer_config"),
    ],
)
def test_an_invalid_word_list_is_refused_in_one_line(put, files, reason):
    with pytest.raises(BadModel, match=reason) as caught:
        read_vocabularies(put(**files), PRIORS)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_characters_beyond_the_alphabet_are_refused(put):
    with pytest.raises(BadModel, match="characters up to the id 12, and its prior up to 9"):
        read_vocabularies(put(lyrics={"a": 12}), {Level.TOP: prior(alphabet=10)})


def test_undecodable_folder_and_oversized_word_lists_are_refused(tmp_path):
    path = tmp_path / "vocab.json"
    path.write_bytes(b'{"artists": {"\xff": 1}}')
    with pytest.raises(BadModel, match="not UTF-8"):
        read_vocabularies(tmp_path, PRIORS)
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(BadModel, match=f"{LARGEST + 1} bytes"):
        read_vocabularies(tmp_path, PRIORS)
    path.unlink()
    path.mkdir()
    with pytest.raises(BadModel, match="not a regular file"):
        read_vocabularies(tmp_path, PRIORS)
