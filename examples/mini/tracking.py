"""Beats of recordings: a constant tempo fitted to the onsets, and nothing where that is unsure."""

import numpy as np

from jukectl.midi.beats import BeatGrid

HOP = 256  # samples between onset strengths
LATE = 0.010  # seconds by which onset strength lags behind attacks, measured on clicks
SLOWEST, FASTEST = 70.0, 180.0  # beats a minute that are looked for
USUAL = 120.0  # beats a minute; of tempi that fit as well the nearest to it is taken
LEAST_CONTRAST = 1.9  # onset strength on beats over the mean: below, the beat is unsure
LEAST_SHARE = 0.75  # of the song's parts in which beats are stronger than what lies between them
PART = 16  # beats of a part


def track_beats(wave: np.ndarray, sample_rate: int) -> BeatGrid | None:
    """Return the beats of samples (N,) of constant tempo in 4/4; None where they are unsure."""
    import librosa

    onsets = librosa.onset.onset_strength(y=wave, sr=sample_rate, hop_length=HOP, n_fft=1024)
    rate = sample_rate / HOP
    onsets = np.minimum(onsets, np.quantile(onsets, 0.99))
    if not onsets.any():
        return None
    bpm, first = _fit(onsets, rate)
    beats = np.arange(first, len(onsets) / rate, 60 / bpm)
    if len(beats) < 2 * PART or not _is_clear(onsets, rate, beats):
        return None
    low = librosa.onset.onset_strength(y=wave, sr=sample_rate, hop_length=HOP, n_fft=1024, fmax=200, n_mels=8)
    bar = [_at(low, rate, beats[place::4]).mean() for place in range(4)]
    times = np.maximum(beats - LATE, 0)
    if times[1] <= times[0]:
        times = times[1:]
        bar = bar[1:] + bar[:1]
    return BeatGrid(times, 4, int(np.argmax(bar)))


def _fit(onsets: np.ndarray, rate: float) -> tuple[float, float]:
    """Return the tempo in beats a minute, and the second of the first beat."""
    # The spectrum of onset strength has a peak at the beat's frequency, which long recordings resolve finely
    size = 1 << int(np.ceil(np.log2(8 * len(onsets))))
    spectrum = np.abs(np.fft.rfft(onsets - onsets.mean(), size))
    bpm = np.fft.rfftfreq(size, 1 / rate) * 60
    double = np.interp(2 * bpm, bpm, spectrum)
    quadruple = np.interp(4 * bpm, bpm, spectrum)
    score = (spectrum + double + quadruple) * np.exp(-0.5 * (np.log2(np.maximum(bpm, 1) / USUAL) / 0.8) ** 2)
    inside = (bpm >= SLOWEST) & (bpm <= FASTEST)
    best = float(bpm[inside][np.argmax(score[inside])])
    phases = np.arange(0, 60 / best, 0.25 / rate)
    count = int((len(onsets) / rate - 60 / best) * best / 60)
    strengths = [_at(onsets, rate, phase + np.arange(count) * 60 / best).mean() for phase in phases]
    return best, float(phases[int(np.argmax(strengths))])


def _at(onsets: np.ndarray, rate: float, times: np.ndarray) -> np.ndarray:
    """Return onset strength at times, the strongest within a frame."""
    places = np.clip(np.round(times * rate).astype(int), 1, len(onsets) - 2)
    return np.maximum.reduce([onsets[places - 1], onsets[places], onsets[places + 1]])


def _is_clear(onsets: np.ndarray, rate: float, beats: np.ndarray) -> bool:
    """Return whether beats are strong, all through the recording."""
    step = beats[1] - beats[0]
    strong = _at(onsets, rate, beats)
    between = np.maximum(_at(onsets, rate, beats + step / 3), _at(onsets, rate, beats + 2 * step / 3))
    parts = len(beats) // PART
    won = [
        strong[part * PART : (part + 1) * PART].mean() > between[part * PART : (part + 1) * PART].mean()
        for part in range(parts)
    ]
    return bool(strong.mean() >= LEAST_CONTRAST * onsets.mean() and np.mean(won) >= LEAST_SHARE)
