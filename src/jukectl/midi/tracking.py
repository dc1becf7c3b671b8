"""Beats of recordings: a constant tempo fitted to the onsets, and nothing where that is unsure."""

import numpy as np
import numpy.typing as npt

from jukectl.librosa import load_librosa
from jukectl.midi.beats import DEFAULT_METER, BeatGrid, beats_of

HOP = 256  # samples between onset strengths
LATE = 0.010  # seconds by which onset strength lags behind attacks, measured on clicks
SLOWEST, FASTEST = 70.0, 180.0  # beats a minute that are looked for
USUAL = 120.0  # beats a minute; of tempi that fit as well the nearest to it is taken
LEAST_CONTRAST = 1.9  # onset strength on beats over the mean: below, the beat is unsure
LEAST_SHARE = 0.75  # of the recording's parts in which beats are stronger than what lies between them
LEAST_BEATS = 32  # of a recording to learn from, of which a wrong grid does more harm than none

Samples = npt.NDArray[np.float32]
Strengths = npt.NDArray[np.floating]


def track_beats(
    wave: Samples,
    sample_rate: int,
    *,
    meter: str = DEFAULT_METER,
    least: int = LEAST_BEATS,
    contrast: float = LEAST_CONTRAST,
) -> BeatGrid | None:
    """Return the beats of samples (N,) of constant tempo; None where they are unsure, or fewer than `least`."""
    librosa = load_librosa()

    onsets = librosa.onset.onset_strength(y=wave, sr=sample_rate, hop_length=HOP, n_fft=1024)
    rate = sample_rate / HOP
    onsets = np.minimum(onsets, np.quantile(onsets, 0.99))
    if not onsets.any():
        return None
    bpm = fit_tempo(onsets, rate)
    if len(onsets) / rate * bpm / 60 < max(least, 2):
        return None
    beats = np.arange(_first(onsets, rate, bpm), len(onsets) / rate, 60 / bpm)
    if len(beats) < max(least, 2) or not _is_clear(onsets, rate, beats, least // 2, contrast):
        return None
    beats_per_bar = beats_of(meter)
    # bars begin where the bass is struck hardest
    low = librosa.onset.onset_strength(y=wave, sr=sample_rate, hop_length=HOP, n_fft=1024, fmax=200, n_mels=8)
    bar = [_at(low, rate, beats[place::beats_per_bar]).mean() for place in range(beats_per_bar)]
    times = np.maximum(beats - LATE, 0)
    if times[1] <= times[0]:
        times = times[1:]
        bar = bar[1:] + bar[:1]
    return BeatGrid(times, beats_per_bar, int(np.argmax(bar)), meter=meter)


def fit_tempo(onsets: Strengths, rate: float) -> float:
    """Return the tempo in beats a minute, SLOWEST to FASTEST, of onset strengths (frames,), `rate` of them a second."""
    # The spectrum of onset strength has a peak at the beat's frequency, which long recordings resolve finely
    size = 1 << int(np.ceil(np.log2(8 * len(onsets))))
    spectrum = np.abs(np.fft.rfft(onsets - onsets.mean(), size))
    bpm = np.fft.rfftfreq(size, 1 / rate) * 60
    double = np.interp(2 * bpm, bpm, spectrum)
    quadruple = np.interp(4 * bpm, bpm, spectrum)
    score = (spectrum + double + quadruple) * np.exp(-0.5 * (np.log2(np.maximum(bpm, 1) / USUAL) / 0.8) ** 2)
    inside = (bpm >= SLOWEST) & (bpm <= FASTEST)
    return float(bpm[inside][np.argmax(score[inside])])


def _first(onsets: Strengths, rate: float, bpm: float) -> float:
    """Return the second of the first beat, of the phases at which beats are strongest."""
    phases = np.arange(0, 60 / bpm, 0.25 / rate)
    count = int((len(onsets) / rate - 60 / bpm) * bpm / 60)
    strengths = [_at(onsets, rate, phase + np.arange(count) * 60 / bpm).mean() for phase in phases]
    return float(phases[int(np.argmax(strengths))])


def _at(onsets: Strengths, rate: float, times: npt.NDArray[np.float64]) -> Strengths:
    """Return onset strength at times, the strongest within a frame."""
    places = np.clip(np.round(times * rate).astype(int), 1, len(onsets) - 2)
    strongest: Strengths = np.maximum(np.maximum(onsets[places - 1], onsets[places]), onsets[places + 1])
    return strongest


def _is_clear(onsets: Strengths, rate: float, beats: npt.NDArray[np.float64], part: int, contrast: float) -> bool:
    """Return whether beats are strong, in most parts of the recording, of `part` beats each."""
    step = beats[1] - beats[0]
    strong = _at(onsets, rate, beats)
    between = np.maximum(_at(onsets, rate, beats + step / 3), _at(onsets, rate, beats + 2 * step / 3))
    spans = [slice(number * part, (number + 1) * part) for number in range(len(beats) // part)]
    won = [strong[span].mean() > between[span].mean() for span in spans]
    return bool(strong.mean() >= contrast * onsets.mean() and np.mean(won) >= LEAST_SHARE)
