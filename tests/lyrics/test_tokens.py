"""Lyrics to characters: the published alphabets, and what becomes of what they have not."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukectl.lyrics.tokens import V2, V3, LyricTokens, assumed_alphabet, published_alphabet, spell, spelling


def test_the_alphabet_of_the_published_5b_has_80_ids_in_their_order():
    alphabet = published_alphabet(80)
    assert list(alphabet.values()) == list(range(1, 80))
    assert "".join(alphabet) == ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,:;!?-+'\"()[] \t\n")


def test_the_alphabet_of_the_published_1b_has_no_plus_sign():
    assert "".join(published_alphabet(79)) == V3 == V2.replace("+", "")
    # as the port's documentation shows it
    assert spell("old town road", published_alphabet(79)).ids == (41, 38, 30, 76, 46, 41, 49, 40, 76, 44, 41, 27, 30)


@pytest.mark.parametrize(("size", "characters"), [(1, ""), (3, "AB"), (78, V2[:77]), (100, V2)])
def test_an_alphabet_of_another_size_is_a_prefix_of_the_longer_one(size, characters):
    assert published_alphabet(size) is None
    assert assumed_alphabet(size) == {one: number for number, one in enumerate(characters, 1)}


def written(text, size=80):
    """The text that the ids of a text stand for, and what was left out of it."""
    alphabet = published_alphabet(size)
    spelled = spell(text, alphabet)
    characters = {number: character for character, number in alphabet.items()}
    return "".join(characters[number] for number in spelled.ids), spelled.left_out


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("Oh, [no]! (3:45)\t", "Oh, [no]! (3:45)\t"),
        ("one\\two", "one\ntwo"),  # as published
        ("one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
        ("Füße, naïve café", "Fusse, naive cafe"),
        ("cafe\u0301", "cafe"),  # an accent that is a character of its own
        ("\u201cDon\u2019t\u2026\u201d \u2013 he said", '"Don\'t..." - he said'),
        ("жук", "zhuk"),
        ("漢字", "HanZi"),
        ("a\u00a0b", "a b"),
        ("", ""),
    ],
)
def test_characters_outside_the_alphabet_are_transliterated_to_latin(text, known):
    assert written(text) == (known, "")


def test_characters_without_transliteration_are_dropped_and_reported_once():
    assert written("a*b\u200bc*<d>") == ("abcd", "*\u200b<>")
    assert written("1+1", 79) == ("11", "+")
    assert written("so 😀\ufe0f x\u0302", 79) == ("so  x", "😀\ufe0f\u0302")  # nobody sings ":grinning:"
    assert written("1+1", 80) == ("1+1", "")


def test_characters_of_the_alphabet_stay_unchanged():
    assert spell("é\\e", {"é": 3, "\\": 4, "e": 5}) == LyricTokens((3, 4, 5))


def test_text_is_converted_to_the_case_of_the_alphabet_and_line_breaks_to_spaces():
    small = {character: number for number, character in enumerate("abcdefghijklmnopqrstuvwxyz ", 1)}
    spelled = spell("Oh\nÉté\tЖ\\x", small)
    characters = {number: character for character, number in small.items()}
    assert "".join(characters[number] for number in spelled.ids) == "oh ete zh x"
    assert spelled.left_out == ""


@settings(deadline=None)
@given(st.text())
def test_every_dropped_character_is_reported(text):
    """Each is itself, written otherwise, or told of; what is told of whole lyrics is told of each part."""
    alphabet = published_alphabet(79)
    parts = list(spelling(text, alphabet))
    assert all(written or character in spell(text, alphabet).left_out for character, written, _ in parts)
    assert sum(len(written) for _, written, _ in parts) == len(spell(text, alphabet).ids)
    assert "".join(character for character, *_ in parts) == unicodedata.normalize(
        "NFC", text.replace("\r\n", "\n").replace("\r", "\n")
    )


def test_the_warning_names_a_limited_number_of_dropped_characters():
    assert LyricTokens(left_out="*\u200b\u0302").remark == "*, U+200B, U+0302"
    assert LyricTokens(left_out="".join(map(chr, range(0x4E00, 0x4E20)))).remark.endswith(", 20 more")
    assert LyricTokens((1, 2)).remark == ""
