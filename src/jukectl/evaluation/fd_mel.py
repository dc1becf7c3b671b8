"""FD-mel: the Fréchet distance between the log-mel frames of two sets of music."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from jukectl.audio import mix
from jukectl.audio.mix import Samples
from jukectl.librosa import load_librosa

SAMPLE_RATE = 22_050  # Hz, to which all music is resampled
WINDOW, HOP = 2_048, 512  # samples of a frame, and between two
BANDS = 64  # on the mel scale, up to 11,025 Hz
LOWEST = 1e-6  # power of a band: -60 dB
CHANGE_FRAMES = 4  # 0.09 s, over which a band's change is taken
LOUDNESS, SILENT = -23.0, -60.0  # LUFS that music is brought to, and below which it stays as it is

Frames = NDArray[np.float32]
"""(frames, 2 BANDS): the bands of each frame in dB, and their change since CHANGE_FRAMES before in dB."""


def mel_frames(samples: Samples, sample_rate: int) -> Frames:
    """Return the log-mel frames of samples (N,), at equal loudness, and their change. Half a second has 18."""
    librosa = load_librosa()
    wave = mix.resample(samples, sample_rate, SAMPLE_RATE)
    loudness = mix.loudness(wave[None], SAMPLE_RATE)
    if loudness > SILENT:
        wave = wave * np.float32(10 ** ((LOUDNESS - loudness) / 20))
    power = librosa.feature.melspectrogram(y=wave, sr=SAMPLE_RATE, n_fft=WINDOW, hop_length=HOP, n_mels=BANDS)
    decibels = 10 * np.log10(np.maximum(power.T, LOWEST))  # (frames, BANDS)
    change = decibels[CHANGE_FRAMES:] - decibels[:-CHANGE_FRAMES]
    return np.concatenate([decibels[CHANGE_FRAMES:], change], axis=1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A normal distribution in D dimensions."""

    mean: NDArray[np.float64]  # (D,)
    covariance: NDArray[np.float64]  # (D, D)

    @classmethod
    def fit(cls, sets: Sequence[NDArray[np.floating]]) -> Self:
        """Fit the vectors (n, D) of several sets taken together. Raises ValueError for fewer than two vectors."""
        count = sum(len(vectors) for vectors in sets)
        if count < 2:
            raise ValueError(f"needs two vectors or more, got {count}")
        mean = np.sum([vectors.sum(axis=0, dtype=np.float64) for vectors in sets], axis=0) / count
        centred = (vectors - mean for vectors in sets)
        return cls(mean, np.sum([vectors.T @ vectors for vectors in centred], axis=0) / (count - 1))


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """Return the Fréchet distance of two Gaussians, |m - n|² + tr(C + D - 2 (C D)^½), 0 or more (Dowson, Landau 1982).

    m and n are their means, C and D their covariances, which may be singular. The unit is that of the vectors, squared.
    """
    # (C D)^½ has the trace of (C^½ D C^½)^½, which is symmetric
    values, vectors = np.linalg.eigh(first.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    products = np.linalg.eigvalsh(root @ second.covariance @ root)
    shared = float(np.sqrt(np.maximum(products, 0)).sum())
    apart = float(np.square(first.mean - second.mean).sum())
    return max(0.0, apart + float(np.trace(first.covariance) + np.trace(second.covariance)) - 2 * shared)


def fd_mel(songs: Sequence[Frames], recordings: Sequence[Frames]) -> float:
    """Return the Fréchet distance in dB² between the frames of songs and those of recordings, lower is better.

    As the Fréchet audio distance (Kilgour et al. 2019), on log-mel frames and their change in place of a network's
    embeddings. It falls with the number of songs, so compare sets of one size.
    """
    return frechet_distance(Gaussian.fit(songs), Gaussian.fit(recordings))
