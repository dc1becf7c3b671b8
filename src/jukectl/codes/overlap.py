"""Runs of codes that a sequence shares with the songs of a collection: an exact measure of copying.

It is a suffix array: all positions of all songs, sorted by the codes that start there. N codes of all songs, M codes of
a query. Building takes O(N log N) for music, a query O(M log N log M). The index needs 14 bytes per code, and some 70
while it is built. On one core, 5 M codes are indexed in 2 to 4 s, and 3,000 looked up in 0.02 s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SongCodes = NDArray[np.integer[Any]]  # (frames,) codes, in memory or mapped from a file
Places = NDArray[np.int64]
Hashes = NDArray[np.uint64]

END = 0  # ends every song in the text, whose codes are therefore one higher than in the songs
PACKED = 3  # codes of 17 bits that 64 bits hold
BLOCK = 1 << 16  # positions of a query that are searched at a time
BASE = 0x9E3779B97F4A7C15  # of the hashes; odd, so that its powers lose nothing modulo 2^64


@dataclass(frozen=True, kw_only=True)
class Match:
    """A run of codes that a query and a song have in common. With a length of 0 the other fields are arbitrary."""

    length: int  # codes
    query_start: int  # first code in the query
    song: int  # index of the song
    song_start: int  # first code in the song


@dataclass(frozen=True, eq=False)
class Runs:
    """For each position of a query, the longest run of codes from there on that some song holds."""

    lengths: Places  # (M,) codes; 0 if no song holds even the first
    songs: Places  # (M,) index of the song; of any one if several hold the run
    starts: Places  # (M,) first code of the run in that song

    def longest(self) -> Match:
        """Return the longest run, the first of equals."""
        if not self.lengths.size:
            return Match(length=0, query_start=0, song=0, song_start=0)
        place = int(self.lengths.argmax())
        return Match(
            length=int(self.lengths[place]),
            query_start=place,
            song=int(self.songs[place]),
            song_start=int(self.starts[place]),
        )

    def coverage(self, length: int) -> float | None:
        """Return the share of the query's runs of `length` codes that some song holds; None for a shorter query."""
        places = len(self.lengths) - length + 1
        return float((self.lengths[:places] >= length).mean()) if places > 0 else None


class OverlapIndex:
    """Songs of one level and codec, indexed for finding runs of their codes elsewhere."""

    def __init__(self, songs: Sequence[SongCodes]) -> None:
        lengths = np.array([len(song) for song in songs], dtype=np.int64)
        self.starts: Places = np.cumsum(lengths + 1) - lengths - 1  # (songs,) where each begins in the text
        highest = max((int(song.max()) for song in songs if len(song)), default=0)
        self.text = np.full(int(lengths.sum()) + len(songs), END, np.min_scalar_type(highest + 1))
        for start, song in zip(self.starts, songs, strict=True):
            self.text[start : start + len(song)] = song
            self.text[start : start + len(song)] += 1
        self.order = suffix_order(self.text)
        self.hashes = _prefix_hashes(self.text)

    def longest(self, query: SongCodes) -> Match:
        """Return the longest run of codes that the query (M,) shares with any song."""
        return self.runs(query).longest()

    def runs(self, query: SongCodes) -> Runs:
        """Return the longest run from each position of the query (M,) on that some song holds."""
        text = np.append(query.astype(np.int64) + 1, END)
        hashes = _prefix_hashes(text)
        lengths, places = np.zeros(len(query), np.int64), np.zeros(len(query), np.int64)
        for first in range(0, len(query) if len(self.text) else 0, BLOCK):
            block = np.arange(first, min(first + BLOCK, len(query)))
            lengths[block], places[block] = self._search(text, hashes, block)
        songs = np.searchsorted(self.starts, places, side="right") - 1
        return Runs(lengths, songs, places - self.starts[songs] if len(self.starts) else places)

    def _search(self, query: Places, hashes: Hashes, asked: Places) -> tuple[Places, Places]:
        """Return the longest runs from the places `asked` of a query on, and their starts in the text.

        A binary search in the suffix array finds the place of the query's own suffix. The longest run is shared with
        one of the two neighbours of that place, and the search compares with both.
        """
        lengths, places = np.zeros(len(asked), np.int64), np.zeros(len(asked), np.int64)
        low, high = np.zeros(len(asked), np.int64), np.full(len(asked), len(self.order))
        shared_low, shared_high = np.zeros(len(asked), np.int64), np.zeros(len(asked), np.int64)
        open_ = np.arange(len(asked))
        while open_.size:
            middle = (low[open_] + high[open_]) // 2
            theirs, ours = self.order[middle].astype(np.int64), asked[open_]
            known = np.minimum(shared_low[open_], shared_high[open_])  # what all suffixes in between share
            shared = self._shared(query, hashes, ours, theirs, known)
            longer = open_[shared > lengths[open_]]
            lengths[longer], places[longer] = shared[shared > lengths[open_]], theirs[shared > lengths[open_]]
            after = self.text[theirs + shared] < query[ours + shared]  # at the query's end nothing is smaller
            low[open_[after]], shared_low[open_[after]] = middle[after] + 1, shared[after]
            high[open_[~after]], shared_high[open_[~after]] = middle[~after], shared[~after]
            open_ = open_[low[open_] < high[open_]]
        return lengths, places

    def _shared(self, query: Places, hashes: Hashes, ours: Places, theirs: Places, known: Places) -> Places:
        """Return the number of codes that the query from `ours` and the text from `theirs` on share, `known` or more.

        Steps double while they fit, then halve. Runs are compared by 64-bit hashes.
        """
        shared = known.copy()
        most = np.minimum(len(query) - 1 - ours, len(self.text) - 1 - theirs)
        growing, step = np.flatnonzero(shared < most), 1
        ceiling = most.copy()  # no more than this many are shared
        while growing.size:
            tried = np.minimum(shared[growing] + step, most[growing])
            equal = self._equal(hashes, ours[growing], theirs[growing], tried)
            shared[growing[equal]] = tried[equal]
            ceiling[growing[~equal]] = tried[~equal] - 1
            growing = growing[equal & (tried < most[growing])]
            step *= 2
        left = np.flatnonzero(shared < ceiling)
        while left.size:
            tried = (shared[left] + ceiling[left] + 1) // 2
            equal = self._equal(hashes, ours[left], theirs[left], tried)
            shared[left[equal]] = tried[equal]
            ceiling[left[~equal]] = tried[~equal] - 1
            left = left[shared[left] < ceiling[left]]
        return shared

    def _equal(self, hashes: Hashes, ours: Places, theirs: Places, length: Places) -> NDArray[np.bool_]:
        """Return a mask of equal runs of query and text, by their hashes.

        A hash has BASE to the power of its start as a factor, so each is multiplied by the other's.
        """
        of_query = (hashes[ours + length] - hashes[ours]) * _power(theirs)
        of_text = (self.hashes[theirs + length] - self.hashes[theirs]) * _power(ours)
        equal: NDArray[np.bool_] = of_query == of_text
        return equal


