"""Lyrics as a prior reads them: a text to the ids of its characters. No tensors."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase, digits

from jukectl.lyrics.timed import TimedLyrics

UNKNOWN = 0
"""The id of no character: what stands where there are no lyrics."""

_PICTURE = re.compile(r":\w[\w+-]*:")  # as anyascii writes emoji

NAMED = 12
"""Characters left out that a remark names."""

V2 = ascii_uppercase + ascii_lowercase + digits + ".,:;!?-+'\"()[] \t\n"
"""The characters of the published 5b-lyrics, of which the first has the id 1."""

V3 = V2.replace("+", "")
"""Those of the published 1b-lyrics."""


@dataclass(frozen=True)
class Spelled:
    """A text in a model's characters."""

    ids: tuple[int, ...]
    left_out: str = ""  # characters of the text that have no place in it, each once

    @property
    def remark(self) -> str:
        """What to tell a user of the characters left out; empty where all are there."""
        named = [shown(one) for one in self.left_out]
        more = [f"{len(named) - NAMED} more"] if len(named) > NAMED else []
        return ", ".join(named[:NAMED] + more)


def published_alphabet(size: int) -> dict[str, int] | None:
    """The characters of the published model with so many ids, `UNKNOWN` among them, each with its id; else None."""
    for characters in (V2, V3):
        if size == len(characters) + 1:
            return _numbered(characters)
    return None


def assumed_alphabet(size: int) -> dict[str, int]:
    """The characters of a model that does not tell which: a published one's, or as many of the longer as it has ids."""
    return published_alphabet(size) or _numbered(V2[: size - 1])


def _numbered(characters: str) -> dict[str, int]:
    return {character: number for number, character in enumerate(characters, 1)}


def shown(character: str) -> str:
    """A character for a reader: itself, or its number where it cannot be seen or would stand on another one."""
    visible = character.isprintable() and not unicodedata.category(character).startswith("M")
    return character if visible else f"U+{ord(character):04X}"


def spell(text: str, alphabet: Mapping[str, int]) -> Spelled:
    """The ids of a text's characters in an alphabet.

    As published: a backslash is a new line, and what the alphabet has not is written in the nearest Latin letters
    (é as e, ж as zh). Beyond that, an alphabet of one case is told that case, and one without new lines or tabs spaces.
    What it still has not is left out, and so are pictures (emoji), whose names nobody sings.
    """
    ids: list[int] = []
    left_out: dict[str, None] = {}
    for character, written, whole in spelling(text, alphabet):
        if not whole:
            left_out[character] = None
        ids += (alphabet[one] for one in written)
    return Spelled(tuple(ids), "".join(left_out))


def spelling(text: str, alphabet: Mapping[str, int]) -> Iterator[tuple[str, str, bool]]:
    """Each character of a text, what is written for it in the alphabet, and whether that is all of it."""
    for character in unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")):
        written = _written(character, alphabet)
        known = "".join(one for one in written if one in alphabet)
        yield character, known, bool(known) and known == written


def _written(character: str, alphabet: Mapping[str, int]) -> str:
    """A character as the alphabet may have it."""
    if character in alphabet:
        return character
    if character == "\\":
        return _written("\n", alphabet)
    if character in "\n\t":
        return " "
    from anyascii import anyascii  # here, since most lyrics need none of its tables

    written = anyascii(character)
    if _PICTURE.fullmatch(written):
        return ""
    return "".join(next((way for way in (one, one.lower(), one.upper()) if way in alphabet), one) for one in written)


@dataclass(frozen=True)
class SungWord:
    """A word in a model's characters, and when it is sung, in audio samples."""

    first: int  # place of its first character among the ids
    last: int  # of its last
    start: int
    end: int


@dataclass(frozen=True)
class Sung:
    """The characters of timed lyrics as a model reads them."""

    ids: tuple[int, ...]
    onsets: tuple[int, ...]  # when each begins, in audio samples, never falling
    words: tuple[SungWord, ...]  # those that have characters in the alphabet
    left_out: str = ""  # characters of the text that have no place in the alphabet, each once


def spell_sung(timed: TimedLyrics, alphabet: Mapping[str, int], sample_rate: int) -> Sung:
    """The ids of the characters of timed lyrics, and when each begins.

    Inside a word characters are spread evenly. What stands between words, such as a space, begins where the word before
    it ends; what stands before the first, where that begins.
    """
    ids: list[int] = []
    onsets: list[int] = []
    words: list[SungWord] = []
    left_out: dict[str, None] = {}

    def read(part: str, start: float, end: float) -> int:
        """Add a part of the text, sung evenly from start to end; how many characters it has in the alphabet."""
        spelled = spell(part, alphabet)
        count = len(spelled.ids)
        ids.extend(spelled.ids)
        onsets.extend(round((start + (end - start) * one / count) * sample_rate) for one in range(count))
        left_out.update(dict.fromkeys(spelled.left_out))
        return count

    place, now = 0, timed.words[0].start if timed.words else 0.0
    for word, end in zip(timed.words, timed.ends(), strict=True):
        read(timed.text[place : word.first], now, now)
        first = len(ids)
        if read(word.text, word.start, end):
            words.append(SungWord(first, len(ids) - 1, round(word.start * sample_rate), round(end * sample_rate)))
        place, now = word.stop, end
    read(timed.text[place:], now, now)
    return Sung(tuple(ids), tuple(onsets), tuple(words), "".join(left_out))


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
