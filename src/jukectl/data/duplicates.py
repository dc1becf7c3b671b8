"""Duplicate recordings: copies that differ in file format, loudness, start or sample rate.

Frames with equal fingerprint bits vote for a pair of songs and the offset between them. A pair with enough votes is
then compared bit by bit over the whole overlap.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jukectl.audio import io, mix
from jukectl.audio.mix import Samples
from jukectl.errors import BadAudio

VERSION = 1  # of the constants below; cached fingerprints of another version are computed again
RATE = 5_512  # Hz, sufficient for the bands below
FRAME = 2_048  # samples, 0.37 s: long frames change slowly, so the exact frame offset matters little
HOP = 128  # samples, 23 ms
LAG = 4  # frames between the two spectra of a difference
BITS = 32
BAND_EDGES = np.geomspace(300, 2_000, BITS + 2)  # Hz
TIMBRE_FRAMES = 64  # 1.5 s
FRAMES_PER_SECOND = RATE / HOP
SILENT = 1e-4  # peak, -80 dBFS: below it is converter noise
FAINT = 1e-8  # mean square of a frame below which its bits would be noise


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """Acoustic fingerprint of a song."""

    seconds: float  # as decoded: headers can be wrong
    peak: float
    prints: np.ndarray  # (frames,) uint32, 0 for near-silent frames
    timbre: np.ndarray  # (frames / TIMBRE_FRAMES, bands) float32, mean energies


def fingerprint_of(path: Path) -> Fingerprint:
    """Compute the fingerprint of a recording in one pass; raise BadAudio if it is damaged or silent."""
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
    return Fingerprint(samples / stream.sample_rate, peak, *printer.finish())


class _Printer:
    """Fingerprints of streamed audio."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, dtype=np.float32)
        self._energies: list[np.ndarray] = []  # (frames, bands) each
        self._window = np.hanning(FRAME).astype(np.float32)
        edges = np.searchsorted(np.fft.rfftfreq(FRAME, 1 / RATE), BAND_EDGES)
        self._first, self._last = int(edges[0]), int(edges[-1])
        self._starts = edges[:-1] - edges[0]

    def push(self, samples: np.ndarray) -> None:
        """Add the next samples (n,) at RATE."""
        samples = np.concatenate([self._rest, samples])
        count = max(0, (len(samples) - FRAME) // HOP + 1)
        self._rest = samples[count * HOP :]
        if count:
            frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP][:count]
            power = np.abs(np.fft.rfft(frames * self._window)[:, self._first : self._last]) ** 2
            self._energies.append(np.add.reduceat(power, self._starts, axis=1).astype(np.float32))

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the fingerprint bits (frames,) uint32 of the whole recording, and its timbre."""
        energies = np.concatenate([np.zeros((0, BITS + 1), dtype=np.float32), *self._energies])
        slope = np.diff(energies, axis=1)  # over the bands
        bits = slope[LAG:] > slope[:-LAG]
        bits[energies[LAG:].sum(axis=1) < FAINT * FRAME**2] = False
        prints = np.packbits(bits, axis=1).view(">u4").astype(np.uint32).ravel()
        whole = len(energies) // TIMBRE_FRAMES * TIMBRE_FRAMES
        return prints, energies[:whole].reshape(-1, TIMBRE_FRAMES, BITS + 1).mean(axis=1)


MOST_ERRORS = (
    1 / 8
)  # share of bits that may differ: lossy coding changes up to 0.11, another rendering 0.35, other music 0.5
SHORTEST = round(5 * FRAMES_PER_SECOND)  # frames of overlap: short sounds are too similar to compare
LEAST_COVERED = 0.6  # share of the shorter song that must overlap
SAMPLED = 4  # one fingerprint in 4 votes, selected by its bits alone, so that all songs select the same
MOST_COMMON = 24  # occurrences of a fingerprint in all songs: frequent ones are no evidence
MOST_TIMBRE = 2.0  # dB by which the bands may differ, without loudness and tilt: coding 1.4, other instruments 2 to 5
LEAST_VOTES = 3
OFFSET_STEP = 4  # frames, the resolution of the votes for an offset
MOST_OFFSETS = 3  # compared for each pair
TINY = 1e-9  # energy, below that of any audible band
SONGS, STEPS = 1 << 20, 1 << 22  # upper bounds, so that a vote fits in 62 bits


def find_duplicates(songs: Sequence[Fingerprint]) -> list[list[int]]:
    """Return the groups of two or more songs that are one recording, as indices."""
    groups = {index: [index] for index in range(len(songs))}
    home = list(range(len(songs)))
    for (first, second), offsets in _candidates([song.prints for song in songs]).items():
        if home[first] != home[second] and any(_is_same(songs[first], songs[second], one) for one in offsets):
            kept, merged = sorted((home[first], home[second]))
            for index in groups[merged]:
                home[index] = kept
            groups[kept] += groups.pop(merged)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def _candidates(prints: Sequence[np.ndarray]) -> Mapping[tuple[int, int], list[int]]:
    """Return the pairs of songs with enough votes, and the offsets voted for: frames of the first before the second."""
    chosen = [np.flatnonzero(_votes(song)) for song in prints]
    if not sum(map(len, chosen)):
        return {}
    bits = np.concatenate([song[frames] for song, frames in zip(prints, chosen, strict=True)])
    places = np.concatenate(chosen)
    songs = np.repeat(np.arange(len(prints)), [len(frames) for frames in chosen])
    order = np.lexsort((songs, bits))
    bits, places, songs = bits[order], places[order], songs[order]
    rare = _rare(bits)
    bits, places, songs = bits[rare], places[rare], songs[rare]
    votes, counts = np.unique(
        np.concatenate([_pairs(bits, places, songs, lag) for lag in range(1, MOST_COMMON)]), return_counts=True
    )
    enough = counts >= LEAST_VOTES
    offered: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for vote, count in zip(votes[enough].tolist(), counts[enough].tolist(), strict=True):
        pair, step = divmod(vote, STEPS)
        offered.setdefault(divmod(pair, SONGS), []).append((count, (step - STEPS // 2) * OFFSET_STEP))
    return {pair: [offset for _, offset in sorted(some)[-MOST_OFFSETS:]] for pair, some in offered.items()}


def _rare(bits: np.ndarray) -> np.ndarray:
    """Return a mask of the sorted fingerprints that are rare enough to be evidence."""
    _, inverse, counts = np.unique(bits, return_inverse=True, return_counts=True)
    rare: np.ndarray = counts[inverse] <= MOST_COMMON
    return rare


def _votes(song: np.ndarray) -> np.ndarray:
    """Return a mask of the fingerprints that vote: a sample of those not silent and not equal to the previous."""
    mixed = song * np.uint32(2_654_435_761) >> np.uint32(16)  # multiplicative hashing, Knuth 6.4
    changed = np.ones(len(song), dtype=bool)
    changed[1:] = song[1:] != song[:-1]
    votes: np.ndarray = (song != 0) & changed & (mixed % SAMPLED == 0)
    return votes


def _pairs(bits: np.ndarray, places: np.ndarray, songs: np.ndarray, lag: int) -> np.ndarray:
    """Return votes (n,) of equal fingerprints `lag` apart in the sorted list: pair and offset step as one int64."""
    same = np.flatnonzero((bits[lag:] == bits[:-lag]) & (songs[lag:] != songs[:-lag]))
    first, second = same, same + lag
    steps = np.round((places[first] - places[second]) / OFFSET_STEP).astype(np.int64)
    votes: np.ndarray = (songs[first] * SONGS + songs[second]) * STEPS + steps + STEPS // 2
    return votes


def _is_same(first: Fingerprint, second: Fingerprint, offset: int) -> bool:
    """Return whether two songs match in their overlap, the second starting about `offset` frames after the first."""
    near = range(offset - OFFSET_STEP, offset + OFFSET_STEP + 1)
    errors = [_errors(first.prints, second.prints, one) for one in near]
    return min(errors) <= MOST_ERRORS and _timbre_difference(first, second, offset) <= MOST_TIMBRE


def _errors(first: np.ndarray, second: np.ndarray, offset: int) -> float:
    """Return the bit error rate in the overlap of two songs; 1 if the overlap is too short."""
    one, other = _overlap(first, second, offset)
    audible = (one != 0) & (other != 0)
    if len(one) < LEAST_COVERED * min(len(first), len(second)) or np.count_nonzero(audible) < SHORTEST:
        return 1.0
    return float(np.unpackbits((one[audible] ^ other[audible]).view(np.uint8)).mean())


def _timbre_difference(first: Fingerprint, second: Fingerprint, offset: int) -> float:
    """Return the difference of the bands of two songs in their overlap, in dB, without loudness and tilt."""
    one, other = _overlap(first.timbre, second.timbre, round(offset / TIMBRE_FRAMES))
    ratio = 10 * np.log10((one.mean(axis=0) + TINY) / (other.mean(axis=0) + TINY))
    bands = np.arange(len(ratio))
    return float(np.std(ratio - np.polyval(np.polyfit(bands, ratio, 1), bands)))


def _overlap(first: np.ndarray, second: np.ndarray, offset: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the overlap of two songs, the second starting `offset` frames after the first."""
    start, stop = max(0, offset), max(0, offset, min(len(first), len(second) + offset))
    return first[start:stop], second[start - offset : stop - offset]
