"""WebVTT of timed lyrics."""

from jukectl.lyrics.lrc import parse
from jukectl.lyrics.timed import TimedWord, timed_lines
from jukectl.lyrics.webvtt import write


def test_webvtt_has_a_cue_for_each_line_with_word_times():
    assert write(parse("[00:01.00]<00:01.00>Hear <00:01.50>me<00:02.25>\n[61:00.00]<61:00.00>again<61:00.50>")) == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.250\nHear <00:00:01.500>me\n\n01:01:00.000 --> 01:01:00.500\nagain\n"
    )


def test_markup_characters_are_escaped_in_webvtt():
    text = write(timed_lines([[TimedWord("<b>", 0.0, 1.0), TimedWord("R&B", 1.0, 2.0), TimedWord("-->", 2.0, 3.0)]]))
    assert text.endswith("&lt;b&gt; <00:00:01.000>R&amp;B <00:00:02.000>--&gt;\n")


def test_a_cue_ends_when_the_next_begins_and_is_never_empty():
    lines = write(parse("[00:01.00]a b c d e f g h\n[00:01.20]b\n[00:01.20]c")).splitlines()
    assert [line for line in lines if "-->" in line] == [
        "00:00:01.000 --> 00:00:01.200",
        "00:00:01.200 --> 00:00:01.300",
        "00:00:01.200 --> 00:00:01.700",
    ]


def test_webvtt_omits_guessed_word_times():
    assert "<" not in write(parse("[00:01.00]a b c\n[00:04.00]d"))


def test_lyrics_without_words_make_a_webvtt_file_without_cues():
    assert write(timed_lines([])) == "WEBVTT\n"