def suffix_order(text: NDArray[np.integer[Any]]) -> NDArray[np.signedinteger[Any]]:
    """Sort the positions of a text (N,) by their suffixes: prefix doubling (Manber and Myers, 1993).

    Only positions that are not distinguished yet are sorted again (Larsson and Sadakane, 2007). Values must be below
    2^17 - 1.
    """
    count = len(text)
    kind: type[np.signedinteger[Any]] = np.int32 if count < 1 << 31 else np.int64
    keys = np.zeros(count, np.uint64)
    for ahead in range(PACKED):  # behind the text's end is 0, less than any value plus one
        keys <<= np.uint64(17)
        keys[: max(0, count - ahead)] |= text[ahead:].astype(np.uint64) + np.uint64(1)
    order = keys.argsort(kind="stable").astype(kind)
    begins = _begins(keys[order])
    del keys
    rank = np.empty(count, kind)  # of each place: where in the order those with the same beginning start
    rank[order] = _firsts(begins, np.arange(count, dtype=kind))
    tied = np.flatnonzero(_tied(begins))
    step = PACKED
    while tied.size:
        places = order[tied].astype(np.int64)
        behind = places + step
        next_rank = np.where(behind < count, rank[np.minimum(behind, count - 1)].astype(np.int64) + 1, 0)
        both = rank[places].astype(np.int64) * (count + 1) + next_rank
        by = both.argsort(kind="stable")
        places, begins = places[by], _begins(both[by])
        order[tied] = places
        rank[places] = _firsts(begins, tied)
        tied = tied[_tied(begins)]
        step *= 2
    return order


def _begins(keys: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask of the first of equal values in sorted keys (N,)."""
    begins = np.ones(len(keys), np.bool_)
    begins[1:] = keys[1:] != keys[:-1]
    return begins


def _firsts(begins: NDArray[np.bool_], slots: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Return, for each of the slots (N,), in ascending order, the first of its group."""
    return slots[np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))]


def _tied(begins: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask of the members of groups of two or more."""
    alone = begins.copy()
    alone[:-1] &= begins[1:]
    return ~alone


def _prefix_hashes(text: NDArray[np.integer[Any]]) -> Hashes:
    """Return (N + 1,) sums of scrambled code times BASE^position over the positions before, modulo 2^64."""
    hashes = np.zeros(len(text) + 1, np.uint64)
    for first in range(0, len(text), BLOCK):
        places = np.arange(first, min(first + BLOCK, len(text)))
        terms = _scrambled(text[places]) * _power(places)
        hashes[places + 1] = hashes[first] + np.cumsum(terms, dtype=np.uint64)
    return hashes


def _scrambled(codes: NDArray[np.integer[Any]]) -> Hashes:
    """Hash each code to 64 bits (the finalizer of SplitMix64)."""
    mixed = (codes.astype(np.uint64) + np.uint64(1)) * np.uint64(BASE)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _powers_of(base: int) -> Hashes:
    """Return a base to the powers 0 to BLOCK - 1, modulo 2^64."""
    factors = np.full(BLOCK, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)


LOW_POWERS = _powers_of(BASE)
HIGH_POWERS = _powers_of(pow(BASE, BLOCK, 1 << 64))  # of BASE, to the multiples of BLOCK: up to 2^32


def _power(exponents: Places) -> Hashes:
    """Return BASE to each of the exponents (N,), modulo 2^64."""
    product: Hashes = LOW_POWERS[exponents % BLOCK] * HIGH_POWERS[exponents // BLOCK]
    return product
