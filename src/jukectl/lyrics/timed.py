"""Lyrics with the times at which their words are sung."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

SLOWEST = 0.25
"""Seconds per character of the slowest singing that is assumed where times are guessed; time beyond that is a pause."""


@dataclass(frozen=True)
class TimedWord:
    """A word, or a part of one, as it stands in a text; times in seconds."""

    text: str
    start: float
    end: float | None = None  # None: unknown; at the latest where the next word starts
    first: int = 0  # place of its first character in the text
    guessed: bool = False  # its time is no more than its share of a line's

    @property
    def stop(self) -> int:
        """The place after its last character."""
        return self.first + len(self.text)


@dataclass(frozen=True)
class TimedLyrics:
    """A text with lines separated by line feeds, and the words of it that have times, in order of text and time.

    Raises ValueError for a word that is not in the text at its offset, is empty, spans lines, or is out of order.
    """

    text: str
    words: tuple[TimedWord, ...] = ()

    def __post_init__(self) -> None:
        for word in self.words:
            if not word.text or "\n" in word.text or self.text[word.first : word.stop] != word.text:
                raise ValueError(f"{word.text!r} is not in the lyrics at {word.first}")
            if not 0 <= word.start < float("inf") or (word.end is not None and not word.start <= word.end):
                raise ValueError(f"{word.text!r} cannot be sung from {word.start} to {word.end} s")
        for one, other in pairwise(self.words):
            if other.first < one.stop or other.start < one.start or (one.end is not None and other.start < one.end):
                raise ValueError(f"{other.text!r} at {other.start:g} s comes before {one.text!r} is over")

    @property
    def exact(self) -> bool:
        """Return True if every word has its own time."""
        return not any(word.guessed for word in self.words)

    @property
    def last(self) -> float:
        """End of the last word in seconds; 0 without words."""
        return self.ends()[-1] if self.words else 0.0

    def ends(self) -> tuple[float, ...]:
        """Return the end of each word: as given, or the start of the next, or earlier if that would be too slow."""
        following = [*(word.start for word in self.words[1:]), float("inf")]
        return tuple(
            min(word.start + SLOWEST * (len(word.text) + 1), after) if word.end is None else word.end
            for word, after in zip(self.words, following, strict=False)
        )

    def lines(self) -> Iterator[tuple[int, int, tuple[TimedWord, ...]]]:
        """Yield each line of the text: offset of its first character, of the one after its last, and its words."""
        place, first = 0, 0
        for line in self.text.split("\n"):
            stop = first + len(line)
            begun = place
            while place < len(self.words) and self.words[place].stop <= stop:
                place += 1
            yield first, stop, self.words[begun:place]
            first = stop + 1

    def shifted(self, seconds: float) -> "TimedLyrics":
        """Return the lyrics with times later by `seconds`, or earlier, but none before 0."""
        moved = (
            replace(
                word,
                start=max(word.start + seconds, 0.0),
                end=None if word.end is None else max(word.end + seconds, 0.0),
            )
            for word in self.words
        )
        return TimedLyrics(self.text, tuple(moved))


def timed_lines(lines: Iterable[Iterable[TimedWord]]) -> TimedLyrics:
    """Make lyrics of lines of words, separated by single spaces; the words' offsets follow from that."""
    text, words = "", []
    for number, line in enumerate(lines):
        text += "\n" if number else ""
        for place, word in enumerate(line):
            text += " " if place else ""
            words.append(replace(word, first=len(text)))
            text += word.text
    return TimedLyrics(text, tuple(words))


def places(text: str, pieces: Sequence[str], first: int = 0) -> list[int]:
    """Return the offset of each piece, which are in the text in this order; `first` is added to all."""
    found, after = [], 0
    for piece in pieces:
        found.append(first + text.index(piece, after))
        after = found[-1] - first + len(piece)
    return found


def spread(pieces: Sequence[str], start: float, end: float, firsts: Sequence[int]) -> list[TimedWord]:
    """Spread words from start to end in proportion to their characters, the space after each included.

    `firsts` are their offsets in the text. The time of the first is given, those of the others are guessed.
    """
    begun = [0, *accumulate(len(piece) + 1 for piece in pieces)]
    each = max(end - start, 0.0) / max(begun[-1] - 1, 1)
    return [
        TimedWord(piece, start + each * before, first=first, guessed=before > 0)
        for piece, before, first in zip(pieces, begun, firsts, strict=False)
    ]
