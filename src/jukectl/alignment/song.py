"""Forced alignment of a whole song: at once, or in pieces if no alignment of all of it is found."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from jukectl.alignment.sphinx import Aligner, Span
from jukectl.audio.mix import Samples
from jukectl.lyrics.timed import TimedLyrics, TimedWord

MARGIN = 0.25  # seconds before and after a line with a time
FEWEST = 2  # words of a piece at least
FRAME = 0.02  # seconds, of loudness
QUIET = 30.0  # decibels below the loud parts: taken as without singing
_WORD = re.compile(r"\S+")
_HEADING = re.compile(r"\s*\[[^\]]*\]\s*")

Watch = Callable[[int, int], None]  # called with the number of words found and of all words


@dataclass(frozen=True)
class Found:
    """Lyrics with a time for each word that is sung."""

    lyrics: TimedLyrics  # words that could not be aligned are `guessed`
    unsure: tuple[str, ...] = ()  # words that are not in the dictionary
    left_out: tuple[str, ...] = ()  # headings, and words without any sound


@dataclass(frozen=True)
class _Piece:
    """Some of the words, and the part of the recording, in samples, in which they are."""

    first: int
    stop: int
    start: int
    end: int


def align_text(samples: Samples, sample_rate: int, text: str, aligner: Aligner, watch: Watch) -> Found:
    """Align a text with samples (N,) at the aligner's rate: find the time of each word.

    A line in square brackets is a heading, which is not sung: it is left out.
    """
    lines = re.split("\r\n|\r|\n", text)
    kept = [line for line in lines if not _HEADING.fullmatch(line)]
    plain = "\n".join(kept).strip("\n")
    words, silent = _words(plain, 0, aligner)
    sung = _Sung(samples, sample_rate, words, _line_ends(plain, words), aligner, watch)
    lyrics = TimedLyrics(plain, tuple(_in_order(sung.words(_Piece(0, len(words), 0, len(samples))))))
    headings = [line.strip() for line in lines if _HEADING.fullmatch(line)]
    return Found(lyrics, aligner.unsure([word.text for word in words]), (*headings, *silent))


def align_lines(samples: Samples, sample_rate: int, lyrics: TimedLyrics, aligner: Aligner, watch: Watch) -> Found:
    """Align lyrics whose lines have times: search the words of each line near its time."""
    lines = [(first, stop, words[0].start) for first, stop, words in lyrics.lines() if words]
    found: list[TimedWord] = []
    silent: list[str] = []
    looked_for: list[str] = []
    for (first, stop, start), after in zip(lines, [*(line[2] for line in lines[1:]), None], strict=False):
        words, mute = _words(lyrics.text[first:stop], first, aligner)
        end = len(samples) / sample_rate if after is None else after
        begin, over = (int(min(max(time, 0.0) * sample_rate, len(samples))) for time in (start - MARGIN, end + MARGIN))
        sung = _Sung(samples, sample_rate, words, [len(words)], aligner, lambda done, total: None)
        found += sung.words(_Piece(0, len(words), begin, over))
        silent += mute
        looked_for += [word.text for word in words]
        watch(len(found), len(lyrics.words))
    return Found(TimedLyrics(lyrics.text, tuple(_in_order(found))), aligner.unsure(looked_for), tuple(silent))


def _words(text: str, first: int, aligner: Aligner) -> tuple[list[TimedWord], list[str]]:
    """Return the words of a text that starts at offset `first`, without times, and those that cannot be pronounced."""
    found = [TimedWord(one[0], 0.0, first=first + one.start()) for one in _WORD.finditer(text)]
    said = [word for word in found if aligner.can_say(word.text)]
    return said, [word.text for word in found if not aligner.can_say(word.text)]


def _line_ends(text: str, words: Sequence[TimedWord]) -> list[int]:
    """Return the number of words up to the end of each line that has any."""
    return [
        number for number, (one, other) in enumerate(pairwise(words), 1) if "\n" in text[one.stop : other.first]
    ] + [len(words)]


def _in_order(words: Sequence[TimedWord]) -> Iterator[TimedWord]:
    """Yield words of neighbouring pieces with their times put in order: none overlaps its neighbours."""
    starts = list(accumulate((word.start for word in words), max))
    for word, start, after in zip(words, starts, [*starts[1:], float("inf")], strict=False):
        end = start if word.end is None else max(word.end, start)
        yield replace(word, start=start, end=min(end, after))


class _Sung:
    """A recording and its words."""

    def __init__(
        self,
        samples: Samples,
        sample_rate: int,
        words: Sequence[TimedWord],
        line_ends: Sequence[int],
        aligner: Aligner,
        watch: Watch,
    ) -> None:
        self._samples, self._rate, self._words = samples, sample_rate, words
        self._line_ends, self._aligner, self._watch = line_ends, aligner, watch
        self._loud = loud_frames(samples, sample_rate)

    def words(self, piece: _Piece) -> list[TimedWord]:
        """Return the words of a piece with times: aligned whole, in halves, or finally spread over its loud parts."""
        words = self._words[piece.first : piece.stop]
        if not words:
            return []
        part = self._samples[piece.start : piece.end]
        spans = self._aligner.align(part, [word.text for word in words]) if len(part) > self._rate * FRAME else None
        if spans is None and (halves := self._halves(piece)):
            return [word for half in halves for word in self.words(half)]
        guessed = spans is None
        begin = piece.start / self._rate
        spans = [Span(one.start + begin, one.end + begin) for one in spans or self._spread(piece, words)]
        self._watch(piece.stop, len(self._words))
        return [
            replace(word, start=one.start, end=one.end, guessed=guessed) for word, one in zip(words, spans, strict=True)
        ]

    def _spread(self, piece: _Piece, words: Sequence[TimedWord]) -> list[Span]:
        """Spread words evenly over the loud frames of a piece, in seconds from its start."""
        frames = self._frames(piece)
        loud = np.flatnonzero(self._loud[frames.start : frames.stop])
        if not len(loud):
            loud = np.arange(max(frames.stop - frames.start, 1))
        lengths = np.cumsum([0, *(len(word.text) + 1 for word in words)])
        bounds = lengths / lengths[-1] * len(loud)
        return [
            Span(
                float(loud[min(int(one), len(loud) - 1)] * FRAME),
                float((loud[max(min(int(np.ceil(other)), len(loud)) - 1, 0)] + 1) * FRAME),
            )
            for one, other in pairwise(bounds)
        ]

    def _halves(self, piece: _Piece) -> tuple[_Piece, _Piece] | None:
        """Split a piece at the longest quiet passage near its middle, and its words in proportion."""
        frames = self._frames(piece)
        loud = self._loud[frames.start : frames.stop]
        if piece.stop - piece.first < 2 * FEWEST or loud.sum() < 2:
            return None
        sung = np.cumsum(loud) / loud.sum()
        quiet = [(start, stop) for start, stop in _runs(~loud) if 0.2 < sung[start] < 0.8]
        if not quiet:
            return None
        start, stop = max(quiet, key=lambda run: run[1] - run[0])
        lengths = np.cumsum([len(word.text) + 1 for word in self._words[piece.first : piece.stop]])
        wanted = piece.first + 1 + int(np.argmin(np.abs(lengths / lengths[-1] - sung[start])))
        ends = [end for end in self._line_ends if piece.first < end < piece.stop]
        word = min(ends or [wanted], key=lambda end: abs(end - wanted))
        word = word if abs(word - wanted) <= max(2, (piece.stop - piece.first) // 6) else wanted
        cut = piece.start + int((start + stop) / 2 * FRAME * self._rate)
        if not (piece.first < word < piece.stop and piece.start < cut < piece.end):
            return None
        return _Piece(piece.first, word, piece.start, cut), _Piece(word, piece.stop, cut, piece.end)

    def _frames(self, piece: _Piece) -> range:
        size = FRAME * self._rate
        return range(int(piece.start / size), int(np.ceil(piece.end / size)))


def loud_frames(samples: Samples, sample_rate: int) -> npt.NDArray[np.bool_]:
    """Return a mask of the 20 ms frames of samples (N,) that are at most 30 dB below the loud ones."""
    size = int(FRAME * sample_rate)
    count = -(-len(samples) // size)
    padded = np.zeros(count * size, dtype=np.float32)
    padded[: len(samples)] = samples
    power = np.square(padded.reshape(count, size)).mean(axis=1)
    if not count or not power.max():
        return np.zeros(count, dtype=np.bool_)
    loud: npt.NDArray[np.bool_] = power > np.quantile(power, 0.95) * 10 ** (-QUIET / 10)
    return loud


def _runs(mask: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Return the start and stop frame of each run of set values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
