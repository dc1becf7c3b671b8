"""Piano rolls: the pitches that sound and begin, and the drums that are struck, at the rate of codes."""

from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

from jukectl.midi.notes import Notes

PITCHES = 128
CHANNELS = 1 + 3 * PITCHES
"""Channels of a roll: 1 at covered times; then 128 each for pitches that sound, pitches that begin, and drums."""


@dataclass(frozen=True, eq=False)
class CoveredNotes:
    """Notes in the time of a song, and the part of it that they cover: outside, a model is free in what it plays."""

    notes: Notes
    begin: float = 0.0  # seconds
    end: float = inf

    def roll(self, start: int, frames: int, *, rate: float) -> npt.NDArray[np.uint8]:
        """Return the roll of `piano_roll`, with zeros outside the covered part."""
        roll = piano_roll(self.notes, start, frames, rate=rate)
        times = (start + np.arange(frames) + 0.5) / rate
        roll[(times < self.begin) | (times >= self.end)] = 0
        return roll


NO_NOTES = CoveredNotes(Notes.of([]), 0.0, 0.0)
"""Covers nothing: the roll of a song without notes, in a batch of songs of which some have notes."""


def piano_roll(notes: Notes, start: int, frames: int, *, rate: float) -> npt.NDArray[np.uint8]:
    """Return the roll (frames, CHANNELS), zeros and ones, of frames start, start + 1 …, `rate` of them a second.

    A note sounds from the frame of its start up to the frame of its stop, at least one frame. Drums have no length.
    """
    roll = np.zeros((frames, CHANNELS), dtype=np.uint8)
    roll[:, 0] = 1
    # to a thousandth of a frame: a time written as the beginning of a frame is in that frame
    first = np.floor(notes.starts * rate + 1e-3).astype(np.int64) - start
    last = np.maximum(np.ceil(notes.stops * rate - 1e-3).astype(np.int64) - start, first + 1)
    seen = np.flatnonzero((first < frames) & (last > 0))
    for index in seen:
        pitch, begin = int(notes.pitches[index]), int(first[index])
        if notes.drums[index]:
            if begin >= 0:
                roll[begin, 1 + 2 * PITCHES + pitch] = 1
            continue
        roll[max(begin, 0) : int(last[index]), 1 + pitch] = 1
        if begin >= 0:
            roll[begin, 1 + PITCHES + pitch] = 1
    return roll
