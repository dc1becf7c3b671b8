"""Words in a text, with times."""

import pytest

from jukectl.lyrics.timed import TimedLyrics, TimedWord, timed_lines


def test_timed_words_have_their_position_in_the_text():
    lyrics = timed_lines([[TimedWord("a", 0.0), TimedWord("bc", 1.0)], [TimedWord("d", 2.0)]])
    assert lyrics.text == "a bc\nd"
    assert [lyrics.text[word.first : word.stop] for word in lyrics.words] == ["a", "bc", "d"]
    assert [[word.text for word in words] for _, _, words in lyrics.lines()] == [["a", "bc"], ["d"]]


@pytest.mark.parametrize(
    "words",
    [
        (TimedWord("b", 0.0, first=0),),  # elsewhere
        (TimedWord("", 0.0),),
        (TimedWord("a b", 0.0, 1.0), TimedWord("b", 1.0, first=2)),  # twice
        (TimedWord("a", 1.0), TimedWord("b", 0.5, first=2)),
        (TimedWord("a", 0.0, 1.0), TimedWord("b", 0.5, first=2)),  # before the first is over
        (TimedWord("a", -1.0),),
        (TimedWord("a", float("nan")),),
        (TimedWord("a", 1.0, 0.5),),
    ],
)
def test_words_out_of_place_or_order_are_refused(words):
    with pytest.raises(ValueError, match=r"is not in|cannot be sung|comes before"):
        TimedLyrics("a b", words)


def test_a_word_without_an_end_lasts_until_the_next_or_for_a_limited_time():
    lyrics = timed_lines([[TimedWord("abc", 0.0), TimedWord("d", 0.5), TimedWord("e", 100.0, 101.0)]])
    assert lyrics.ends() == (0.5, 1.0, 101.0)
    assert lyrics.last == 101.0


def test_words_moved_before_zero_start_at_zero():
    lyrics = timed_lines([[TimedWord("a", 1.0, 2.0), TimedWord("b", 3.0)]]).shifted(-2.5)
    assert [(word.start, word.end) for word in lyrics.words] == [(0.0, 0.0), (0.5, None)]
