"""N-gram baselines for priors: how often codes, and pairs of codes, occur in training songs.

K codebook size, T codes of a segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

Song = NDArray[np.integer]  # (frames,) codes

STRENGTHS = tuple(2.0**exponent for exponent in range(-2, 17))
"""Values that `Bigram.fit` chooses from."""

TRIED = 1 << 18  # codes of each half of the training songs that the strength is chosen on


@dataclass(frozen=True, eq=False)
class Unigram:
    """Probability of each code by its share of the training songs, with one added to every count."""

    probabilities: NDArray[np.float64]  # (K,)

    @classmethod
    def fit(cls, songs: Sequence[Song], codebook_size: int) -> Self:
        """Count the codes of songs."""
        counts = np.ones(codebook_size)
        for song in songs:
            counts += np.bincount(song, minlength=codebook_size)
        return cls(counts / counts.sum())

    def bits(self, codes: Song) -> NDArray[np.float64]:
        """Return the bits of each of the codes (T,)."""
        cost: NDArray[np.float64] = -np.log2(self.probabilities[codes])
        return cost


@dataclass(frozen=True, eq=False, kw_only=True)
class Bigram:
    """Probability of each code given the one before, smoothed by the unigram.

    p(b | a) = (count(a, b) + strength p(b)) / (count(a) + strength): the rarer a is, the more the unigram counts (the
    Dirichlet language model of MacKay and Peto, 1995).
    """

    unigram: Unigram
    pairs: NDArray[np.int64]  # a K + b of every pair (a, b) that occurs, ascending
    counts: NDArray[np.int64]  # of each pair
    before: NDArray[np.int64]  # (K,) how often each code is followed by another
    strength: float

    @classmethod
    def fit(cls, songs: Sequence[Song], codebook_size: int) -> Self:
        """Count the pairs of songs, and choose the strength with which each half of them predicts the other best."""
        parts = list(songs) if len(songs) > 1 else np.array_split(songs[0], 2)
        first, second = (cls._count(half, codebook_size) for half in (parts[::2], parts[1::2]))
        costs = first._bits_by_strength(parts[1::2]) + second._bits_by_strength(parts[::2])
        return replace(cls._count(songs, codebook_size), strength=STRENGTHS[int(costs.argmin())])

    @classmethod
    def _count(cls, songs: Sequence[Song], codebook_size: int) -> Self:
        """Count pairs; the strength stays to be chosen."""
        keys = (song[:-1].astype(np.int64) * codebook_size + song[1:] for song in songs)
        by_song = [np.unique(one, return_counts=True) for one in keys]  # counted by song, to keep memory small
        pairs, places = np.unique(np.concatenate([found for found, _ in by_song]), return_inverse=True)
        weights = np.concatenate([times for _, times in by_song])
        counts = np.bincount(places, weights, minlength=len(pairs)).astype(np.int64)
        before = np.bincount(pairs // codebook_size, counts, minlength=codebook_size).astype(np.int64)
        return cls(
            unigram=Unigram.fit(songs, codebook_size), pairs=pairs, counts=counts, before=before, strength=STRENGTHS[0]
        )

    def bits(self, codes: Song) -> NDArray[np.float64]:
        """Return the bits of each of the codes (T,); the first has none before it and costs what the unigram says."""
        cost = self.unigram.bits(codes)
        cost[1:] = self._after(codes, self.strength)
        return cost

    def _after(self, codes: Song, *strengths: float) -> NDArray[np.float64]:
        """Return the bits of each of the codes (T,) but the first with each of the strengths, (strengths, T - 1)."""
        last, code = codes[:-1].astype(np.int64), codes[1:]
        together, before = self._times(last * len(self.before) + code), self.before[last]
        alone = self.unigram.probabilities[code]
        cost: NDArray[np.float64] = np.stack(
            [-np.log2((together + strength * alone) / (before + strength)) for strength in strengths]
        )
        return cost

    def _bits_by_strength(self, songs: Sequence[Song]) -> NDArray[np.float64]:
        """Return the bits of songs with each of STRENGTHS; of many or long ones, those of the middle of each."""
        most = max(2, TRIED // len(songs))
        starts = [max(0, (len(song) - most) // 2) for song in songs]
        middles = (song[start : start + most] for song, start in zip(songs, starts, strict=True))
        costs: NDArray[np.float64] = np.sum([self._after(song, *STRENGTHS).sum(axis=1) for song in middles], axis=0)
        return costs

    def _times(self, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how often each of the pairs occurs in training."""
        if not self.pairs.size:
            return np.zeros_like(pairs)
        places = np.searchsorted(self.pairs, pairs).clip(max=len(self.pairs) - 1)
        return np.where(self.pairs[places] == pairs, self.counts[places], 0)
