"""How far sound changes at places where it might have been cut, beside how it changes everywhere."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LENGTH = 512  # audio samples that are looked at before a place, and after it
FLOOR = 1e-4  # magnitudes below this count as this: silence has no spectrum of its own
STEP = 64  # audio samples from one place elsewhere to the next


@dataclass(frozen=True)
class Seams:
    """What was measured at the seams of recordings, and everywhere else in them."""

    change: float  # dB, mean over the seams
    change_elsewhere: float
    click: float  # dB, mean over the seams
    click_elsewhere: float
    rank: float  # 0..1: the mean share of other places that change less; 0.5 where seams are like any place
    rank_click: float
    worst: float  # 0..1: the share of seams that change more than 95 of 100 other places do; 0.05 by chance
    count: int


def measure_seams(recordings: list[npt.NDArray[np.float32]], places: list[list[int]]) -> Seams:
    """What is heard at `places` of each recording (samples,), in audio samples from its start, beside elsewhere.

    ValueError where no place has enough sound on both sides of it.
    """
    here, there = [], []
    for audio, seams in zip(recordings, places, strict=True):
        whole = [place for place in seams if LENGTH <= place <= len(audio) - LENGTH]
        apart = [
            place
            for place in range(LENGTH, len(audio) - LENGTH + 1, STEP)
            if all(abs(place - seam) >= LENGTH for seam in seams)
        ]
        if whole and apart:
            own, others = (np.stack([changes(audio, some), clicks(audio, some)]) for some in (whole, apart))
            ranks = (others[:, None, :] < own[:, :, None]).mean(axis=2)
            here.append(np.concatenate([own, ranks]))
            there.append(others)
    if not here:
        raise ValueError("no seam has sound on both sides of it")
    seen, others = np.concatenate(here, axis=1), np.concatenate(there, axis=1)
    change, click, rank, rank_click = seen.mean(axis=1).tolist()
    elsewhere = others.mean(axis=1).tolist()
    worst = float((seen[2] > 0.95).mean())
    return Seams(change, elsewhere[0], click, elsewhere[1], rank, rank_click, worst, seen.shape[1])


def changes(audio: npt.NDArray[np.float32], places: list[int]) -> npt.NDArray[np.float64]:
    """How far the spectrum after each place is from the one before it, in dB: the mean over its bands, (places,)."""
    window = np.hanning(LENGTH)
    before = np.stack([audio[place - LENGTH : place] for place in places]) * window
    after = np.stack([audio[place : place + LENGTH] for place in places]) * window
    difference = np.abs(_decibels(after) - _decibels(before)).mean(axis=1)
    return np.asarray(difference, dtype=np.float64)


def clicks(audio: npt.NDArray[np.float32], places: list[int]) -> npt.NDArray[np.float64]:
    """How much louder, in dB, the upper half of the spectrum is at each place than just before and after, (places,)."""
    short = LENGTH // 4
    window = np.hanning(short)

    def upper(offset: int) -> npt.NDArray[np.float64]:
        pieces = np.stack([audio[place + offset - short // 2 : place + offset + short // 2] for place in places])
        loud: npt.NDArray[np.float64] = _decibels(pieces * window)[:, short // 4 :].mean(axis=1)
        return loud

    burst: npt.NDArray[np.float64] = upper(0) - (upper(-short) + upper(short)) / 2
    return burst


def _decibels(pieces: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Magnitudes of the spectrum of each piece, in dB."""
    spectrum = np.abs(np.fft.rfft(pieces, axis=1)) / pieces.shape[1]
    decibels: npt.NDArray[np.float64] = 20 * np.log10(np.maximum(spectrum, FLOOR))
    return decibels
