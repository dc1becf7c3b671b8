"""Runs of codes shared with songs: against a search by hand, over small alphabets where everything repeats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukectl.codes.overlap import Match, OverlapIndex, suffix_order


def codes(length: int = 30):
    """Sequences of few different codes, and those in which one code fills a run."""
    chance = st.integers(1, 4).flatmap(lambda kinds: st.lists(st.integers(0, kinds - 1), max_size=length))
    held = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), max_size=6).map(
        lambda runs: [code for code, times in runs for _ in range(times)]
    )
    return (chance | held).map(lambda values: np.array(values, np.uint16))


def longest_from(query: np.ndarray, place: int, songs: list[np.ndarray]) -> int:
    """How long a run of the query from a place on some song holds, by looking for each length in each song."""
    texts = ["".join(map(chr, song)) for song in songs]
    asked = "".join(map(chr, query[place:]))
    return max(
        length for length in range(len(asked) + 1) if length == 0 or any(asked[:length] in text for text in texts)
    )


@given(st.lists(codes(), max_size=5), codes())
def test_every_place_of_a_query_has_the_longest_run_that_a_search_by_hand_finds(songs, query):
    runs = OverlapIndex(songs).runs(query)
    assert runs.lengths.tolist() == [longest_from(query, place, songs) for place in range(len(query))]
    for place, (length, song, start) in enumerate(zip(runs.lengths, runs.songs, runs.starts, strict=True)):
        if length:
            assert songs[song][start : start + length].tolist() == query[place : place + length].tolist()


@given(st.lists(codes(), min_size=1, max_size=4), codes(), st.integers(1, 12))
def test_coverage_is_the_share_of_runs_that_some_song_holds(songs, query, length):
    known = {tuple(song[at : at + length]) for song in songs for at in range(len(song) - length + 1)}
    asked = [tuple(query[at : at + length]) for at in range(len(query) - length + 1)]
    share = OverlapIndex(songs).runs(query).coverage(length)
    assert share == (pytest.approx(np.mean([run in known for run in asked])) if asked else None)


@given(codes(60))
def test_suffixes_are_in_the_order_of_python_lists(text):
    values = text.tolist()
    assert suffix_order(text).tolist() == sorted(range(len(values)), key=lambda place: values[place:])


def test_a_planted_copy_is_found_where_it_lies():
    generator = np.random.default_rng(0)
    songs = [generator.integers(2_048, size=20_000).astype(np.uint16) for _ in range(10)]
    query = generator.integers(2_048, size=3_000).astype(np.uint16)
    query[700:1_450] = songs[6][12_345:13_095]
    assert OverlapIndex(songs).longest(query) == Match(length=750, query_start=700, song=6, song_start=12_345)


def test_a_run_does_not_continue_from_one_song_into_the_next():
    songs = [np.array([1, 2, 3]), np.array([4, 5, 6])]
    assert OverlapIndex(songs).longest(np.array([2, 3, 4, 5])).length == 2


def test_silence_and_whole_songs_that_come_twice_take_no_longer_than_music():
    generator = np.random.default_rng(0)
    song = generator.integers(2_048, size=30_000)
    song[5_000:15_000] = 7  # ten thousand times the same code
    index = OverlapIndex([song, song[::-1], song])
    found = index.longest(np.concatenate([song[100:200], song[4_000:16_000]]))
    assert (found.length, found.query_start, found.song_start) == (12_000, 100, 4_000)


def test_songs_may_be_mapped_from_a_file_and_use_every_value_of_uint16(tmp_path):
    np.save(tmp_path / "song.npy", np.arange(65_536, dtype=np.uint16)[::-1])
    song = np.load(tmp_path / "song.npy", mmap_mode="r")
    found = OverlapIndex([song]).longest(np.array([0, 65_535, 65_534, 65_533], np.uint16))
    assert found == Match(length=3, query_start=1, song=0, song_start=0)


@pytest.mark.parametrize("songs", [[], [np.zeros(0, np.uint16)]], ids=["no song", "an empty song"])
def test_nothing_to_share_is_a_run_of_zero(songs):
    index = OverlapIndex(songs)
    assert index.longest(np.array([1, 2, 3])).length == 0
    assert index.longest(np.zeros(0, np.uint16)).length == 0
