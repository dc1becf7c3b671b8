"""Lyrics with the times at which their words are sung."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

SLOWEST = 0.25
"""Seconds a character: nobody is taken to sing slower where times have to be guessed. What is left is a rest."""


@dataclass(frozen=True)
class TimedWord:
    """A word, or a part of one, as it stands in a text; times in seconds."""

    text: str
    start: float
    end: float | None = None  # None: nobody has said; at the latest where the next word starts
    first: int = 0  # place of its first character in the text
    guessed: bool = False  # its time is no more than its share of a line's

    @property
    def stop(self) -> int:
        """The place after its last character."""
        return self.first + len(self.text)


@dataclass(frozen=True)
class TimedLyrics:
    """A text, its lines apart by line feeds, and the words of it that have times, in their order in text and time.

    ValueError where a word is not in the text at its place, is empty or of more than a line, or out of order.
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
        """The second at which the last word is over; 0 where there is none."""
        return self.ends()[-1] if self.words else 0.0

    def ends(self) -> tuple[float, ...]:
        """When each word is over: as it is told, or else where the next starts, if nobody has to linger until then."""
        following = [*(word.start for word in self.words[1:]), float("inf")]
        return tuple(
            min(word.start + SLOWEST * (len(word.text) + 1), after) if word.end is None else word.end
            for word, after in zip(self.words, following, strict=False)
        )

    def lines(self) -> Iterator[tuple[int, int, tuple[TimedWord, ...]]]:
        """Each line of the text: its first character, the one after its last, its words."""
        place, first = 0, 0
        for line in self.text.split("\n"):
            stop = first + len(line)
            begun = place
            while place < len(self.words) and self.words[place].stop <= stop:
                place += 1
            yield first, stop, self.words[begun:place]
            first = stop + 1

    def shifted(self, seconds: float) -> "TimedLyrics":
        """All of it sung so much later, or earlier: at the earliest at 0."""
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
    """Lyrics of lines of words, apart by single spaces: where the words stand in a text is found, not read."""
    text, words = "", []
    for number, line in enumerate(lines):
        text += "\n" if number else ""
        for place, word in enumerate(line):
            text += " " if place else ""
            words.append(replace(word, first=len(text)))
            text += word.text
    return TimedLyrics(text, tuple(words))


def places(text: str, pieces: Sequence[str], first: int = 0) -> list[int]:
    """Where each of the pieces, which are in the text in this order, begins; `first` is the place of the text."""
    found, after = [], 0
    for piece in pieces:
        found.append(first + text.index(piece, after))
        after = found[-1] - first + len(piece)
    return found


def spread(pieces: Sequence[str], start: float, end: float, firsts: Sequence[int]) -> list[TimedWord]:
    """Words sung one after the other from start to end, each as long as it has characters, with the blank after it.

    `firsts` are their places in the text. The time of the first is known, those of the others are guessed.
    """
    begun = [0, *accumulate(len(piece) + 1 for piece in pieces)]
    each = max(end - start, 0.0) / max(begun[-1] - 1, 1)
    return [
        TimedWord(piece, start + each * before, first=first, guessed=before > 0)
        for piece, before, first in zip(pieces, begun, firsts, strict=False)
    ]
