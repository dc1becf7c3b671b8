"""The words of a text, and which of a model's characters each of them is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from jukectl.prior.lyrics import spell

_WORD = re.compile(r"[^\s\\]+")  # a backslash is a new line, see `spell`


@dataclass(frozen=True)
class SpelledWord:
    """A word of a text that a model can read something of."""

    text: str
    start: int  # place of its first character in the text
    first: int  # place of its first id among those of the whole text
    last: int  # and of its last


def words_of(text: str, alphabet: Mapping[str, int]) -> list[SpelledWord]:
    """The words of a text whose lines end in line feeds, those apart that no character of is in the alphabet."""
    words, place, ids = [], 0, 0
    for found in _WORD.finditer(text):
        ids += len(spell(text[place : found.start()], alphabet).ids)
        count = len(spell(found[0], alphabet).ids)
        if count:
            words.append(SpelledWord(found[0], found.start(), ids, ids + count - 1))
        place, ids = found.end(), ids + count
    return words
