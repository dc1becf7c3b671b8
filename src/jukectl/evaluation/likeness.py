"""Distance between two stretches of music: key, tempo, harmony, timbre, loudness, repetition and silence.

Stretches are mono audio (N,), at least SHORTEST seconds of it. Chroma and MFCC are librosa's.
"""

import warnings
from dataclasses import dataclass, fields
from math import isfinite, log2, nan
from typing import Self

import numpy as np
from numpy.typing import NDArray

from jukectl.audio import mix
from jukectl.audio.faults import repetition, silence
from jukectl.audio.mix import Samples
from jukectl.librosa import load_librosa
from jukectl.midi.tracking import fit_tempo

SHORTEST = 1.0  # seconds that a key and a tempo can be found in
CHROMA_SECONDS = 0.3  # window, long enough to separate semitones from 100 Hz up
HOP_SECONDS = 0.023  # between frames, 512 samples at 22,050 Hz
MEL_BANDS = 40

MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""Fit of each semitone above the tonic in a key: probe tone ratings of Krumhansl and Kessler (1982)."""

NOTES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Key:
    """A key: its tonic in semitones above C, and its mode."""

    tonic: int
    minor: bool

    def __str__(self) -> str:
        return f"{NOTES[self.tonic]} {'minor' if self.minor else 'major'}"

    def fifths_to(self, other: "Key") -> int:
        """Return the steps between two keys' signatures on the circle of fifths, 0 to 6; 0 for A minor and C major."""
        signatures = [7 * (key.tonic + 3 * key.minor) % 12 for key in (self, other)]
        apart = abs(signatures[0] - signatures[1])
        return min(apart, 12 - apart)


@dataclass(frozen=True, eq=False, kw_only=True)
class Portrait:
    """Features of a stretch of music."""

    chroma: Vector  # (12,) mean share of each pitch class, C first
    timbre: Vector  # (19,) mean MFCC 1 to 19; coefficient 0 is loudness
    bpm: float  # beats per minute; nan without onsets
    lufs: float  # integrated loudness, ITU-R BS.1770; -inf of silence
    repetition: float  # share of half seconds that occur again, nearly equal
    silence: float  # share of the time below -60 dB of full scale

    @property
    def key(self) -> Key | None:
        """Key that fits the chroma best; None for silence."""
        return find_key(self.chroma)

    @classmethod
    def of(cls, samples: Samples, sample_rate: int) -> Self:
        """Analyse samples (N,). Raises ValueError for less than SHORTEST seconds."""
        if len(samples) < SHORTEST * sample_rate:
            raise ValueError(f"needs {SHORTEST} s or more, got {len(samples) / sample_rate:.3f} s")
        librosa = load_librosa()

        hop = max(1, round(HOP_SECONDS * sample_rate))
        window = 2 ** round(log2(CHROMA_SECONDS * sample_rate))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Trying to estimate tuning from empty")  # silence has none
            chroma = librosa.feature.chroma_stft(
                y=samples, sr=sample_rate, n_fft=window, hop_length=4 * hop, norm=None
            )  # (12, frames)
        mel = librosa.feature.melspectrogram(
            y=samples, sr=sample_rate, n_fft=4 * hop, hop_length=hop, n_mels=MEL_BANDS
        )  # (bands, frames) of power
        total = float(chroma.sum())
        onsets = librosa.onset.onset_strength(S=librosa.power_to_db(mel), sr=sample_rate)
        return cls(
            chroma=np.asarray(chroma.sum(axis=1) / total if total > 0 else chroma.sum(axis=1), dtype=np.float64),
            timbre=np.asarray(librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=20)[1:].mean(axis=1), np.float64),
            bpm=fit_tempo(onsets, sample_rate / hop) if np.any(onsets > 0) else nan,
            lufs=mix.loudness(samples[None], sample_rate),
            repetition=repetition(mel, frames_per_second=sample_rate / hop),
            silence=silence(samples, sample_rate),
        )


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """Distances of one stretch of music from another; 0 is equal. nan if one of them lacks the feature."""

    key_fifths: float  # steps between their keys' signatures on the circle of fifths, 0 to 6
    tempo_percent: float  # difference of tempo, double and half time counted as equal: 0 to 41
    chroma: float  # 1 - cosine of the mean chroma, 0 to 1
    timbre: float  # Euclidean distance of the mean MFCC, in their decibels
    loudness_lu: float  # loudness units (decibels) between them
    repetition: float  # difference of the shares that repeat, the second less the first
    silence: float  # difference of the shares that are silent, likewise

    @classmethod
    def between(cls, first: Portrait, second: Portrait) -> Self:
        """Compare a stretch with the one that follows it."""
        keys = first.key, second.key
        level = second.lufs - first.lufs
        return cls(
            key_fifths=nan if keys[0] is None or keys[1] is None else keys[0].fifths_to(keys[1]),
            tempo_percent=tempo_difference(first.bpm, second.bpm),
            chroma=1 - _cosine(first.chroma, second.chroma),
            timbre=float(np.linalg.norm(first.timbre - second.timbre)),
            loudness_lu=abs(level) if isfinite(level) else nan,
            repetition=second.repetition - first.repetition,
            silence=second.silence - first.silence,
        )


MEASURES = tuple(field.name for field in fields(Likeness))


def find_key(chroma: Vector) -> Key | None:
    """Return the key whose profile correlates best with chroma (12,), None if all are equal (Krumhansl 1990, ch. 4)."""
    if np.ptp(chroma) == 0:
        return None
    keys = [Key(tonic, minor) for minor in (False, True) for tonic in range(12)]
    profiles = [np.roll(MINOR if key.minor else MAJOR, key.tonic) for key in keys]
    fits = [float(np.corrcoef(chroma, profile)[0, 1]) for profile in profiles]
    return keys[int(np.argmax(fits))]


def tempo_difference(first: float, second: float) -> float:
    """Return the percent between two tempi, one doubled or halved to be nearest: 0 to 41; nan without a tempo."""
    if not (first > 0 and second > 0):
        return nan
    octaves = abs(log2(second / first)) % 1
    return float(100 * (2 ** min(octaves, 1 - octaves) - 1))


def _cosine(first: Vector, second: Vector) -> float:
    """Return the cosine of two vectors; nan if one of them is zero."""
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return min(1.0, float(first @ second) / norm) if norm > 0 else nan
