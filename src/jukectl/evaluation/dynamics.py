"""Loudness over time: attacks, dynamic range, near silence, and the step at a seam.

Samples are mono audio (N,) at full scale 1. A level is the root mean square of a frame of 50 ms in dB of full scale.
"""

import numpy as np
from numpy.typing import NDArray

from jukectl.audio import mix
from jukectl.audio.faults import frame_powers
from jukectl.audio.mix import Samples

FLOOR_DB = -60.0  # lower levels, which are inaudible, count as this
SOUNDING_DB, SOUNDING_SHARE = -50.0, 0.1  # music that is louder than this for less of the time is nearly silent
ATTACK_SHARE = 0.05  # of the frames: one attack a second fills as many
GATE_LUFS = -70.0  # absolute gate of BS.1770, the loudness of silence here

Vector = NDArray[np.float64]


def attack_contrast(onsets: Vector) -> float:
    """Return how far attacks stand out of onset strength (frames,), in the decibels of `beat.onset_strength`.

    It is the mean of the strongest 5 % of frames, less the median of all. A drone has 0, noise less than 1, and music
    with clear attacks from 3 on.
    """
    count = max(1, round(ATTACK_SHARE * len(onsets)))
    return float(np.sort(onsets)[-count:].mean() - np.median(onsets))


def levels(samples: Samples, sample_rate: int) -> Vector:
    """Return the level of each whole frame of samples (N,) in dB of full scale, at least FLOOR_DB."""
    decibels: Vector = 10 * np.log10(np.maximum(frame_powers(samples, sample_rate), 10 ** (FLOOR_DB / 10)))
    return decibels


def dynamic_range(samples: Samples, sample_rate: int) -> float:
    """Return the dynamic range of samples (N,) in dB: the 95th less the 10th percentile of the levels, 0 to 60.

    The percentiles are those of EBU Tech 3342 on shorter frames, so that a few seconds are enough and notes count.
    Steady sound has 0. The range grows with pauses: one above some 40 dB tells of gaps rather than of dynamics.
    """
    low, high = np.percentile(levels(samples, sample_rate), [10, 95])
    return float(high - low)


def nearly_silent(samples: Samples, sample_rate: int) -> bool:
    """Return whether samples (N,) are louder than SOUNDING_DB for less than SOUNDING_SHARE of the time."""
    return bool((levels(samples, sample_rate) > SOUNDING_DB).mean() < SOUNDING_SHARE)


def loudness_step(before: Samples, after: Samples, sample_rate: int) -> float:
    """Return the step of loudness from one stretch (N,) to the next (M,), in LU; positive if it gets louder.

    Integrated loudness (ITU-R BS.1770) of up to mix.SEAM_SECONDS on either side. Silence counts as GATE_LUFS.
    """
    length = round(mix.SEAM_SECONDS * sample_rate)
    ends = (before[-length:], after[:length])
    first, then = (max(GATE_LUFS, mix.loudness(end[None], sample_rate)) for end in ends)
    return then - first
