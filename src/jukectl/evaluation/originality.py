"""What new codes have in common with the songs a model learned from, and what held-out songs have in common with them.

Music shares short runs of codes with other music whether anything was copied or not, so a run says something only
beside those of songs that nobody learned from. M codes of a stretch of music.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jukectl.codes.overlap import Match, OverlapIndex, Runs, Song

COVERED = (2, 4, 8, 16, 32, 64)  # lengths of run, in codes, whose share is told
SEED = 3  # codes in a row that must be equal for a song to be laid beside the stretch there
TRIED = 64  # places at which songs are laid beside it, those with the most seeds


@dataclass(frozen=True, eq=False, kw_only=True)
class Overlap:
    """What a stretch of codes shares with the training songs."""

    exact: Match  # the longest run of equal codes
    near: Match  # the longest stretch along a song in which four codes of five are equal
    coverage: tuple[float | None, ...]  # share of runs of COVERED codes that some song holds; None where M is less


class TrainingCodes:
    """The songs a model learned from, at one level, for laying new codes beside them."""

    def __init__(self, songs: Sequence[Song]) -> None:
        self.songs = songs
        self.index = OverlapIndex(songs)

    def overlap(self, codes: Song) -> Overlap:
        """What codes (M,) share with the songs."""
        runs = self.index.runs(codes)
        exact = runs.longest()
        return Overlap(
            exact=exact,
            near=max((exact, *self._beside(codes, runs)), key=lambda match: match.length),
            coverage=tuple(runs.coverage(length) for length in COVERED),
        )

    def _beside(self, codes: Song, runs: Runs) -> list[Match]:
        """The longest stretch in which codes mostly agree with a song, for each song and offset that look likely."""
        places = np.flatnonzero(runs.lengths >= SEED)
        offsets = np.stack([runs.songs[places], runs.starts[places] - places], axis=1)  # (seeds, 2)
        likely, seeds = np.unique(offsets, axis=0, return_counts=True)
        found = []
        for song, offset in likely[np.argsort(-seeds, kind="stable")[:TRIED]]:
            beside = self.songs[song]
            first, last = max(0, -offset), min(len(codes), len(beside) - offset)
            start, length = longest_agreement(codes[first:last] == beside[first + offset : last + offset])
            match = Match(
                length=length,
                query_start=int(first) + start,
                song=int(song),
                song_start=int(first + offset) + start,
            )
            found.append(match)
        return found


def longest_agreement(equal: NDArray[np.bool_]) -> tuple[int, int]:
    """Start and length of the longest stretch of (M,) in which four places of five or more are equal; (0, 0) of none.

    An equal place counts 1, another -4: the stretch is the longest with a sum of 0 or more.
    """
    sums = np.concatenate([[0], np.cumsum(np.where(equal, 1, -4))])  # (M + 1,) before each place
    lowest = np.minimum.accumulate(sums)
    starts = np.searchsorted(-lowest, -sums)  # for each end the first start with no greater sum
    lengths = np.arange(len(sums)) - starts
    end = int(lengths.argmax())
    return int(starts[end]), int(lengths[end])


def stretches(songs: Sequence[Song], length: int) -> list[Song]:
    """Songs cut into stretches of `length` codes, one behind another; what is left over at an end is not used."""
    return [song[start : start + length] for song in songs for start in range(0, len(song) - length + 1, length)]


def percentile(value: float, others: Sequence[float]) -> float | None:
    """Where a value lies among others, from 0 (below all) to 100 (above all), half of the equal ones below."""
    if not len(others):
        return None
    values = np.asarray(others)
    return float(100 * ((values < value).mean() + (values == value).mean() / 2))
