"""One pass through a song: is it whole, is it silent, and a fingerprint of how it sounds.

The fingerprint is that of Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002): 32 bits a
frame, each the sign of a difference between neighbouring bands and moments. It does not change with loudness and
hardly with coding, so the same recording is found again however it is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jukectl.audio import io, mix
from jukectl.audio.mix import Samples
from jukectl.errors import BadAudio

VERSION = 1  # of the numbers below; what was heard with others is heard again
RATE = 5_512  # Hz, enough for the bands
FRAME = 2_048  # samples, 0.37 s: long frames change slowly, so it does not matter where exactly they begin
HOP = 128  # samples, 23 ms
LAG = 4  # frames between the two moments of a difference
BITS = 32
BAND_EDGES = np.geomspace(300, 2_000, BITS + 2)  # Hz
TIMBRE_FRAMES = 64  # 1.5 s
FRAMES_PER_SECOND = RATE / HOP
SILENT = 1e-4  # peak, -80 dBFS: what is softer is noise of the converter
FAINT = 1e-8  # mean square of a frame under which its bits would be noise


@dataclass(frozen=True, eq=False)
class Heard:
    """What a song sounds like."""

    seconds: float  # as decoded: headers err
    peak: float
    prints: np.ndarray  # (frames,) uint32, 0 where there is next to nothing to hear
    timbre: np.ndarray  # (frames / TIMBRE_FRAMES, bands) float32, mean energies


def listen(path: Path) -> Heard:
    """Decode a song once, in blocks. BadAudio where it is damaged, or silent."""
    stream = io.stream(path)
    peak, samples = 0.0, 0

    def mono() -> Iterator[Samples]:
        nonlocal peak, samples
        for block in stream.blocks:
            peak, samples = max(peak, mix.peak(block)), samples + block.shape[1]
            yield mix.to_mono(block)[None]

    printer = _Printer()
    for block in mix.resample_blocks(mono(), stream.sample_rate, RATE):
        printer.push(block[0])
    if peak < SILENT:
        raise BadAudio(f"{path} is silent: its peak is {20 * np.log10(max(peak, 1e-10)):.0f} dBFS")
    return Heard(samples / stream.sample_rate, peak, *printer.finish())


class _Printer:
    """Fingerprints of audio that comes in blocks."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, dtype=np.float32)
        self._energies: list[np.ndarray] = []  # (frames, bands) each
        self._window = np.hanning(FRAME).astype(np.float32)
        edges = np.searchsorted(np.fft.rfftfreq(FRAME, 1 / RATE), BAND_EDGES)
        self._first, self._last = int(edges[0]), int(edges[-1])
        self._starts = edges[:-1] - edges[0]

    def push(self, samples: np.ndarray) -> None:
        """The next samples (n,) at RATE."""
        samples = np.concatenate([self._rest, samples])
        count = max(0, (len(samples) - FRAME) // HOP + 1)
        self._rest = samples[count * HOP :]
        if count:
            frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP][:count]
            power = np.abs(np.fft.rfft(frames * self._window)[:, self._first : self._last]) ** 2
            self._energies.append(np.add.reduceat(power, self._starts, axis=1).astype(np.float32))

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """The bits (frames,) uint32 of all of it, and its timbre."""
        energies = np.concatenate([np.zeros((0, BITS + 1), dtype=np.float32), *self._energies])
        slope = np.diff(energies, axis=1)  # over the bands
        bits = slope[LAG:] > slope[:-LAG]
        bits[energies[LAG:].sum(axis=1) < FAINT * FRAME**2] = False
        prints = np.packbits(bits, axis=1).view(">u4").astype(np.uint32).ravel()
        whole = len(energies) // TIMBRE_FRAMES * TIMBRE_FRAMES
        return prints, energies[:whole].reshape(-1, TIMBRE_FRAMES, BITS + 1).mean(axis=1)
