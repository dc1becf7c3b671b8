"""The words of a whole song, with an aligner that finds bursts of sound and can be told to fail."""

import numpy as np
import pytest

from jukectl.alignment.song import align_lines, align_text, loud_frames
from jukectl.alignment.sphinx import Span
from jukectl.lyrics.lrc import parse

RATE = 1_000


class Bursts:
    """Takes each burst of sound for a word; no way through where their numbers differ or words are too many."""

    sample_rate = RATE

    def __init__(self, most=99):
        self.most = most
        self.asked = []

    def can_say(self, word):
        return word.isalpha()

    def unsure(self, words):
        return tuple(word for word in words if word.startswith("x"))

    def align(self, samples, words):
        self.asked.append(list(words))
        edges = np.flatnonzero(np.diff(np.concatenate([[0], samples != 0, [0]]).astype(int))) / RATE
        if len(words) > self.most or len(edges) != 2 * len(words):
            return None
        return [Span(*span) for span in edges.reshape(-1, 2)]


def song(*bursts, seconds=10.0):
    """A recording that sounds from and to the seconds given."""
    samples = np.zeros(int(seconds * RATE), dtype=np.float32)
    for start, end in bursts:
        samples[int(start * RATE) : int(end * RATE)] = 0.5
    return samples


def silent(done, total):
    """A watch that nobody reads."""


def times(found):
    return [(word.text, round(word.start, 3), round(word.end, 3)) for word in found.lyrics.words]


def test_a_song_is_aligned_at_one_go_where_there_is_a_way():
    aligner, watched = Bursts(), []
    found = align_text(song((1, 2), (3, 4), (6, 7)), RATE, "one two\r\nxix\n", aligner, lambda *at: watched.append(at))
    assert found.lyrics.text == "one two\nxix"
    assert times(found) == [("one", 1, 2), ("two", 3, 4), ("xix", 6, 7)]
    assert found.lyrics.exact
    assert found.unsure == ("xix",)
    assert aligner.asked == [["one", "two", "xix"]]
    assert watched == [(3, 3)]


def test_headings_and_words_without_sound_have_no_times_and_are_reported():
    found = align_text(song((1, 2), (3, 4)), RATE, "[Verse 1]\none - two\n\n[Chorus]\n", Bursts(), silent)
    assert found.lyrics.text == "one - two"
    assert [word.text for word in found.lyrics.words] == ["one", "two"]
    assert found.left_out == ("[Verse 1]", "[Chorus]", "-")


def test_a_song_that_cannot_be_aligned_is_split_at_its_longest_pause_between_lines():
    aligner = Bursts(most=2)
    samples = song((0.5, 1), (1.2, 1.7), (5, 5.5), (5.7, 6.2))
    found = align_text(samples, RATE, "ab cd\nef gh", aligner, silent)
    assert times(found) == [("ab", 0.5, 1), ("cd", 1.2, 1.7), ("ef", 5, 5.5), ("gh", 5.7, 6.2)]
    assert aligner.asked == [["ab", "cd", "ef", "gh"], ["ab", "cd"], ["ef", "gh"]]
    assert found.lyrics.exact


def test_words_that_cannot_be_aligned_are_spread_over_loud_parts_and_marked_as_guessed():
    found = align_text(song((2, 4), (6, 8)), RATE, "a b c d", Bursts(most=0), silent)
    assert [word.guessed for word in found.lyrics.words] == [True] * 4
    assert [word.start for word in found.lyrics.words] == pytest.approx([2, 3, 6, 7], abs=0.05)


def test_silence_and_empty_lyrics_are_accepted():
    assert len(align_text(song(), RATE, "one two three four", Bursts(), silent).lyrics.words) == 4
    assert align_text(song(seconds=0), RATE, "one two", Bursts(), silent).lyrics.words[0].start == 0
    assert align_text(song((1, 2)), RATE, "[Intro]\n- -\n", Bursts(), silent).lyrics.words == ()


def test_words_of_timed_lines_are_looked_for_near_their_lines():
    lyrics = parse("[00:01.00]one two\n[00:06.00]three - four\n")
    aligner = Bursts()
    found = align_lines(song((1.1, 2), (3, 4), (6.3, 6.5), (7, 8)), RATE, lyrics, aligner, silent)
    assert times(found) == [("one", 1.1, 2), ("two", 3, 4), ("three", 6.3, 6.5), ("four", 7, 8)]
    assert aligner.asked == [["one", "two"], ["three", "four"]]
    assert found.lyrics.text == lyrics.text
    assert found.left_out == ("-",)


def test_words_of_neighbouring_lines_stay_in_order():
    lyrics = parse("[00:01.00]one\n[00:01.30]two\n")  # each hears the other's in its margin
    found = align_lines(song((1.0, 1.5)), RATE, lyrics, Bursts(), silent)
    one, two = found.lyrics.words
    assert one.start <= two.start
    assert one.end <= two.start


def test_loud_frames_are_at_most_30_db_below_the_loudest():
    samples = np.concatenate([np.full(100, level, dtype=np.float32) for level in (1.0, 0.04, 0.02, 0.0)])
    assert loud_frames(samples, RATE).reshape(4, 5).all(axis=1).tolist() == [True, True, False, False]
