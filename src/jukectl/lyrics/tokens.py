"""Lyrics as a prior reads them: a text to the ids of its characters. No tensors."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase, digits

from jukectl.lyrics.timed import TimedLyrics
from jukectl.lyrics.value import Lyrics

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
class TokenWord:
    """A word of timed lyrics in a model's characters. Times in audio samples."""

    first: int  # index of its first token
    last: int  # and of its last
    start: int
    end: int


@dataclass(frozen=True)
class LyricTokens:
    """Lyrics in a model's characters, of which each is a token. Times in audio samples."""

    ids: tuple[int, ...] = ()
    onsets: tuple[int, ...] | None = None  # start of each token, never falling; None: spread evenly over the song
    words: tuple[TokenWord, ...] = ()  # those with times and at least one token
    left_out: str = ""  # characters of the text that the model does not have, each once

    @property
    def remark(self) -> str:
        """The characters left out, for a message; empty if there are none."""
        named = [shown(one) for one in self.left_out]
        more = [f"{len(named) - NAMED} more"] if len(named) > NAMED else []
        return ", ".join(named[:NAMED] + more)


NO_LYRICS = LyricTokens()
"""Of an instrumental."""


def published_alphabet(size: int) -> dict[str, int] | None:
    """Return the alphabet of the published model with that many ids (`UNKNOWN` included), or None."""
    for characters in (V2, V3):
        if size == len(characters) + 1:
            return _numbered(characters)
    return None


def assumed_alphabet(size: int) -> dict[str, int]:
    """Return the alphabet of a model without one: a published one, or the first characters of the longer."""
    return published_alphabet(size) or _numbered(V2[: size - 1])


def _numbered(characters: str) -> dict[str, int]:
    return {character: number for number, character in enumerate(characters, 1)}


def shown(character: str) -> str:
    """Return a printable form of a character: itself, or its code point if invisible or combining."""
    visible = character.isprintable() and not unicodedata.category(character).startswith("M")
    return character if visible else f"U+{ord(character):04X}"


def tokens_of(lyrics: Lyrics, alphabet: Mapping[str, int], sample_rate: int) -> LyricTokens:
    """Return the tokens of lyrics, with their onsets where the lyrics have times."""
    return spell(lyrics.text, alphabet) if lyrics.timed is None else spell_timed(lyrics.timed, alphabet, sample_rate)


def spell(text: str, alphabet: Mapping[str, int]) -> LyricTokens:
    """Return a text's characters as tokens of an alphabet, without times.

    As published: a backslash is a new line, and characters outside the alphabet are transliterated to Latin letters
    (é as e, ж as zh). Beyond that, text is converted to the only case of an alphabet, and new lines or tabs that it
    lacks to spaces. Other characters are left out, and so are emoji, whose names are not sung.
    """
    ids: list[int] = []
    left_out: dict[str, None] = {}
    for character, written, whole in spelling(text, alphabet):
        if not whole:
            left_out[character] = None
        ids += (alphabet[one] for one in written)
    return LyricTokens(tuple(ids), left_out="".join(left_out))


def spelling(text: str, alphabet: Mapping[str, int]) -> Iterator[tuple[str, str, bool]]:
    """Yield each character of a text, its transliteration in the alphabet, and True if that is complete."""
    for character in unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")):
        written = _written(character, alphabet)
        known = "".join(one for one in written if one in alphabet)
        yield character, known, bool(known) and known == written


def _written(character: str, alphabet: Mapping[str, int]) -> str:
    """Return a character in a form that the alphabet contains."""
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


def spell_timed(timed: TimedLyrics, alphabet: Mapping[str, int], sample_rate: int) -> LyricTokens:
    """Return the characters of timed lyrics as tokens with onsets.

    Characters of a word are spread evenly over its time. Characters between words, such as a space, begin where the
    word before them ends; those before the first word begin with it.
    """
    ids: list[int] = []
    onsets: list[int] = []
    words: list[TokenWord] = []
    left_out: dict[str, None] = {}

    def read(part: str, start: float, end: float) -> int:
        """Add a part of the text, sung evenly from start to end; return the number of its tokens."""
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
            words.append(TokenWord(first, len(ids) - 1, round(word.start * sample_rate), round(end * sample_rate)))
        place, now = word.stop, end
    read(timed.text[place:], now, now)
    return LyricTokens(tuple(ids), tuple(onsets), tuple(words), "".join(left_out))


_WORD = re.compile(r"[^\s\\]+")  # a backslash is a new line, see `spell`


@dataclass(frozen=True)
class SpelledWord:
    """A word of a text that a model can read something of."""

    text: str
    start: int  # place of its first character in the text
    first: int  # place of its first id among those of the whole text
    last: int  # and of its last


def words_of(text: str, alphabet: Mapping[str, int]) -> list[SpelledWord]:
    """Return the words of a text with line feeds, and separately those without any character in the alphabet."""
    words, place, ids = [], 0, 0
    for found in _WORD.finditer(text):
        ids += len(spell(text[place : found.start()], alphabet).ids)
        count = len(spell(found[0], alphabet).ids)
        if count:
            words.append(SpelledWord(found[0], found.start(), ids, ids + count - 1))
        place, ids = found.end(), ids + count
    return words
