"""Lyrics of which it is known when they are sung: their characters in a model's alphabet, each with its onset."""

from collections.abc import Mapping
from dataclasses import dataclass

from jukectl.lyrics.timed import TimedLyrics
from jukectl.prior.lyrics import spell


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
