"""Channels, sample rates and levels: down-mixing, resampling, peak and loudness. Time is always the last axis."""

import warnings
from collections.abc import Iterable, Iterator
from math import ceil

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

SIDE = 0.5**0.5
"""How loud the centre and the surrounds are in a stereo down-mix: 3 dB down (ITU-R BS.775)."""

STEREO_WEIGHTS: dict[int, tuple[tuple[float, ...], tuple[float, ...]]] = {
    3: ((1, 0, SIDE), (0, 1, SIDE)),  # left, right, centre
    4: ((1, 0, SIDE, 0), (0, 1, 0, SIDE)),  # left, right, back left, back right
    5: ((1, 0, SIDE, SIDE, 0), (0, 1, SIDE, 0, SIDE)),  # with a centre
    6: ((1, 0, SIDE, 0, SIDE, 0), (0, 1, SIDE, 0, 0, SIDE)),  # 5.1: the fourth is the low-frequency channel, dropped
    7: ((1, 0, SIDE, 0, 0.5, SIDE, 0), (0, 1, SIDE, 0, 0.5, 0, SIDE)),  # 6.1: one back channel before the two sides
    8: ((1, 0, SIDE, 0, SIDE, 0, SIDE, 0), (0, 1, SIDE, 0, 0, SIDE, 0, SIDE)),  # 7.1: two back channels, two sides
}
"""What goes to the left and to the right from channels in the order of WAV and FLAC, by number of channels."""

LOUDNESS_BLOCK = 0.4  # seconds: the shortest that loudness is defined for (ITU-R BS.1770)

SEAM_SECONDS = 3.0  # on each side of a seam: short-term loudness (EBU Tech 3341)
GAIN_SECONDS = 6.0  # over which the gain after a seam fades
ONSET_SECONDS = 0.02  # in which that gain sets in, so that it makes no click
MOST_GAIN = 12.0  # dB; more apart are different sounds, not different levels
LIMITER_SECONDS = 0.05  # on each side of a peak, over which the limiter's gain falls and rises
FULL_SCALE = 0.999  # absolute value up to which peaks are limited, and from which a sample may be clipped


def to_stereo(samples: Samples) -> Samples:
    """Left and right (2, N) of samples (C, N), never louder at the peak than the loudest channel.

    Mono goes to both sides. Surround in the channel order of WAV and FLAC follows ITU-R BS.775, scaled so that the
    weights of a side add up to one. More than eight channels have no known layout: both sides get their mean.
    """
    channels = samples.shape[0]
    if channels == 2:
        return samples
    if channels in STEREO_WEIGHTS:
        return np.stack([_weighted(samples, side) for side in STEREO_WEIGHTS[channels]])
    middle = samples.mean(axis=0, dtype=np.float32)
    return np.stack([middle, middle])


def to_mono(samples: Samples) -> Samples:
    """One channel (N,) of samples (C, N): the mean of left and right, after surround was brought to stereo."""
    return blend(samples, 0.5)


def blend(samples: Samples, left: float) -> Samples:
    """One channel (N,) of samples (C, N): left with the weight `left`, 0 to 1, right with the rest; mono as it is.

    With a random weight it is training's down-mix (SPEC 5). Surround is brought to stereo first.
    """
    if len(samples) == 1:
        mono: Samples = samples[0]
        return mono
    return _weighted(to_stereo(samples), (left, 1 - left))


def _weighted(samples: Samples, weights: tuple[float, ...]) -> Samples:
    """Return the weighted mean (N,) of the channels of samples (C, N)."""
    # Not by a matrix product: its rounding may depend on the machine and on where in the array a sample stands
    parts = (channel * np.float32(weight / sum(weights)) for channel, weight in zip(samples, weights, strict=True))
    total: Samples = sum(parts, start=np.zeros(samples.shape[1], dtype=np.float32))
    return total


