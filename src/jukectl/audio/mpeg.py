"""MPEG audio, layer III: the streams of an mp3 file counted frame by frame, and headers that state their length."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO

RATES = (44_100, 48_000, 32_000)  # Hz in MPEG 1; half of them in MPEG 2, a quarter in MPEG 2.5
KBITS_MPEG1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # kbit/s, 0 for "not stated"
KBITS_MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
MPEG1, MPEG2, MONO = 3, 2, 3  # as a frame header numbers them

HEAD = 192  # bytes of a frame in which it may describe its stream
LAME_DELAYS = 21  # offset in LAME's tag of 12 bits of samples to drop at the beginning, and 12 of samples at the end
SEARCH = 1 << 16  # bytes that are searched at a time
MOST_RUBBISH = 1 << 20  # bytes without a frame, after which the music is taken to have ended
TOLERANCE = 0.01  # of a stated size in bytes; mpg123 complains on stderr about more

_MARK = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]")  # a frame of layer III with a stated bit rate
_SYNC = re.compile(rb"\xff[\xe0-\xff]")  # a frame of any layer, or a damaged one
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN")  # at the end of a recording
_FRAME_OR_TAG = re.compile(_MARK.pattern + b"|ID3")


@dataclass(frozen=True)
class Header:
    """Content of the four bytes that begin a frame."""

    kind: tuple[int, int, bool]  # version, Hz, mono: the same for all frames of a stream
    size: int  # bytes of the frame
    samples: int  # per channel in a frame
    info: int  # offset at which a Xing or Info header would stand, behind the side information


@dataclass
class Stream:
    """One recording of a file. Its first frame may be an info frame, which is silent and describes the others."""

    header: Header  # of the first frame
    head: bytes  # the beginning of the first frame
    start: int  # byte offset of the first frame
    info: bytes = b""  # the mark of an info frame: Xing, Info or VBRI
    frames: int = 0  # without the info frame
    spans: list[list[int]] = field(default_factory=list)  # [start, stop) in bytes, without the info frame
    whole: int | None = None  # frames before the first bytes that are damaged; None if none are known to be

    @property
    def stop(self) -> int:
        """Offset of the byte after the last frame."""
        return self.spans[-1][1] if self.spans else self.start + self.header.size

    @property
    def stated_frames(self) -> int | None:
        """Number of frames that the info frame states, None if it does not."""
        return self._stated(1, place=8, vbri=50)

    @property
    def stated_bytes(self) -> int | None:
        """Size of the stream that the info frame states, None if it does not."""
        return self._stated(2, place=12, vbri=46)

    @property
    def missing_seconds(self) -> float:
        """Music that the info frame states and that is not there."""
        missing = (self.stated_frames or 0) - self.frames
        return missing * self.header.samples / self.header.kind[1] if missing > 1 else 0.0

    @property
    def is_in_order(self) -> bool:
        """True if the stream is in one piece and of the length that its info frame states."""
        frames, size, true_size = self.stated_frames, self.stated_bytes, self.stop - self.start
        return (
            len(self.spans) <= 1
            and self.whole is None
            and (not self.spans or not self.info or self.spans[0][0] == self.start + self.header.size)
            and frames is not None
            and abs(frames - self.frames) <= 1
            and (size is None or abs(size - true_size) <= TOLERANCE * true_size)
        )

    def corrected_info(self) -> bytes:
        """Return an info frame that states the true length; decoders then read all of the stream."""
        audio = sum(stop - start for start, stop in self.spans)  # bytes
        if self.stated_frames is None or self.info == b"VBRI":
            return self._new_info(audio)
        frame, tag = bytearray(self.head.ljust(self.header.size, b"\0")[: self.header.size]), self.header.info
        flags = frame[tag + 7]
        if abs(self.stated_frames - self.frames) > 1:
            frame[tag + 8 : tag + 12] = _four_bytes(self.frames)
            lame = tag + 12 + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
            if len(frame) >= lame + LAME_DELAYS + 3:  # drop nothing at the end, which is not the one that it knew
                frame[lame + LAME_DELAYS + 1] &= 0xF0
                frame[lame + LAME_DELAYS + 2] = 0
        if flags & 2:
            frame[tag + 12 : tag + 16] = _four_bytes(self.header.size + audio)
        return bytes(frame)

    def _new_info(self, audio: int) -> bytes:
        """Return a new info frame for frames of so many bytes; 128 kbit/s (MPEG 1) or 80, no checksum, no padding."""
        content = bytes((self.head[0], self.head[1] | 1, 0x90 | self.head[2] & 0x0C, self.head[3]))
        header = parse_header(content)
        assert header is not None
        about = b"Info" + _four_bytes(3) + _four_bytes(self.frames) + _four_bytes(header.size + audio)
        return (content.ljust(header.info, b"\0") + about).ljust(header.size, b"\0")

    def _stated(self, flag: int, *, place: int, vbri: int) -> int | None:
        """Return a number of the info frame: of a Xing header if it has the flag, at `place` in it; or of VBRI."""
        if self.info == b"VBRI":
            return int.from_bytes(self.head[vbri : vbri + 4])
        xing = self.head[self.header.info :]
        return int.from_bytes(xing[place : place + 4]) if self.info and xing[7] & flag else None


@lru_cache(maxsize=1_024)
def parse_header(content: bytes) -> Header | None:
    """Return the header in four bytes; None if there is none, or none of layer III with a stated bit rate."""
    if len(content) < 4 or not _MARK.match(content) or content[2] >> 2 & 3 == 3:
        return None
    version = content[1] >> 3 & 3
    full = version == MPEG1
    hertz = RATES[content[2] >> 2 & 3] // (1 if full else 2 if version == MPEG2 else 4)
    kbits = (KBITS_MPEG1 if full else KBITS_MPEG2)[content[2] >> 4]
    mono = content[3] >> 6 == MONO
    return Header(
        kind=(version, hertz, mono),
        size=(144 if full else 72) * kbits * 1_000 // hertz + (content[2] >> 1 & 1),
        samples=1_152 if full else 576,
        info=4 + ((17 if mono else 32) if full else (9 if mono else 17)),
    )


def streams(file: BinaryIO, size: int, *, most: int) -> list[Stream]:
    """Return the first streams of an mp3 file of `size` bytes; none if it does not begin with a frame of layer III.

    A new one begins where the rate or the number of channels changes, and with every info frame. If the file begins
    with a frame of another layer, or a damaged one, there are none unless half of the rest is frames of layer III.
    """
    found = list[Stream]()
    for place, header, head, damaged in _frames(file, size):
        info = _info_mark(header, head)
        if not found or info or header.kind != found[-1].header.kind:
            if len(found) == most:
                break
            found.append(Stream(header, head, place, info))
        stream = found[-1]
        if damaged and stream.whole is None:
            stream.whole = stream.frames
        if info:
            continue
        stream.frames += 1
        if stream.spans and stream.spans[-1][1] == place:
            stream.spans[-1][1] = place + header.size
        else:
            stream.spans.append([place, place + header.size])
    audio = sum(stop - start for stream in found for start, stop in stream.spans)
    if found and found[0].whole == 0 and audio < (size - found[0].start) / 2:
        return []
    return [stream for stream in found if stream.frames]


def _info_mark(header: Header, head: bytes) -> bytes:
    if (mark := head[header.info : header.info + 4]) in (b"Xing", b"Info") and header.size >= header.info + 16:
        return mark
    return b"VBRI" if head[36:40] == b"VBRI" and header.size >= 54 else b""


def _four_bytes(number: int) -> bytes:
    return min(number, 2**32 - 1).to_bytes(4)


def _frames(file: BinaryIO, size: int) -> Iterator[tuple[int, Header, bytes, bool]]:
    """Yield place, header and beginning of each whole frame, and True if it follows damaged bytes.

    Tags and rubbish between frames are skipped.
    """
    place, kind, begun = 0, None, False
    rubbish = 0  # bytes since the last frame
    damaged = tagged = False  # since the last frame
    while place + 4 <= size:
        file.seek(place)
        head = file.read(HEAD)
        header = parse_header(head[:4])
        if header and place + header.size <= size and (header.kind == kind or _goes_on(file, place, header, size)):
            yield place, header, head, damaged
            place, kind, rubbish, begun = place + header.size, header.kind, 0, True
            damaged = tagged = False
            continue
        kind = None  # from here on, a header counts only if another follows it
        if head[:3] == b"ID3" and len(head) >= 10:
            place += 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
            continue
        step = _next_mark(file, place + 1) - place
        # zeros may stand behind a tag; and a file that begins like a frame may have a damaged one
        if rubbish + step > MOST_RUBBISH or (not begun and rubbish == 0 and head[0] and not _SYNC.match(head)):
            return
        file.seek(place)
        skipped = file.read(step)
        tagged = tagged or skipped.startswith(_TAGS)
        damaged = damaged or (not tagged and any(skipped))
        place, rubbish = place + step, rubbish + step


def _goes_on(file: BinaryIO, place: int, header: Header, size: int) -> bool:
    """Return True if another frame of the same kind, a tag or the end of the file follows a frame."""
    file.seek(place + header.size)
    head = file.read(4)
    after = parse_header(head)
    return head[:3] in (b"TAG", b"ID3", b"APE") or not head or (after is not None and after.kind == header.kind)


def _next_mark(file: BinaryIO, start: int) -> int:
    """Return the offset of what may be a frame or a tag, from `start` on; or that of the end of the file."""
    file.seek(start)
    while block := file.read(SEARCH):
        if found := _FRAME_OR_TAG.search(block):
            return start + found.start()
        if len(block) < SEARCH:
            break
        start += SEARCH - 2  # a mark has three bytes
        file.seek(start)
    return start + len(block)
