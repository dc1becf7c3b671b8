"""One uniform number as a function of (seed, level, sample, position), so that a resumed job is identical.

Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") is a keyed function of a counter, so a number
needs none of the numbers before it: any split into windows, runs, batches or machines draws the same ones.
"""

import numpy as np
import numpy.typing as npt

from jukectl.codes.level import Level
from jukectl.codes.recipe import LARGEST_SEED


def uniforms(seed: int, level: Level, sample: int, start: int, stop: int) -> npt.NDArray[np.float64]:
    """The numbers (stop - start,) in [0, 1) of the positions `start`..`stop` of one sample at one level.

    They have 53 random bits each: compare them in float64, since in float32 the largest become 1. ValueError for a seed
    out of 0..2^63-1, a negative sample or position, or a stop before start.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"a seed is 0 to {LARGEST_SEED}, got {seed}")
    if sample < 0 or not 0 <= start <= stop:
        raise ValueError(f"no such positions: {start} to {stop} of sample {sample}")
    # uint64 said outright: numpy would pass large whole numbers in a list through float64
    key = np.array([seed, 0], dtype=np.uint64)
    counter = np.array([start, sample, int(level), 0], dtype=np.uint64)
    # a counter value gives four words; the first is taken, so that position and counter move on together
    words = np.random.Philox(key=key, counter=counter).random_raw(4 * (stop - start))[::4]
    return (words >> np.uint64(11)).astype(np.float64) * np.float64(2.0**-53)
