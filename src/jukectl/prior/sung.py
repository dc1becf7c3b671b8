"""Lyrics of which it is known when they are sung: their characters in a model's alphabet, each with its onset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from jukectl.prior.lyrics import spell


@dataclass(frozen=True)
class WordTime:
    """When a part of a text is sung, in seconds."""

    first: int  # character of the text
    stop: int  # the character after its last
    start: float
    end: float | None = None  # None: until the next word begins


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


LAST_WORD = 0.5  # seconds of a last word that has no end


def spell_sung(text: str, words: Sequence[WordTime], alphabet: Mapping[str, int], sample_rate: int) -> Sung:
    """The ids of a text's characters and when each begins; `words` are parts of it, in their order in text and time.

    Inside a word characters are spread evenly. What stands between words, such as a space, begins where the word before
    it ends; what stands before the first, where that begins. ValueError for words that are out of order.
    """
    ids: list[int] = []
    onsets: list[int] = []
    found: list[SungWord] = []
    left_out: dict[str, None] = {}
    place, now = 0, words[0].start if words else 0.0

    def read(part: str, start: float, end: float) -> int:
        """Add a part of the text, sung evenly from start to end; how many characters it has in the alphabet."""
        spelled = spell(part, alphabet)
        count = len(spelled.ids)
        ids.extend(spelled.ids)
        onsets.extend(round((start + (end - start) * one / count) * sample_rate) for one in range(count))
        left_out.update(dict.fromkeys(spelled.left_out))
        return count

    for number, word in enumerate(words):
        following = words[number + 1].start if number + 1 < len(words) else word.start + LAST_WORD
        end = following if word.end is None else word.end
        if not (place <= word.first < word.stop <= len(text) and now <= word.start):
            raise ValueError(f"the word number {number + 1} at {word.start:g} s is out of order")
        read(text[place : word.first], now, now)
        first = len(ids)
        if read(text[word.first : word.stop], word.start, max(end, word.start)):
            times = (round(one * sample_rate) for one in (word.start, max(end, word.start)))
            found.append(SungWord(first, len(ids) - 1, *times))
        place, now = word.stop, max(word.start, min(end, following) if number + 1 < len(words) else end)
    read(text[place:], now, now)
    return Sung(tuple(ids), tuple(accumulate(onsets, max)), tuple(found), "".join(left_out))
