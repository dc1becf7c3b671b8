"""Read wav, flac, ogg, mp3 and what else libsndfile knows, to the end of the stream whatever the header promises."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from jukectl.audio.mix import Samples
from jukectl.audio.parts import MOST_PARTS, Part, split
from jukectl.errors import BadAudio

if TYPE_CHECKING:
    from soundfile import SoundFile

SLOWEST_RATE = 1_000  # Hz; a header that states less is damaged, and resampling from it would fill the memory
READ_BLOCK = 1 << 18  # frames
LEAST_MISSING = 0.1  # seconds short of what a header promises that are worth a remark
UNKNOWN_LENGTH = 2**63 - 1  # frames that libsndfile reports for a flac file that does not state its length

OGG_ORDER = {
    3: (0, 2, 1),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 5, 3, 4),
    7: (0, 2, 1, 6, 5, 3, 4),
    8: (0, 2, 1, 7, 5, 6, 3, 4),
}
"""Positions of WAV's channels in Vorbis and Opus (Vorbis I, 4.3.9), by their number. libsndfile does not reorder."""


@dataclass(frozen=True)
class Sound:
    """A file that libsndfile can read: one recording, or several one after another that are read as one."""

    path: Path
    file: BinaryIO
    parts: tuple[tuple[Part, int], ...]  # each with its length in frames
    sample_rate: int  # Hz
    channels: int
    remarks: tuple[str, ...]  # on what is missing or not read, one sentence each

    @classmethod
    def open(cls, path: Path, file: BinaryIO) -> "Sound | None":
        """Return an open file as a sound; None if libsndfile does not recognise it, or finds no end of it.

        BadAudio for a file without samples, or with an impossible rate.
        """
        import soundfile

        parts, kind, remarks, done = list[tuple[Part, int]](), None, list[str](), 0.0
        found = split(file)
        if len(found) == MOST_PARTS:
            remarks.append(f"{path} holds many recordings, of which the first {MOST_PARTS} are read")
        for part in found:
            try:
                # Not by name: libsndfile gives everything called .mp3 to mpg123, which writes its complaints on stderr
                with soundfile.SoundFile(part.open(file)) as sound:
                    frames, this = sound.frames, (sound.samplerate, sound.channels)
            except soundfile.LibsndfileError:
                if kind is None:
                    return None
                remarks.append(f"{path} is read up to {done:.1f} seconds: what follows cannot be read")
                break
            if frames == UNKNOWN_LENGTH:
                return None
            if kind not in (None, this):
                remarks.append(
                    f"{path} is read up to {done:.1f} seconds: from there on it is another recording, of {this[1]} "
                    f"channels at {this[0]} Hz rather than {kind[1]} at {kind[0]} Hz"
                )
                break
            if this[0] < SLOWEST_RATE:
                raise BadAudio(f"{path} is damaged: its header says {this[0]} samples a second")
            kind = this
            parts.append((part, frames))
            if part.whole_frames is not None:
                remarks.append(
                    f"{path} is damaged or cut short after {done + part.whole_frames / this[0]:.1f} seconds: "
                    "what can be read of the rest is used"
                )
            if part.contradiction:
                remarks.append(f"{path} is damaged and may be noise: by its header, {part.contradiction}")
            done += frames / this[0]
            if part.missing_seconds > LEAST_MISSING:
                remarks.append(
                    f"{path} is cut short after {done:.1f} seconds: its header promises {part.missing_seconds:.1f} more"
                )
        if kind is None or not done:
            raise BadAudio(f"{path} holds no samples")
        return cls(path, file, tuple(parts), *kind, tuple(remarks))

    @property
    def frames(self) -> int:
        """Samples per channel."""
        return sum(frames for _, frames in self.parts)

    def blocks(self, first: int, count: int) -> Iterator[Samples]:
        """Yield samples (C, n) of `count` frames from `first` on, block by block; BadAudio if the file is damaged."""
        import soundfile

        begin = 0  # of a part
        for part, frames in self.parts:
            skipped = max(first - begin, 0)
            taken = min(first + count - begin, frames) - skipped
            begin += frames
            if taken <= 0:
                continue
            with soundfile.SoundFile(part.open(self.file)) as sound:
                try:
                    if sound.format == "OGG":  # libsndfile seeks in Vorbis to some neighbouring block (its issue 885)
                        for _ in _blocks(sound, skipped):
                            pass
                    else:
                        sound.seek(skipped)
                    for block in _blocks(sound, taken):
                        yield _in_order(np.ascontiguousarray(block.T), sound)
                except soundfile.LibsndfileError as error:
                    raise BadAudio(
                        f"{self.path} is damaged or cut off after "
                        f"{(begin - frames + max(sound.tell(), 0)) / self.sample_rate:.1f} seconds. "
                        "Read a span before that, or copy the file again."
                    ) from error


def _blocks(sound: "SoundFile", count: int) -> Iterator[NDArray[np.float32]]:
    """Yield blocks (n, C) of the next `count` frames, or of as many as there are."""
    while count > 0:
        block = sound.read(min(count, READ_BLOCK), dtype="float32", always_2d=True)
        if not len(block):
            return
        yield block
        count -= len(block)


def _in_order(samples: Samples, sound: "SoundFile") -> Samples:
    """Return samples (C, N) from libsndfile in the channel order of WAV."""
    if sound.subtype in ("VORBIS", "OPUS") and sound.channels in OGG_ORDER:
        return samples[list(OGG_ORDER[sound.channels])]
    return samples
