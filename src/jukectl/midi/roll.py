"""A piano roll: what sounds, what begins and which drums are struck, at each code's time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jukectl.midi.notes import Notes

PITCHES = 128
CHANNELS = 1 + 3 * PITCHES
"""Of a roll: 1 wherever notes are told; then 128 each of pitches that sound, that begin, and of drums struck."""


@dataclass(frozen=True, eq=False)
class ToldNotes:
    """Notes in the time of a song, and the part of it of which they are told: elsewhere nobody says what sounds."""

    notes: Notes
    begin: float  # seconds
    end: float

    def roll(self, start: int, frames: int, *, rate: float) -> npt.NDArray[np.uint8]:
        """The roll as of `piano_roll`, all zeros where nothing is told."""
        roll = piano_roll(self.notes, start, frames, rate=rate)
        times = (start + np.arange(frames) + 0.5) / rate
        roll[(times < self.begin) | (times >= self.end)] = 0
        return roll


def piano_roll(notes: Notes, start: int, frames: int, *, rate: float) -> npt.NDArray[np.uint8]:
    """The roll (frames, CHANNELS), zeros and ones, of frames start, start + 1 …, of which there are `rate` a second.

    A note sounds from the frame that its start is in up to that of its stop, at least one. Drums have no length.
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
