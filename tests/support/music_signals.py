"""Music whose key, tempo and repetition are known."""

import numpy as np

RATE = 22_050  # Hz


def tone(semitone: float, seconds: float) -> np.ndarray:
    """Return a note with overtones, `semitone` semitones above middle C."""
    time = np.arange(round(seconds * RATE)) / RATE
    frequency = 261.63 * 2 ** (semitone / 12)
    return sum(np.sin(2 * np.pi * frequency * n * time) / n for n in (1, 2, 3)) * np.minimum(1, 20 * (seconds - time))


def scale(tonic: int, steps: tuple[int, ...]) -> np.ndarray:
    """Return a scale up and down, and its tonic triad."""
    up = [tonic + step for step in steps] + [tonic + 12]
    notes = [*up, *up[::-1], tonic, tonic + steps[2], tonic + 7, tonic]
    return 0.2 * np.concatenate([tone(note, 0.3) for note in notes]).astype(np.float32)


def clicks(bpm: float, seconds: float = 12) -> np.ndarray:
    samples = np.zeros(round(seconds * RATE), np.float32)
    burst = np.random.default_rng(0).standard_normal(400) * np.hanning(400)
    for beat in np.arange(0, seconds - 0.1, 60 / bpm):
        start = round(beat * RATE)
        samples[start : start + 400] += 0.5 * burst.astype(np.float32)
    return samples


def melody(seconds: float, seed: int) -> np.ndarray:
    notes = np.random.default_rng(seed).integers(-12, 13, round(seconds / 0.25))
    return 0.2 * np.concatenate([tone(note, 0.25) for note in notes]).astype(np.float32)
