"""Strength of the beat: the autocorrelation of onset strength."""

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jukectl.librosa import load_librosa

HOP_SECONDS = 512 / 22_050  # between frames of onset strength
WINDOW_SECONDS = 2_048 / 22_050  # of a spectrum
SHORTEST_LAG, LONGEST_LAG = 0.25, 1.05  # seconds: beats at 57 to 240 a minute
SHORTEST_SECONDS = 3 * LONGEST_LAG

Vector = NDArray[np.float64]


def beat_strength(audio: ArrayLike, sample_rate: int) -> float:
    """Return how clearly audio (N,) keeps a beat: 1 is exactly periodic, low-passed noise has some 0.08.

    This is the mean of the normalised autocorrelation of onset strength at two lags: the lag between 0.25 and 1.05 s
    where it is highest, and twice that lag. Audio without onsets has 0. Raises ValueError for audio that is shorter
    than three times the longest lag.
    """
    return beat(onset_strength(audio, sample_rate))[0]


def beat(onsets: Vector) -> tuple[float, float]:
    """Return beat strength and period in seconds of onset strength (frames,); 0 and nan where there are no onsets."""
    centred = onsets - onsets.mean()
    power = float(centred @ centred)
    if power <= 1e-12 * max(1.0, float(onsets @ onsets)):
        return 0.0, float("nan")
    spectrum = np.fft.rfft(centred, 2 * len(centred))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: len(centred)] / power
    first, last = round(SHORTEST_LAG / HOP_SECONDS), round(LONGEST_LAG / HOP_SECONDS)
    lag = first + int(correlation[first : last + 1].argmax())
    twice = correlation[2 * lag - 1 : 2 * lag + 2].max()  # the exact period lies between two frames
    return float((correlation[lag] + twice) / 2), lag * HOP_SECONDS


def onset_strength(audio: ArrayLike, sample_rate: int) -> Vector:
    """Return the onset strength (frames,) of audio (N,), a frame each HOP_SECONDS: mean rise of mel bands in dB."""
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim != 1 or len(samples) < SHORTEST_SECONDS * sample_rate:
        raise ValueError(
            f"needs audio (N,) of {SHORTEST_SECONDS:.2f} s or more, got {samples.shape} at {sample_rate} Hz"
        )
    librosa = load_librosa()

    hop = max(1, round(HOP_SECONDS * sample_rate))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Empty filters detected")  # at low sample rates
        mel = librosa.feature.melspectrogram(
            y=samples, sr=sample_rate, n_fft=max(16, round(WINDOW_SECONDS * sample_rate)), hop_length=hop, n_mels=128
        )
    strength = librosa.onset.onset_strength(S=librosa.power_to_db(mel), sr=sample_rate, hop_length=hop)
    return np.asarray(strength, dtype=np.float64)
