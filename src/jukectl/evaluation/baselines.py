"""What any model of codes must beat: how often codes, and pairs of them, came in training songs.

K codebook size, T codes of a segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

Song = NDArray[np.integer]  # (frames,) codes

STRENGTHS = tuple(2.0**exponent for exponent in range(-2, 17))
"""What `Bigram.fit` chooses from."""


@dataclass(frozen=True, eq=False)
class Unigram:
    """Each code by its share of the training songs, with one added to every count."""

    probabilities: NDArray[np.float64]  # (K,)

    @classmethod
    def fit(cls, songs: Sequence[Song], codebook_size: int) -> Self:
        """Count the codes of songs."""
        counts = 1 + np.bincount(np.concatenate(songs), minlength=codebook_size)
        return cls(counts / counts.sum())

    def bits(self, codes: Song) -> NDArray[np.float64]:
        """What each of the codes (T,) costs, (T,)."""
        cost: NDArray[np.float64] = -np.log2(self.probabilities[codes])
        return cost


@dataclass(frozen=True, eq=False, kw_only=True)
class Bigram:
    """Each code by how often it followed the one before, leaning on the unigram as much as was best on training songs.

    p(b | a) = (count(a, b) + strength p(b)) / (count(a) + strength): the rarer a was, the more the unigram says (the
    Dirichlet language model of MacKay and Peto, 1995).
    """

    unigram: Unigram
    pairs: NDArray[np.int64]  # a K + b of every pair that came, ascending
    counts: NDArray[np.int64]  # how often
    before: NDArray[np.int64]  # (K,) how often each code had a code after it
    strength: float

    @classmethod
    def fit(cls, songs: Sequence[Song], codebook_size: int) -> Self:
        """Count the pairs of songs. The strength is the one with which each half of the songs tells the other best."""
        parts = list(songs) if len(songs) > 1 else np.array_split(songs[0], 2)
        first, second = parts[::2], parts[1::2]
        trials = [(cls._count(first, codebook_size), second), (cls._count(second, codebook_size), first)]
        strength = min(STRENGTHS, key=lambda strength: _total_bits(trials, strength))
        return replace(cls._count(songs, codebook_size), strength=strength)

    @classmethod
    def _count(cls, songs: Sequence[Song], codebook_size: int) -> Self:
        keys = np.concatenate([song[:-1].astype(np.int64) * codebook_size + song[1:] for song in songs])
        pairs, counts = np.unique(keys, return_counts=True)
        before = np.bincount(keys // codebook_size, minlength=codebook_size)
        unigram = Unigram.fit(songs, codebook_size)
        return cls(unigram=unigram, pairs=pairs, counts=counts, before=before, strength=1.0)

    def bits(self, codes: Song) -> NDArray[np.float64]:
        """What each of the codes (T,) costs, (T,); the first has none before it and is the unigram's."""
        cost = self.unigram.bits(codes)
        last, code = codes[:-1].astype(np.int64), codes[1:]
        together = self._times(last * len(self.before) + code)
        leaning = self.strength * self.unigram.probabilities[code]
        cost[1:] = -np.log2((together + leaning) / (self.before[last] + self.strength))
        return cost

    def _times(self, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
        """How often each of the pairs came in training."""
        if not self.pairs.size:
            return np.zeros_like(pairs)
        places = np.searchsorted(self.pairs, pairs).clip(max=len(self.pairs) - 1)
        return np.where(self.pairs[places] == pairs, self.counts[places], 0)


def _total_bits(trials: Sequence[tuple[Bigram, Sequence[Song]]], strength: float) -> float:
    return sum(float(replace(bigram, strength=strength).bits(song).sum()) for bigram, songs in trials for song in songs)
