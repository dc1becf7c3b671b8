"""Following the lyrics by attention: which character is sung at each code, and so when each word is. No tensors.

T codes, or rows of several codes each; L characters. Weights (T, L) are 0 or more, and a row's sum is 1 or less.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.floating]
Characters = npt.NDArray[np.int64]

DOUBT = 0.2
"""How much of each row is taken to tell nothing: it is spread over all characters."""

NEAR = 1.0
"""Characters that a weight counts for beside its own: the standard deviation of a bell."""

LEAP = 0.5
"""Nats that it costs to leap over a character."""

REACH = 3
"""Characters on either side of one that `mass_near` counts in."""


LOUD = 0.5
"""Of the weight that a word gets where it gets much, what tells that it is sung."""

TREMBLE = 0.1
"""Seconds over which that weight is a mean."""


@dataclass(frozen=True)
class WordTime:
    """When a word is sung, in seconds."""

    start: float
    end: float


def followed(weights: Weights) -> Characters:
    """The character that is sung at each of the rows (T,): of all ways through the lyrics that never go back, the best.

    The best has the largest product of weights, a little blurred, where leaps over characters cost a little.
    """
    rows, characters = weights.shape
    if not rows or not characters:
        return np.zeros(rows, dtype=np.int64)
    evidence = np.log((1 - DOUBT) * _blurred(weights) + DOUBT / characters)
    dues = LEAP * np.arange(characters)
    best = evidence[0] - np.maximum(dues - LEAP, 0)
    came_from = np.zeros((rows, characters), dtype=np.int32)
    everyone = np.arange(characters, dtype=np.int32)
    for row in range(1, rows):
        # a step to the next character is free, as staying is; one of more pays for what it leaps over
        source, value = everyone.copy(), best.copy()
        if characters > 1:
            stepped = best[:-1] > value[1:]
            value[1:][stepped] = best[:-1][stepped]
            source[1:][stepped] = everyone[:-1][stepped]
        if characters > 2:
            afar = best[:-2] + dues[:-2]
            highest = np.maximum.accumulate(afar)
            first = np.maximum.accumulate(np.where(afar == highest, everyone[:-2], 0))
            leapt = highest - dues[1:-1]
            taken = leapt > value[2:]
            value[2:][taken] = leapt[taken]
            source[2:][taken] = first[taken]
        came_from[row] = source
        best = value + evidence[row]
    path = np.empty(rows, dtype=np.int64)
    path[-1] = int(best.argmax())
    for row in range(rows - 1, 0, -1):
        path[row - 1] = came_from[row, path[row]]
    return path


def word_onsets(weights: Weights, words: Sequence[tuple[int, int]], seconds_a_row: float) -> list[WordTime]:
    """When words are sung, each given by its first and its last character, in rising order.

    A word has the rows that follow it, but for those at either end that hardly look at it: nothing is sung there. One
    that is leapt over is where that happens; one that is never reached begins and ends with the last row.
    """
    path = followed(weights)
    looking = _smoothed(_masses(weights, path, REACH), max(round(TREMBLE / seconds_a_row), 1))
    times = []
    for first, last in words:
        start, end = np.searchsorted(path, first, side="left"), np.searchsorted(path, last, side="right")
        if start < end:
            enough = LOUD * np.quantile(looking[start:end], 0.8)
            rows = start + np.flatnonzero(looking[start:end] >= enough)
            start, end = rows[0], rows[-1] + 1
        times.append(WordTime(float(start) * seconds_a_row, float(end) * seconds_a_row))
    return times


def even_spread(words: Sequence[tuple[int, int]], characters: int, seconds: float) -> list[WordTime]:
    """When words would be sung if all characters took equally long."""
    each = seconds / characters
    return [WordTime(first * each, (last + 1) * each) for first, last in words]


def onset_error(found: Sequence[WordTime], onsets: Sequence[float]) -> float:
    """How far the words' beginnings are from the true `onsets`, in seconds, in the mean."""
    return float(np.mean([abs(word.start - onset) for word, onset in zip(found, onsets, strict=True)]))


def mass_near(weights: Weights, characters: Characters, reach: int = REACH) -> float:
    """The share of the rows' weights that lies near the given characters (T,), `reach` on either side.

    Rows whose character is below 0, where none is sung, do not count; 0 where no row does.
    """
    sung = characters >= 0
    if not sung.any():
        return 0.0
    return float(np.mean(_masses(weights[sung], characters[sung], reach)))


def monotonicity(weights: Weights) -> float:
    """How much a head follows the lyrics, from 0 to 1, where nobody knows when they are sung.

    The weight that lies near the best way through the lyrics, less what lies near it at other times: a head that always
    looks at the same place follows nothing.
    """
    if not weights.size:
        return 0.0
    path = followed(weights)
    others = [mass_near(weights, np.roll(path, len(path) * shift // 4)) for shift in (1, 2, 3)]
    return max(mass_near(weights, path) - float(np.mean(others)), 0.0)


def _masses(weights: Weights, characters: Characters, reach: int) -> npt.NDArray[np.float64]:
    """The weight (T,) near the characters (T,), row by row."""
    sums = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights, axis=1, dtype=np.float64)], axis=1)
    rows = np.arange(len(weights))
    masses: npt.NDArray[np.float64] = (
        sums[rows, np.minimum(characters + reach + 1, weights.shape[1])] - sums[rows, np.maximum(characters - reach, 0)]
    )
    return masses


def _smoothed(values: npt.NDArray[np.float64], rows: int) -> npt.NDArray[np.float64]:
    """Means (T,) over some rows around each, or over those that there are."""
    wide, around = np.ones(rows), slice(rows // 2, rows // 2 + len(values))
    return np.convolve(values, wide)[around] / np.convolve(np.ones(len(values)), wide)[around]


def _blurred(weights: Weights) -> npt.NDArray[np.float32]:
    """Weights (T, L) spread over neighbouring characters."""
    reach = int(3 * NEAR)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1, dtype=np.float32) / NEAR) ** 2)
    bell /= bell.sum()
    wide = np.pad(weights.astype(np.float32), ((0, 0), (reach, reach)))
    blurred = np.zeros(weights.shape, dtype=np.float32)
    for at, share in enumerate(bell):
        blurred += share * wide[:, at : at + weights.shape[1]]
    return blurred
