"""Which songs a step learns from: the same for the global batch, whoever takes which of its rows."""

from collections.abc import Sequence

import numpy as np

ALL_ROWS = slice(None)


class ByLength:
    """Draws songs at random, the longer the more often, so that every second of music is as likely as any other."""

    def __init__(self, lengths: Sequence[int]) -> None:
        total = np.cumsum(np.asarray(lengths, dtype=np.float64))
        self._shares = total / total[-1]  # of all music, up to the end of each song

    def draw(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """`count` indices of songs (count,)."""
        return np.searchsorted(self._shares, generator.random(count), side="right")
