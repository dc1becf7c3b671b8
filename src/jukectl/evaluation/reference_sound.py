"""A sound to check models with where the user gives none: plucked chords over a bass, always the same."""

import numpy as np

from jukectl.audio.mix import Samples

BEAT = 0.5  # seconds
CHORDS = ((57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62))  # MIDI notes: A minor, F, C, G
HARMONICS = 8


def chords(seconds: float, sample_rate: int) -> Samples:
    """Mono audio (N,), float32 in -1..1: a chord over its bass on every beat, each dying away in two."""
    count = round(seconds * sample_rate)
    sound = np.zeros(count + 2 * round(BEAT * sample_rate))
    time = np.arange(round(2 * BEAT * sample_rate)) / sample_rate
    for beat in range(int(seconds / BEAT) + 1):
        start = round(beat * BEAT * sample_rate)
        root, *others = CHORDS[beat // 4 % len(CHORDS)]
        notes = (root - 12, root, *others) if beat % 2 == 0 else (root, others[beat % 4 // 2])
        struck = np.asarray(sum(_pluck(note, time, sample_rate) for note in notes))
        span = sound[start : start + len(time)]
        span += struck[: len(span)]
    samples: Samples = (0.5 * sound / np.abs(sound).max())[:count].astype(np.float32)
    return samples


def _pluck(note: int, time: np.ndarray, sample_rate: int) -> np.ndarray:
    frequency = 440 * 2 ** ((note - 69) / 12)
    heard = [number for number in range(1, HARMONICS + 1) if number * frequency < sample_rate / 2]
    tones = [np.sin(2 * np.pi * number * frequency * time) * np.exp(-3 * number * time) / number for number in heard]
    return np.asarray(sum(tones))
