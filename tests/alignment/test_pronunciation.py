"""Letters to sounds, by rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukectl.alignment.pronunciation import sounds

VOWELS = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}
CONSONANTS = {*"BDFGKLMNPRSTVWYZ", "CH", "DH", "HH", "JH", "NG", "SH", "TH", "ZH"}
PHONES = VOWELS | CONSONANTS
"""Those of the CMU dictionary."""


@pytest.mark.parametrize(
    ("word", "said"),
    {
        "shake": "SH EY K",
        "zingle": "Z IH N G AH L",
        "flickering": "F L IH K ER IH NG",
        "knoll": "N OW L",
        "thrum": "TH R AH M",
        "lune": "L UW N",
        "2": "T UW",
        "the": "TH EH",  # no ending without a vowel before it
    }.items(),
)
def test_words_are_near_how_they_are_said(word, said):
    assert " ".join(sounds(word)) == said


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789'", max_size=12))
def test_all_phonemes_exist_in_the_aligner_and_only_apostrophes_have_none(word):
    found = sounds(word)
    assert set(found) <= PHONES
    assert bool(found) == bool(word.replace("'", ""))
