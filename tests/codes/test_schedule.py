"""Schedules: read from a file of their own or from song.toml, first to last, and refused with a reason."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukectl.codes import recipe_toml
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import LevelSampling, ModelRef, Recipe
from jukectl.codes.schedule import SETTINGS, Change, in_order, parse_schedule, since
from jukectl.errors import BadInput, NotASong

DUET = """
[[change]]
at = 31.5
artist = "Björk B."
genre = ["Jazz", "Ambient"]
temperature = 0.9
lyrics_line = 5

[[change]]
at = 12
artist = ""
genre = "Jazz:0.5+Ambient:0.5"
guidance = { top = 1.5 }
top_k = { middle = 9, bottom = 0 }
lyrics_at = 3
"""

numbers = st.floats(0, 1e6, allow_nan=False)
changes = st.builds(
    Change,
    at=numbers,
    artist=st.text(max_size=9),
    genres=st.none() | st.lists(st.text(min_size=1, max_size=9).filter(str.strip), max_size=3).map(tuple),
    settings=st.dictionaries(
        st.sampled_from(SETTINGS), st.dictionaries(st.sampled_from(TOP_DOWN), numbers, min_size=1), max_size=3
    ),
    lyrics_at=st.none() | numbers,
)
schedules = st.lists(changes, max_size=4, unique_by=lambda change: change.at).map(tuple)


def make(**changed):
    values = {
        "kind": "sample",
        "version": "0.1.0",
        "model": ModelRef(name="mini"),
        "seed": 1,
        "samples": 1,
        "seconds": 20,
        "song_seconds": 20,
        "sampling": dict.fromkeys(TOP_DOWN, LevelSampling()),
    }
    return Recipe(**{**values, **changed})


def test_a_file_is_its_changes_from_the_first_to_the_last():
    first, second = parse_schedule(DUET, "duet.toml")
    assert first == Change(
        at=12.0,
        artist="",
        genres=("Jazz:0.5+Ambient:0.5",),
        settings={"guidance": {Level.TOP: 1.5}, "top_k": {Level.MIDDLE: 9.0, Level.BOTTOM: 0.0}},
        lyrics_at=3.0,
    )
    assert second == Change(
        at=31.5,
        artist="Björk B.",
        genres=("Jazz", "Ambient"),
        settings={"temperature": dict.fromkeys(TOP_DOWN, 0.9)},
        lyrics_line=5,
    )


@given(schedules)
@settings(deadline=None)  # a busy machine takes its time to write TOML
def test_a_recipe_keeps_its_schedule_exactly(schedule):
    recipe = make(schedule=schedule)
    assert recipe_toml.loads(recipe_toml.dumps(recipe), "song.toml") == recipe
    assert recipe.schedule == in_order(schedule)


def test_a_recipe_without_one_is_written_as_before():
    text = recipe_toml.dumps(make())
    assert not any(word in text for word in ("schedule", "start_at", "guidance"))
    assert recipe_toml.loads(text, "song.toml") == make()


def test_a_recipe_says_where_in_its_song_a_piece_begins_and_how_strongly_labels_count():
    recipe = make(start_at=31, sampling={level: LevelSampling(guidance=1.5) for level in TOP_DOWN})
    assert recipe_toml.loads(recipe_toml.dumps(recipe), "song.toml") == recipe
    assert recipe.differences(make()) == [
        "start_at: 31.0 here, none asked",
        *(f"sampling.{level.label}.guidance: 1.5 here, 1.0 asked" for level in TOP_DOWN),
    ]


def test_recipes_with_other_changes_differ():
    recipe = make(schedule=parse_schedule(DUET, "duet.toml"))
    assert recipe.differences(recipe) == []
    (line,) = recipe.differences(make())
    assert line.startswith("schedule: 12 s: artist='' genre=['Jazz:0.5+Ambient:0.5'] ")
    assert line.endswith("none asked")
    (line,) = recipe.differences(replace(recipe, schedule=recipe.schedule[:1]))
    assert "31.5 s" in line


def test_an_invalid_change_in_song_toml_names_its_key():
    text = recipe_toml.dumps(make(schedule=(Change(at=3, artist="Ada"),))).replace('artist = "Ada"', "artist = 3")
    with pytest.raises(NotASong, match=r"schedule\[0\]\.artist must be text, got 3"):
        recipe_toml.loads(text, "song.toml")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no changes"),
        ("change = 3", "change must be a list, got 3"),
        ("at = 3", "at is not known; known are change"),
        ("[[change]", "is no TOML"),
        ("[[change]]\nartist = 'Ada'", r"change\[0\].at is missing"),
        ("[[change]]\nat = 3", "the change at 3 s changes nothing"),
        ("[[change]]\nat = -1\nartist = 'Ada'", "at must be 0 to"),
        ("[[change]]\nat = nan\nartist = 'Ada'", "at must be a number"),
        ("[[change]]\nat = '3'\nartist = 'Ada'", "at must be a number"),
        ("[[change]]\nat = true\nartist = 'Ada'", "at must be a number"),
        ("[[change]]\nat = 3\nartists = 'Ada'", "artists is not known; known are artist, at, genre"),
        ("[[change]]\nat = 3\ngenre = [1]", r"genre\[0\] must be text"),
        ("[[change]]\nat = 3\ntemperature = 'hot'", "temperature: a setting is a number"),
        ("[[change]]\nat = 3\ntemperature = {upper = 1}", "no level is called 'upper'"),
        ("[[change]]\nat = 3\nlyrics_line = 0", "lyrics_line must be a line from 1"),
        ("[[change]]\nat = 3\nlyrics_line = 1.5", "lyrics_line must be a whole number"),
        ("[[change]]\nat = 3\nlyrics_line = 2\nlyrics_at = 2", "lyrics_line must be left out beside lyrics_at"),
        ("[[change]]\nat = 3\nartist = 'A'\n[[change]]\nat = 3.0\nartist = 'B'", "two changes are at 3 s"),
    ],
)
def test_a_file_that_is_not_a_schedule_is_refused_in_one_line(text, reason):
    with pytest.raises(BadInput, match=f"^duet.toml.*{reason}") as raised:
        parse_schedule(text, "duet.toml")
    assert "\n" not in str(raised.value).strip()


@given(st.text(max_size=40))
def test_any_text_is_a_schedule_or_refused(text):
    with pytest.raises(BadInput):
        parse_schedule(f"{text}\n", "duet.toml")


def test_a_schedule_from_a_later_second_begins_with_the_sum_of_earlier_changes():
    changes = (
        Change(at=1, artist="Ada", settings={"temperature": {Level.TOP: 0.5, Level.MIDDLE: 0.6}}, lyrics_at=10),
        Change(at=2, genres=(), settings={"temperature": {Level.TOP: 0.7}, "top_k": {Level.TOP: 3}}),
        Change(at=5, artist=""),
    )
    assert since(changes, 0) == changes
    first, second = since(changes, 3)
    assert (first.at, first.artist, first.genres, first.lyrics_at) == (0, "Ada", (), 12)
    assert first.settings == {"temperature": {Level.TOP: 0.7, Level.MIDDLE: 0.6}, "top_k": {Level.TOP: 3}}
    assert second == Change(at=2, artist="")
    assert since(changes, 5)[0].artist == ""
    assert since((), 5) == ()
