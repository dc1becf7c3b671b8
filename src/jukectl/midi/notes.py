"""Notes in seconds, and the MIDI files that hold them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from jukectl.errors import BadInput
from jukectl.files import atomic_write, read_bytes
from jukectl.midi.smf import check_is_midi, limited

LONGEST = 36_000  # seconds; a note later than that is damage
LARGEST = 16 * 2**20  # bytes of a MIDI file
SHORTEST = 1e-7  # seconds of a note that begins and ends at one tick, as drums do; within one frame of any roll
SUFFIXES = frozenset({".mid", ".midi", ".smf", ".kar"})
TICKS_PER_BEAT = 480  # of files that are written here, at 120 beats a minute: about a millisecond a tick
TICKS_PER_SECOND = 2 * TICKS_PER_BEAT


@dataclass(frozen=True, eq=False)
class Notes:
    """Notes of all instruments, in the order of their beginnings. N notes."""

    starts: npt.NDArray[np.float64]  # (N,) seconds
    stops: npt.NDArray[np.float64]  # (N,) seconds, after the starts
    pitches: npt.NDArray[np.uint8]  # (N,) MIDI numbers, 0..127; of drums, which one is struck
    velocities: npt.NDArray[np.uint8]  # (N,) 1..127
    drums: npt.NDArray[np.bool_]  # (N,)

    @classmethod
    def of(cls, rows: Sequence[tuple[float, float, int, int, bool]]) -> Self:
        """Make notes from rows of start, stop, pitch, velocity, drum."""
        starts, stops, pitches, velocities, drums = zip(*sorted(rows), strict=True) if rows else ((),) * 5
        return cls(
            np.array(starts, np.float64),
            np.array(stops, np.float64),
            np.array(pitches, np.uint8),
            np.array(velocities, np.uint8),
            np.array(drums, np.bool_),
        )

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def seconds(self) -> float:
        """End of the last note; 0 without notes."""
        return float(self.stops.max(initial=0.0))

    def moved(self, seconds: float) -> Self:
        """Shift the notes in time; drop those that would start before 0."""
        kept = self.starts + seconds >= 0
        return type(self)(
            self.starts[kept] + seconds,
            self.stops[kept] + seconds,
            self.pitches[kept],
            self.velocities[kept],
            self.drums[kept],
        )

    def part(self, start: float, seconds: float) -> Self:
        """Return the notes that begin in this span, without drums, with times from its start."""
        kept = (self.starts >= start) & (self.starts < start + seconds) & ~self.drums
        return type(self)(
            self.starts[kept] - start,
            self.stops[kept] - start,
            self.pitches[kept],
            self.velocities[kept],
            self.drums[kept],
        )


def read_midi(path: Path) -> Notes:
    """Read the notes of a MIDI file with its tempo map. Raise BadInput if it is no MIDI file or has no notes."""
    return parse_midi(read_bytes(path, BadInput, "notes", largest=LARGEST), path)


def parse_midi(data: bytes, path: Path) -> Notes:
    """Read notes from a file's content; `path` is for messages."""
    check_is_midi(data, path)
    score = _score(data, path)
    notes = Notes.of(
        [
            (note.time, note.time + max(note.duration, SHORTEST), note.pitch, max(note.velocity, 1), track.is_drum)
            for track in score.tracks
            for note in track.notes
        ]
    )
    if not len(notes):
        raise BadInput(f"{path} holds no notes")
    if not notes.seconds <= LONGEST:
        raise BadInput(
            f"{path} has a note that ends at {notes.seconds:,.0f} s, and no music is that long: its times are damaged. "
            "Remove that note in a MIDI editor"
        )
    return notes


def _score(data: bytes, path: Path) -> Any:
    """Return the score in a MIDI file; numbers over 127, which players limit too, are limited."""
    import symusic

    try:
        return symusic.Score.from_midi(data, ttype="second")
    except (RuntimeError, ValueError):
        try:
            return symusic.Score.from_midi(limited(data), ttype="second")
        except (RuntimeError, ValueError) as error:
            raise BadInput(f"{path} is not a MIDI file, or is damaged: {error}") from error


def midi_of(notes: Notes) -> bytes:
    """Write a MIDI file with a piano and drums, exact to a millisecond."""
    import symusic

    score: Any = symusic.Score(TICKS_PER_BEAT)  # its stubs know no attributes
    score.tempos.append(symusic.Tempo(0, 120))
    for drums in (False, True):
        track: Any = symusic.Track(name="drums" if drums else "notes", program=0, is_drum=drums)
        for index in np.flatnonzero(notes.drums == drums):
            start, stop = (round(float(one[index]) * TICKS_PER_SECOND) for one in (notes.starts, notes.stops))
            note = symusic.Note(start, max(stop - start, 1), int(notes.pitches[index]), int(notes.velocities[index]))
            track.notes.append(note)
        if len(track.notes):
            score.tracks.append(track)
    data: bytes = score.dumps_midi()
    return data


def write_midi(path: Path, notes: Notes) -> None:
    """Write notes as a MIDI file. Raises CannotWrite."""
    with atomic_write(path) as file:
        file.write(midi_of(notes))