def resample(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """Resample (..., N) at `from_rate` Hz to (..., round(N * to_rate / from_rate)) at `to_rate` Hz."""
    if from_rate <= 0 or to_rate <= 0:
        raise ValueError(f"sample rates are positive, got {from_rate} and {to_rate}")
    if from_rate == to_rate:
        return samples
    import soxr

    length = round(samples.shape[-1] * to_rate / from_rate)
    resampled = np.zeros((*samples.shape[:-1], length), dtype=np.float32)
    if not resampled.size:
        return resampled
    for channel in np.ndindex(samples.shape[:-1]):
        # soxr rounds halves up, Python to even: one sample more or less at the very end
        signal = soxr.resample(samples[channel], from_rate, to_rate, quality="VHQ")[:length]
        resampled[channel][: len(signal)] = signal
    return resampled


def resample_blocks(blocks: Iterable[Samples], from_rate: int, to_rate: int) -> Iterator[Samples]:
    """Resample blocks (C, n) at `from_rate` Hz to blocks at `to_rate` Hz, which join to what `resample` returns."""
    if from_rate == to_rate:
        yield from blocks
        return
    import soxr

    stream = None
    read = written = 0  # samples so far, at `from_rate` and at `to_rate`
    for block in blocks:
        if stream is None:
            stream = soxr.ResampleStream(from_rate, to_rate, len(block), dtype="float32", quality="VHQ")
            rest = np.zeros((0, len(block)), dtype=np.float32)
        read += block.shape[1]
        resampled = stream.resample_chunk(np.ascontiguousarray(block.T)).reshape(-1, len(block))
        written += len(resampled)
        yield np.ascontiguousarray(resampled.T)
    if stream is not None:
        rest = stream.resample_chunk(rest, last=True).reshape(-1, rest.shape[1])
        last = np.zeros((rest.shape[1], max(0, round(read * to_rate / from_rate) - written)), dtype=np.float32)
        last[:, : len(rest)] = rest[: last.shape[1]].T
        yield last


def peak(samples: Samples) -> float:
    """Return the largest absolute value; 0 for empty samples."""
    return float(max(samples.max(initial=0), -samples.min(initial=0)))  # no copy, as abs would make


def limit_peak(samples: Samples, ceiling: float = FULL_SCALE) -> Samples:
    """Scale samples down so that their peak is at most `ceiling`; return them unchanged if it already is."""
    highest = peak(samples)
    if highest <= ceiling:
        return samples
    return samples * np.float32(ceiling / highest)


def turn_down_peaks(samples: Samples, sample_rate: int, ceiling: float = FULL_SCALE) -> Samples:
    """Turn samples (C, N) or (N,) down around each peak over `ceiling`, so that the rest stays as loud as it is.

    The gain is the same for all channels: the lowest that a peak within LIMITER_SECONDS needs, averaged over as long
    (a look-ahead limiter). Samples further from a peak are unchanged.
    """
    if peak(samples) <= ceiling:
        return samples
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    loudest = np.abs(samples).max(axis=0) if samples.ndim > 1 else np.abs(samples)
    reach = round(LIMITER_SECONDS * sample_rate / 2)
    lowest = minimum_filter1d(ceiling / np.maximum(loudest.astype(np.float64), ceiling), 2 * reach + 1)
    gain = uniform_filter1d(lowest, 2 * reach + 1)
    limited: Samples = np.clip(samples * gain.astype(np.float32), -ceiling, ceiling)  # the average is rounded
    return limited


def normalise_loudness(samples: Samples, sample_rate: int, lufs: float) -> Samples:
    """Bring samples (C, N) or (N,) to the integrated loudness `lufs` (ITU-R BS.1770) as far as the peak limit allows.

    Silence, and sound below the gate of BS.1770, is returned unchanged.
    """
    found = loudness(np.atleast_2d(samples), sample_rate)
    if not np.isfinite(found):
        return samples
    return limit_peak(samples * np.float32(10 ** ((lufs - found) / 20)))


def match_loudness(samples: Samples, seam: int, sample_rate: int) -> Samples:
    """Fade the gain of samples (N,) from `seam` on, so that they go on as loud as they were before it.

    The loudness of SEAM_SECONDS on each side (ITU-R BS.1770, in LU) gives the gain at the seam, which fades to none
    over GAIN_SECONDS, linearly in decibels. Silence stays silent, and nothing is brought over full scale. What comes
    before the seam, and after the fade, is unchanged.
    """
    around = round(SEAM_SECONDS * sample_rate)
    sides = (samples[max(seam - around, 0) : seam], samples[seam : seam + around])
    if min(map(len, sides)) < LOUDNESS_BLOCK * sample_rate:
        return samples
    before, after = (loudness(side[None], sample_rate) for side in sides)
    if not (np.isfinite(before) and np.isfinite(after)):
        return samples
    length = round(GAIN_SECONDS * sample_rate)
    fade = samples[seam : seam + length]
    falling = np.linspace(1, 0, length, endpoint=False)[: len(fade)]
    onset = min(round(ONSET_SECONDS * sample_rate), len(fade))
    falling[:onset] *= np.linspace(0, 1, onset, endpoint=False)
    decibels = float(np.clip(before - after, -MOST_GAIN, MOST_GAIN))
    if decibels > 0:
        allowed = 20 * np.log10(np.maximum(peak(fade), FULL_SCALE) / np.maximum(np.abs(fade), 1e-9))
        decibels = min(decibels, float((allowed / np.maximum(falling, 1e-9)).min()))
    matched = samples.copy()
    matched[seam : seam + len(fade)] *= (10 ** (decibels * falling / 20)).astype(samples.dtype)
    return matched


def fade_out(samples: Samples, length: int) -> Samples:
    """Fade out the last `length` of samples (C, N) or (N,) along a quarter of a cosine."""
    length = min(length, samples.shape[-1])
    faded = samples.copy()
    faded[..., samples.shape[-1] - length :] *= np.cos(np.linspace(0, np.pi / 2, length, dtype=samples.dtype))
    return faded


def loudness(samples: Samples, sample_rate: int) -> float:
    """Integrated loudness of samples (C, N) in LUFS; -inf of silence."""
    if peak(samples) == 0:
        return -np.inf
    import pyloudnorm

    if samples.shape[0] > 2:
        samples = to_stereo(samples)
    shortest = ceil(LOUDNESS_BLOCK * sample_rate) + 1
    if samples.shape[1] < shortest:  # a shorter clip is as loud as itself in a loop
        samples = np.tile(samples, ceil(shortest / samples.shape[1]))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # it takes the mean of no blocks where all are too quiet
        return float(pyloudnorm.Meter(sample_rate, block_size=LOUDNESS_BLOCK).integrated_loudness(samples.T))
