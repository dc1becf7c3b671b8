"""Simple faults of generated audio: silence and loops."""

from math import inf

import numpy as np
from numpy.typing import NDArray

from jukectl.audio.mix import Samples

SILENCE = 1e-3  # root mean square below which a frame counts as silent: -60 dB of full scale
FAINT = 10**-4.5  # mean square, -45 dB of full scale
FAINT_SHARE = 0.75  # of the frames of a sound that are fainter, from which on it is nearly silent
FRAME_SECONDS = 0.05  # of a frame whose level counts
COLUMN_SECONDS = 0.1  # of a spectrum, to find repetition
LOOP_COLUMNS = 5  # compared with others: half a second
ALIKE = 2.0  # decibels between two of these that count as equal
FLOOR = 1e-6  # lowest power, relative to the loudest


def repetition(power: NDArray[np.floating], *, frames_per_second: float) -> float:
    """Return the share of half seconds in power spectra (bands, T) that nearly equal one that they do not overlap.

    A half second is five columns of 0.1 s in decibels less their mean, so that loudness does not count; half seconds
    overlap by half. Nearly equal is a root mean square difference of ALIKE decibels. A loop repeats, and so does a tone
    that is held; a melody does not.
    """
    columns = int(power.shape[1] / frames_per_second / COLUMN_SECONDS)
    edges = np.linspace(0, power.shape[1], columns + 1).astype(np.int64)[:-1]
    means = np.add.reduceat(power, edges, axis=1) / np.diff([*edges, power.shape[1]])
    loudest = max(float(means.max()), 1e-10)
    levels = 10 * np.log10(np.maximum(means / loudest, FLOOR))  # (bands, columns)
    starts = np.arange(0, columns - LOOP_COLUMNS + 1, LOOP_COLUMNS // 2)
    windows = np.stack([levels[:, start : start + LOOP_COLUMNS].ravel() for start in starts])
    windows -= windows.mean(axis=1, keepdims=True)
    squares = np.square(windows).sum(axis=1)
    # mean square difference of each pair: |a - b|^2 = |a|^2 + |b|^2 - 2 a.b
    apart = (squares[:, None] + squares - 2 * windows @ windows.T) / windows.shape[1]
    apart[np.abs(starts[:, None] - starts) < LOOP_COLUMNS] = inf
    return float((apart.min(axis=1) < ALIKE**2).mean())


def silence(samples: Samples, sample_rate: int) -> float:
    """Return the share of frames of FRAME_SECONDS in samples (N,) whose root mean square is below SILENCE."""
    return float(_silent_frames(samples, sample_rate).mean())


def is_nearly_silent(samples: Samples, sample_rate: int) -> bool:
    """Return True if samples (N,) are fainter than -45 dB of full scale for FAINT_SHARE of the time."""
    return bool(len(samples)) and float((frame_powers(samples, sample_rate) < FAINT).mean()) >= FAINT_SHARE


def longest_silence(samples: Samples, sample_rate: int) -> tuple[float, float]:
    """Return the seconds at which the longest silence in samples (N,) begins and ends; equal if there is none."""
    silent = np.concatenate([[False], _silent_frames(samples, sample_rate), [False]])
    edges = np.flatnonzero(silent[1:] != silent[:-1]).reshape(-1, 2)  # first frame of each silence, and the one after
    if not len(edges):
        return 0.0, 0.0
    begin, end = edges[np.argmax(edges[:, 1] - edges[:, 0])]
    return float(begin * FRAME_SECONDS), float(end * FRAME_SECONDS)


def frame_powers(samples: Samples, sample_rate: int) -> NDArray[np.float64]:
    """Return the mean square of each whole frame of FRAME_SECONDS in samples (N,); a shorter sound is one frame."""
    frame = max(1, min(round(FRAME_SECONDS * sample_rate), len(samples)))
    whole = samples[: len(samples) // frame * frame].reshape(-1, frame)
    powers: NDArray[np.float64] = np.square(whole, dtype=np.float64).mean(axis=1)
    return powers


def _silent_frames(samples: Samples, sample_rate: int) -> NDArray[np.bool_]:
    silent: NDArray[np.bool_] = frame_powers(samples, sample_rate) < SILENCE**2
    return silent
