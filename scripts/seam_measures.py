"""Changes of sound at seams, the places where it might have been cut, compared with those everywhere else."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LENGTH = 512  # audio samples analysed before a place, and after it
FLOOR = 1e-4  # lowest magnitude: silence has no logarithm
STEP = 64  # audio samples between two places elsewhere


@dataclass(frozen=True)
class Seams:
    """Changes at the seams of recordings, and everywhere else in them."""

    change: float  # dB, mean over the seams
    change_elsewhere: float
    click: float  # dB, mean over the seams
    click_elsewhere: float
    rank: float  # 0..1: mean share of other places that change less; 0.5 if seams are like any place
    rank_click: float
    worst: float  # 0..1: share of seams that change more than 95 % of other places; 0.05 if they are like any place
    count: int


def measure_seams(recordings: list[npt.NDArray[np.float32]], places: list[list[int]]) -> Seams:
    """Measure the changes at `places` of each recording (N,), in audio samples from its start, and elsewhere.

    Raises ValueError if no place has LENGTH samples on both sides of it.
    """
    at_seams, elsewhere = [], []  # (4, seams) and (2, places) of each recording
    for audio, marks in zip(recordings, places, strict=True):
        whole = [place for place in marks if LENGTH <= place <= len(audio) - LENGTH]
        apart = [
            place
            for place in range(LENGTH, len(audio) - LENGTH + 1, STEP)
            if all(abs(place - mark) >= LENGTH for mark in marks)
        ]
        if whole and apart:
            own, others = (np.stack([changes(audio, some), clicks(audio, some)]) for some in (whole, apart))
            ranks = (others[:, None, :] < own[:, :, None]).mean(axis=2)
            at_seams.append(np.concatenate([own, ranks]))
            elsewhere.append(others)
    if not at_seams:
        raise ValueError("no seam has sound on both sides of it")
    seams = np.concatenate(at_seams, axis=1)
    change, click, rank, rank_click = seams.mean(axis=1).tolist()
    change_elsewhere, click_elsewhere = np.concatenate(elsewhere, axis=1).mean(axis=1).tolist()
    worst = float((seams[2] > 0.95).mean())
    return Seams(change, change_elsewhere, click, click_elsewhere, rank, rank_click, worst, seams.shape[1])


def changes(audio: npt.NDArray[np.float32], places: list[int]) -> npt.NDArray[np.float64]:
    """Return the distance of the spectra before and after each place in dB, the mean over bands, (places,)."""
    window = np.hanning(LENGTH)
    before = np.stack([audio[place - LENGTH : place] for place in places]) * window
    after = np.stack([audio[place : place + LENGTH] for place in places]) * window
    difference = np.abs(_decibels(after) - _decibels(before)).mean(axis=1)
    return np.asarray(difference, dtype=np.float64)


def clicks(audio: npt.NDArray[np.float32], places: list[int]) -> npt.NDArray[np.float64]:
    """Return how much louder the upper half of the spectrum is at each place than just around it, in dB, (places,)."""
    short = LENGTH // 4
    window = np.hanning(short)

    def upper(offset: int) -> npt.NDArray[np.float64]:
        pieces = np.stack([audio[place + offset - short // 2 : place + offset + short // 2] for place in places])
        loud: npt.NDArray[np.float64] = _decibels(pieces * window)[:, short // 4 :].mean(axis=1)
        return loud

    burst: npt.NDArray[np.float64] = upper(0) - (upper(-short) + upper(short)) / 2
    return burst


def _decibels(pieces: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the magnitudes of the spectrum of each piece in dB."""
    spectrum = np.abs(np.fft.rfft(pieces, axis=1)) / pieces.shape[1]
    decibels: npt.NDArray[np.float64] = 20 * np.log10(np.maximum(spectrum, FLOOR))
    return decibels
