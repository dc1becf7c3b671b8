"""ViSQOL, a model of how listeners rate a rendering, where its package is installed."""

from collections.abc import Callable
from math import nan

import numpy as np

from jukectl.audio.mix import Samples, peak, resample
from jukectl.errors import MissingTool

RATE = 48_000  # Hz, of its audio mode
SHORTEST = 1.0  # seconds; what is shorter is not rated

Rate = Callable[[Samples, Samples, int], float]


def load() -> Rate:
    """A function of target (N,), rendering (N,) and sample rate to a mean opinion score from 1 to about 4.7.

    It gives nan for silence and for less than SHORTEST seconds. MissingTool where the package is not installed.
    """
    try:
        from visqol import VisqolApi
    except ImportError as error:
        raise MissingTool("--visqol needs a package of its own: pip install 'visqol-python[accel]'") from error
    api = VisqolApi()
    api.create(mode="audio")

    def rate(target: Samples, rendering: Samples, sample_rate: int) -> float:
        if len(target) < SHORTEST * sample_rate or peak(target) == 0:
            return nan
        pair = [resample(np.asarray(one), sample_rate, RATE).astype(np.float64) for one in (target, rendering)]
        return float(api.measure_from_arrays(*pair, RATE).moslqo)

    return rate
