"""Faults of recordings that spoil what is made from them: a constant offset, clipping, and silence."""

import math

import numpy as np

from jukectl.audio.mix import FULL_SCALE, Samples, peak

QUIET_DB = -45.0  # root mean square of full scale, below which a recording counts as nearly silent
SILENT_DB = -60.0  # below which it counts as silent
CLIPPED_RUN = 3  # samples at full scale in a row that are no peak of a waveform
CLIPPED_SHARE = 0.001  # of samples in such runs, from which a recording counts as clipped
LEAST_OFFSET = 0.01  # mean that is worth removing: -40 dB of full scale
LEAST_SECONDS = 0.5  # of a span in which an offset can be told from a low note
OFFSET_BLOCK = 0.1  # seconds of a block whose mean counts
LEAST_BLOCKS = 8
CERTAIN = 4.0  # standard errors that the mean of the blocks is away from 0


def offset(samples: Samples, sample_rate: int) -> float:
    """Return the constant offset (DC) of samples (N,); 0 unless it is material and certain.

    It is material from LEAST_OFFSET on. It is certain if the span is long enough and the means of blocks agree on it:
    those of low notes and slow vibrations are large too, but alternate.
    """
    if len(samples) < LEAST_SECONDS * sample_rate:
        return 0.0
    mean = float(samples.mean(dtype=np.float64))
    if abs(mean) < LEAST_OFFSET:
        return 0.0
    block = min(round(OFFSET_BLOCK * sample_rate), len(samples) // LEAST_BLOCKS)
    means = samples[: len(samples) // block * block].reshape(-1, block).mean(axis=1, dtype=np.float64)
    if abs(mean) <= CERTAIN * means.std() / math.sqrt(len(means)):
        return 0.0
    return mean


def clipped_share(samples: Samples) -> float:
    """Return the share of samples (C, N) that stand in a run at full scale, where a recorder cut off the peaks."""
    if peak(samples) < FULL_SCALE:
        return 0.0
    runs = 0
    for channel in samples:
        for full in (channel >= FULL_SCALE, channel <= -FULL_SCALE):
            edges = np.flatnonzero(np.diff(full, prepend=False, append=False)).reshape(-1, 2)  # first, and after last
            lengths = edges[:, 1] - edges[:, 0]
            runs += int(lengths[lengths >= CLIPPED_RUN].sum())
    return runs / samples.size


def level_db(samples: Samples) -> float:
    """Return the root mean square of samples (N,), in dB of full scale; -inf of silence."""
    power = float(np.square(samples, dtype=np.float64).mean()) if len(samples) else 0.0
    return 10 * math.log10(power) if power else -math.inf


def faults(samples: Samples, mono: Samples) -> list[str]:
    """Return what is wrong with a recording (C, N) of which `mono` (N,) is used, one phrase each."""
    found = []
    if (share := clipped_share(samples)) > CLIPPED_SHARE:
        found.append(f"is clipped: {share:.1%} of its samples are cut off at full scale, and so is what follows them")
    level = level_db(mono)
    if level >= QUIET_DB:
        return found
    if len(samples) > 1 and max(map(level_db, samples)) > level + 20:  # a tenth
        found.append(
            "is silent as mono, since its channels cancel each other: invert one of them, or keep one of them alone"
        )
    elif level < SILENT_DB:
        found.append("is silent")
    else:
        found.append(f"is nearly silent, at {level:.0f} dB: make it louder")
    return found
