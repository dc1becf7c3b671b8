"""Words and their ids, against the ids of the whole text."""

from hypothesis import given, settings
from hypothesis import strategies as st

from jukectl.lyrics.tokens import V3, spell, words_of

ALPHABET = {character: number for number, character in enumerate(V3, 1)}


def test_words_have_their_positions_in_the_text_and_the_token_ids():
    words = words_of("Žofie,\n zpívá\\dál …", ALPHABET)
    assert [(word.text, word.start, word.first, word.last) for word in words] == [
        ("Žofie,", 0, 0, 5),
        ("zpívá", 8, 8, 12),
        ("dál", 14, 14, 16),
        ("…", 18, 18, 20),  # three dots
    ]


def test_a_word_of_unknown_characters_is_dropped():
    assert [word.text for word in words_of("la \u200b la", ALPHABET)] == ["la", "la"]


@settings(deadline=None)  # the first letter of another script loads tables
@given(st.text(st.sampled_from("ab é e\u0301 жß漢🎵\u200b'\\\n\t-ﬁ"), max_size=30))
def test_token_ids_of_words_are_those_of_the_whole_text(text):
    ids = spell(text, ALPHABET).ids
    words = words_of(text, ALPHABET)
    assert all(ids[word.first : word.last + 1] == spell(word.text, ALPHABET).ids for word in words)
    assert all(text[word.start :].startswith(word.text) for word in words)
    spaces = {ALPHABET[one] for one in " \n\t"}
    told = {place for word in words for place in range(word.first, word.last + 1)}
    assert all(ids[place] in spaces for place in set(range(len(ids))) - told)
