"""The recordings of a sound file, each as libsndfile can read it to its end, whatever its header promises.

Libsndfile stops where a header says that the music ends: of an mp3 file without a frame count it reads a part, of
joined files the first, and of a wav file whose recorder was cut off nothing. So the file itself is walked through here,
and a part with a wrong header gets a corrected one. A file that is in order is read as it is.
"""

import io
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise, zip_longest
from typing import BinaryIO, cast

from jukectl.audio import flac, mpeg, ogg

MOST_PARTS = 1_000  # of a file; further ones are not read
LARGEST_WAV = 2**32 - 1  # bytes, as a header states them
UNKNOWN_WAV = 2**31 - 2**16  # bytes; writers that do not know the length state as much or more

PLAIN_SAMPLES = (1, 3)  # kinds of wav: integers, floating-point numbers


@dataclass(frozen=True)
class Part:
    """A recording in a file: a corrected header, if it needs one, and spans of the file's bytes."""

    spans: tuple[tuple[int, int], ...]  # (start, stop)
    header: bytes = b""
    missing_seconds: float = 0.0  # what its own header promises beyond what there is, as far as that is known
    whole_frames: int | None = None  # after which pieces are damaged or missing; None if nothing is known to be
    contradiction: str = ""  # of two statements of its header, of which one is wrong

    def open(self, file: BinaryIO) -> BinaryIO:
        """Return a file with the content of the part."""
        return cast(BinaryIO, io.BufferedReader(_View(file, self)))


def split(file: BinaryIO) -> tuple[Part, ...]:
    """Return the recordings in a file, in order: one that spans the file if it is in order, or of an unknown kind."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    magic = file.read(12)
    if magic[:4] == b"OggS":
        found = _oggs(file, size)
    elif magic[:4] == b"fLaC":
        found = _flacs(file, size)
    elif magic[:4] == b"RIFF" and magic[8:] == b"WAVE":
        found = _wavs(file, size)
    else:
        found = _mp3s(file, size)
    parts = tuple(islice(found, MOST_PARTS))
    return parts or (Part(((0, size),)),)


def _mp3s(file: BinaryIO, size: int) -> Iterator[Part]:
    streams = mpeg.streams(file, size, most=MOST_PARTS)
    if len(streams) == 1 and streams[0].is_in_order and size - streams[0].stop <= mpeg.TOLERANCE * size:
        return
    for one in streams:
        spans = tuple((start, stop) for start, stop in one.spans)
        if one.is_in_order:
            yield Part(((one.start, one.stop),))
        else:
            whole = None if one.whole is None else one.whole * one.header.samples
            yield Part(spans, one.corrected_info(), one.missing_seconds, whole)


def _oggs(file: BinaryIO, size: int) -> Iterator[Part]:
    """Yield the links of a chained Ogg file."""
    found = ogg.links(file)[:MOST_PARTS]
    for link, after in zip_longest(found, found[1:]):
        stop = size if after is None else after.start
        harmed = link.damaged or not link.ended
        yield Part(((link.start, stop),), whole_frames=link.granule if harmed else None)


def _flacs(file: BinaryIO, size: int) -> Iterator[Part]:
    """Yield the flac files that lie in a file one after another, with true lengths."""
    for start, stop in pairwise((*islice(_flac_starts(file), MOST_PARTS), size)):
        about = flac.corrected_about(file, start, stop)
        yield Part(((start + len(about), stop),), about)


def _flac_starts(file: BinaryIO) -> Iterator[int]:
    """Yield where the flac files in a file begin: at a mark with the description of a stream behind it."""
    place = 0
    while place >= 0:
        yield place
        place = ogg.find(file, flac.MARK, place + 1)


def _wavs(file: BinaryIO, size: int) -> Iterator[Part]:
    """Yield the wav files that lie in a file one after another."""
    start = 0
    while start + 12 <= size:
        file.seek(start)
        magic = file.read(12)
        if magic[:4] != b"RIFF" or magic[8:] != b"WAVE":
            return
        stop = start + 8 + int.from_bytes(magic[4:8], "little")
        part = _wav(file, start, stop + stop % 2, size)
        yield part
        start = part.spans[-1][1]


def _wav(file: BinaryIO, start: int, stop: int, size: int) -> Part:
    """Return the wav file between two offsets, with a true length of its samples.

    A recorder that is cut off leaves the lengths of the samples and of the whole at 0, or at some earlier state.
    """
    place, bytes_per_second, contradiction = start + 12, 0, ""
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        first, end = place + 8, place + 8 + length + length % 2
        if name == b"fmt ":
            about = file.read(16)
            bytes_per_second = int.from_bytes(about[8:12], "little")
            contradiction = _contradiction(about)
        if name == b"data":
            stale = stop <= end and size - end > bytes_per_second  # the samples go on behind all that is announced
            limit = size if length == 0 or stale else min(stop, size)
            if end < limit and not (_is_chunk(file, end, limit) or _is_chunk(file, end - 1, limit)):
                file.seek(start)
                header = bytearray(file.read(first - start))
                header[4:8] = struct.pack("<I", min(limit - start - 8, LARGEST_WAV))
                header[-4:] = struct.pack("<I", min(limit - first, LARGEST_WAV))
                return Part(((first, limit),), bytes(header), contradiction=contradiction)
            missing = end - size - 1 if length < UNKNOWN_WAV else 0
            return Part(
                ((start, min(max(stop, end), size)),),
                missing_seconds=max(missing, 0) / bytes_per_second if bytes_per_second else 0.0,
                contradiction=contradiction,
            )
        place = end
    return Part(((start, size),))


def _contradiction(about: bytes) -> str:
    """Return how the size of a frame and those of its samples differ in the description of plain samples; "" if not."""
    if len(about) < 16:
        return ""
    kind, channels, _, _, frame, bits = struct.unpack("<HHIIHH", about)
    if kind not in PLAIN_SAMPLES or frame == channels * -(-bits // 8):
        return ""
    return f"{channels} samples of {bits} bits are no frame of {frame} bytes"


def _is_chunk(file: BinaryIO, place: int, stop: int) -> bool:
    """Return True if a chunk of RIFF with a plausible name and length begins at an offset, or too little is left."""
    if place + 8 > stop:
        return True
    file.seek(place)
    name, length = struct.unpack("<4sI", file.read(8))
    return all(32 <= letter < 127 for letter in name) and place + 8 + length <= stop + 1


class _View(io.RawIOBase):
    """The bytes of a part, read from the file that holds it."""

    def __init__(self, file: BinaryIO, part: Part) -> None:
        self._file, self._part = file, part
        lengths = (len(part.header), *(stop - start for start, stop in part.spans))
        self._begins = [0, *accumulate(lengths)]  # of the header and the spans in the view, and their end
        self._place = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._begins[-1]}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer from the current offset on, at most to the end of a span."""
        index = bisect_right(self._begins, self._place) - 1
        if index + 1 == len(self._begins):
            return 0
        inside, count = self._place - self._begins[index], min(len(buffer), self._begins[index + 1] - self._place)
        if index == 0:
            content = self._part.header[inside : inside + count]
        else:
            self._file.seek(self._part.spans[index - 1][0] + inside)
            content = self._file.read(count)
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)
