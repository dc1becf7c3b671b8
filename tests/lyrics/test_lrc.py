"""LRC as users have it, and as it is written: times of lines and words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukectl.errors import BadInput
from jukectl.lyrics.lrc import parse, write
from jukectl.lyrics.timed import TimedLyrics, TimedWord, timed_lines


def words_of(lrc):
    """The words of a file with their starts."""
    return [(word.text, round(word.start, 6)) for word in parse(lrc).words]


def test_words_start_at_the_time_before_them_and_lines_end_at_a_closing_time():
    found = parse("[00:10.00]<00:10.00>Each <00:10.45>word <00:11.250>timed<00:12.00>\n[01:20.5]<01:20.5>again\n")
    assert found.text == "Each word timed\nagain"
    assert [(word.text, word.start, word.end) for word in found.words] == [
        ("Each", 10.0, None),
        ("word", 10.45, None),
        ("timed", 11.25, 12.0),
        ("again", 80.5, None),
    ]
    assert found.exact


def test_a_line_without_times_of_words_is_spread_evenly_until_the_next():
    found = parse("[00:10.00]abc de fgh\n[00:12.00]x")
    assert [(word.text, word.start, word.guessed) for word in found.words] == [
        ("abc", 10.0, False),
        ("de", 10.8, True),  # ten characters in two seconds
        ("fgh", 11.4, True),
        ("x", 12.0, False),
    ]
    assert not found.exact


def test_a_line_before_a_long_rest_does_not_extend_over_it():
    (_, second, _) = parse("[00:10.00]la la\n[02:00.00]later").words
    assert 10.5 < second.start < 12


def test_an_empty_line_ends_the_one_before():
    assert parse("[00:10.00]la\n[00:11.50]\n[02:00.00]later").words[0].end == 11.5


def test_times_within_a_word_do_not_split_it():
    found = parse("[00:01.00]<00:01.00>twin<00:01.50>kle <00:02.00> star")
    assert found.text == "twinkle star"
    assert [word.text for word in found.words] == ["twin", "kle", "star"]


def test_a_line_with_several_times_is_repeated_at_each():
    assert words_of("[00:10.00][01:00.00]<00:10.00>la <00:10.50>lu\n[00:30.00]verse") == [
        ("la", 10.0),
        ("lu", 10.5),
        ("verse", 30.0),
        ("la", 60.0),
        ("lu", 60.5),
    ]


def test_tags_are_skipped_and_a_positive_offset_makes_times_earlier():
    assert words_of("[ti:A: B]\r\n[ar: C]\r\n[#:note]\r\n[offset:+250]\r\n[00:10.00]la\r\n") == [("la", 9.75)]
    assert words_of("[00:10.00]la\n[offset:-1000]") == [("la", 11.0)]
    assert words_of("[00:00.10]la\n[offset:500]") == [("la", 0.0)]


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("00:01", 1.0),
        ("0:01.5", 1.5),
        ("00:01.25", 1.25),
        ("00:01,250", 1.25),
        ("00:01:25", 1.25),  # hundredths
        ("100:01.5", 6001.5),
        ("1:00:01.5", 3601.5),  # an hour
    ],
)
def test_times_are_read_in_every_notation_of_lrc(stamp, seconds):
    assert words_of(f"\ufeff[{stamp}]la") == [("la", seconds)]


@pytest.mark.parametrize(
    ("lrc", "named"),
    [
        ("[00:01.00]la\nlu", "line 2 has no time"),
        ("[00:61.00]la", "line 1"),
        ("[1:70:01.00]la", "line 1"),
        ("[00:01.00]<00:03.00>la <00:02.00>lu", "line 1: the times of its words go back"),
        ("[00:01.00]la\n[offset:soon]", "line 2: an offset"),
        ("1\n00:00:01,000 --> 00:00:02,000\nla", "line 1 has no time"),
    ],
)
def test_a_line_that_cannot_be_parsed_is_named(lrc, named):
    with pytest.raises(BadInput, match=named):
        parse(lrc)


def test_overlapping_lines_keep_their_start_times():
    found = parse("[00:10.00]<00:10.00>one <00:15.00>long\n[00:12.00]<00:12.00>two")
    assert [(word.text, word.start) for word in found.words] == [("one", 10.0), ("long", 12.0), ("two", 12.0)]


@pytest.mark.parametrize("text", ["", "\n\n", "[ti:nothing]\n", "[00:10.00]\n"])
def test_lrc_without_words_is_accepted(text):
    assert parse(text) == TimedLyrics("")


PARTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=8).filter(
    str.strip
)
LINES = st.lists(
    st.lists(st.tuples(PARTS, st.floats(0, 3), st.none() | st.floats(0, 3)), min_size=1, max_size=5), max_size=5
)


def sung(lines):
    """Words one after the other, each a while after the one before, with an end or none."""
    now, found = 0.0, []
    for line in lines:
        found.append([])
        for text, wait, length in line:
            now += wait
            found[-1].append(TimedWord(text, now, None if length is None else now + length))
            now += length or 0.0
    return timed_lines(found)


@pytest.mark.parametrize("decimals", [2, 3])
@settings(deadline=None)
@given(LINES)
def test_written_lrc_is_read_back_to_the_last_decimal(decimals, lines):
    lyrics = sung(lines)
    try:
        written = write(lyrics, decimals=decimals)
    except BadInput:
        assert "<" in lyrics.text or "[" in lyrics.text
        return
    again = parse(written)
    step = 0.51 / 10**decimals
    assert again.text == lyrics.text
    assert [word.text for word in again.words] == [word.text for word in lyrics.words]
    for found, told, end, over in zip(again.words, lyrics.words, again.ends(), lyrics.ends(), strict=True):
        assert abs(found.start - told.start) <= step
        assert abs(end - over) <= 4 * step  # one that is left out follows from starts
        assert not found.guessed
    assert write(again, decimals=decimals) == written


def test_words_that_look_like_times_are_refused_when_writing_lrc():
    with pytest.raises(BadInput, match="a time in it already"):
        write(timed_lines([[TimedWord("<00:01.00>", 1.0)]]))


def test_lines_without_word_times_are_written_with_line_times_only():
    lrc = "[00:10.00]abc de fgh\n[00:12.00]x\n"
    assert write(parse(lrc)) == lrc


@settings(deadline=None)
@given(st.text(st.sampled_from("[]<>:.,0159 \n\rofset+-a\ufeff"), max_size=60))
def test_any_text_is_parsed_or_refused_with_one_clear_error(text):
    try:
        found = parse(text)
    except BadInput as error:
        assert str(error).startswith("line ")
    else:
        assert parse(write(found)).text == found.text


@pytest.mark.parametrize(
    "tags",
    [
        "[ti:Song [Live]]",
        "[ar:A][ti:B]",
        "[offset:]",
        "[offset: ]",
        "[x-y:1]",
        "[re:www.megalobiz.com/lrc/maker] ",
        "[#:a note]",
    ],
)
def test_tags_other_than_an_offset_are_skipped(tags):
    assert words_of(f"{tags}\n[00:01.00]Hi") == [("Hi", 1.0)]


def test_an_offset_among_other_tags_counts():
    assert words_of("[ar:A][offset:+250]\n[00:01.00]Hi") == [("Hi", 0.75)]
