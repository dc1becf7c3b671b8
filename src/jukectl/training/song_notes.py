"""The notes of an encoded song as a prior learns them: piano rolls of its segments."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jukectl.errors import BadInput, BadManifest
from jukectl.midi.notes import Notes, read_midi
from jukectl.midi.roll import CHANNELS, piano_roll
from jukectl.prior.labels import LabelBatch


@dataclass(frozen=True, eq=False)
class SongNotes:
    """The notes of a song, and the rate of the codes that they are told to."""

    notes: Notes
    rate: float  # codes a second

    def roll(self, start: int, frames: int) -> np.ndarray:
        """The piano roll (frames, CHANNELS) uint8 from the code `start` on."""
        return piano_roll(self.notes, start, frames, rate=self.rate)


def read_notes(path: Path | None, rate: float) -> SongNotes | None:
    """The notes in a MIDI file, None for a song without; BadManifest where they cannot be read."""
    if path is None:
        return None
    try:
        return SongNotes(read_midi(path), rate)
    except BadInput as error:
        raise BadManifest(f"{error}. Remove it, and make the manifest and the codes' folder again") from error


def rolls(songs: Sequence[tuple[SongNotes | None, int]], frames: int) -> Tensor:
    """The rolls (B, frames, CHANNELS) uint8 of songs from a code each on, zeros of songs without notes."""
    empty = np.zeros((frames, CHANNELS), dtype=np.uint8)
    return torch.from_numpy(np.stack([empty if one is None else one.roll(start, frames) for one, start in songs]))


def with_other_notes(batches: Sequence[LabelBatch]) -> list[LabelBatch] | None:
    """The same batches, each told the notes of the next that has any; None where that is no other's."""
    told = [batch.notes for batch in batches]
    filled = [number for number, notes in enumerate(told) if notes is not None and bool(notes[:, 0, 0].any())]
    if len(filled) < 2:
        return None
    moved = dict(zip(filled, filled[len(filled) // 2 :] + filled[: len(filled) // 2], strict=True))
    return [replace(batch, notes=told[moved.get(number, number)]) for number, batch in enumerate(batches)]
