"""Lyrics as a prior reads them: a text to the ids of its characters. No tensors."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase, digits

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
