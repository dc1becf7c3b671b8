"""Timed lyrics in a model's characters, and the window of them that follows the times."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukectl.lyrics.timed import TimedLyrics, TimedWord
from jukectl.lyrics.tokens import spell_timed
from jukectl.lyrics.window import lyric_window

LETTERS = {character: number for number, character in enumerate("abcdefghijklmnopqrstuvwxyz \n", 1)}
RATE = 1_000


def sung(text, *words):
    """Lyrics of which parts, from one character to another, have a start and perhaps an end."""
    timed = (
        TimedWord(text[first:stop], start, *end, first=first)  # type: ignore[misc]  # `end` is of one number or none
        for first, stop, start, *end in words
    )
    return spell_timed(TimedLyrics(text, tuple(timed)), LETTERS, RATE)


def test_characters_are_spread_over_their_word_and_a_space_starts_at_its_end():
    found = sung("ab cd", (0, 2, 1.0, 2.0), (3, 5, 4.0, 5.0))
    assert found.ids == (1, 2, 27, 3, 4)
    assert found.onsets == (1_000, 1_500, 2_000, 4_000, 4_500)
    assert [(word.first, word.last, word.start, word.end) for word in found.words] == [
        (0, 1, 1_000, 2_000),
        (3, 4, 4_000, 5_000),
    ]


def test_a_word_without_an_end_lasts_until_the_next_begins():
    found = sung("ab cd", (0, 2, 1.0), (3, 5, 1.5, 2.5))
    assert found.onsets == (1_000, 1_250, 1_500, 1_500, 2_000)


def test_a_transliterated_letter_stays_within_the_time_of_its_word():
    found = sung("жа b", (0, 2, 1.0, 4.0), (3, 4, 5.0, 6.0))
    assert found.ids == (26, 8, 1, 27, 2)  # zha b
    assert found.onsets == (1_000, 2_000, 3_000, 4_000, 5_000)
    assert [(word.first, word.last) for word in found.words] == [(0, 2), (4, 4)]


def test_unknown_characters_are_reported_and_words_of_only_these_are_dropped():
    found = sung("a 7 b", (0, 1, 0.0), (2, 3, 1.0), (4, 5, 2.0))
    assert found.left_out == "7"
    assert [(word.first, word.last) for word in found.words] == [(0, 0), (3, 3)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.text("abcж7", min_size=1, max_size=5), st.floats(0, 5), st.floats(0, 9)), max_size=8))
def test_every_character_has_an_onset_and_onsets_never_decrease(parts):
    text, words, now = "", [], 0.0
    for word, gap, length in parts:
        now += gap
        words.append((len(text), len(text) + len(word), now, now + length))
        text += word + " "
        now += length
    found = sung(text, *words)
    assert len(found.onsets) == len(found.ids)
    assert all(one <= other for one, other in pairwise(found.onsets))


def test_a_timed_window_is_centred_on_the_character_sung_in_its_middle():
    lyrics, onsets = list(range(1, 101)), [0] * 40 + list(range(1_000, 1_060))  # forty at once, then one a sample

    def middle(offset):
        window = lyric_window(lyrics, 20, total_length=2_000, offset=offset, sample_length=10, onsets=onsets)
        assert [lyrics[place] for place in window.places] == window.ids.tolist()
        return window.places[10]

    assert middle(500) == 39  # long after the fortieth, long before the next
    assert middle(995) == 40  # 1,000 is its onset
    assert middle(1_015) == 60


def test_timed_lyrics_shorter_than_the_window_are_right_aligned():
    window = lyric_window([1, 2], 4, total_length=10, offset=5, sample_length=2, onsets=[0, 9])
    assert window.ids.tolist() == [0, 0, 1, 2]


def test_before_the_first_onset_the_window_begins_with_the_lyrics():
    window = lyric_window(range(1, 31), 10, total_length=99, offset=0, sample_length=2, onsets=range(50, 80))
    assert window.places.tolist() == list(range(10))


def test_each_character_needs_an_onset():
    with pytest.raises(ValueError, match="2 characters need as many onsets, got 1"):
        lyric_window([1, 2], 1, total_length=10, offset=0, sample_length=2, onsets=[0])
