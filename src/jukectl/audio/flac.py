"""FLAC (RFC 9639): the true length of a stream, by its last frame rather than by its header.

Decoders stop where STREAMINFO says that the music ends, without a word. It says 0 for a stream that was written to a
pipe, and any number if it is damaged. Each frame states its position, with checksums of its header and of all of it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MARK = b"fLaC\x00\x00\x00\x22"  # followed by STREAMINFO, of 34 bytes; the fifth is 0x80 if nothing follows that
ABOUT = 26  # bytes of the mark and of STREAMINFO up to the MD5 of the samples
TAIL = 1 << 20  # bytes at the end in which the last frame is looked for; frames of 8 channels may have 150,000
LONGEST_HEADER = 16  # bytes
LARGEST_TOTAL = 2**36 - 1  # samples

_SYNC = re.compile(rb"\xff[\xf8\xf9][\x10-\xff]")  # of frames of a fixed and a variable number of samples
_BLOCKS = {1: 192, **{code: 144 << code for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}


@dataclass(frozen=True)
class Frame:
    """A frame: its offset, and the samples a channel before and in it."""

    place: int
    first: int
    samples: int

    @property
    def stop(self) -> int:
        """Samples a channel up to the end of the frame."""
        return self.first + self.samples


def corrected_about(file: BinaryIO, start: int, stop: int) -> bytes:
    """Return the first ABOUT bytes of the stream in [start, stop) with the true length; none if they are right.

    They are also left as they are if they promise more than there is, which the decoder will notice, and if no whole
    frame is found near the end.
    """
    file.seek(start)
    about = file.read(ABOUT)
    if len(about) < ABOUT or about[:4] + about[5:8] != MARK[:4] + MARK[5:]:
        return b""
    begin = max(start + ABOUT, stop - TAIL)
    file.seek(begin)
    total = length(file.read(stop - begin), block=int.from_bytes(about[10:12]))
    last = int.from_bytes(about[21:ABOUT])  # 4 bits of the sample's depth, and 36 of the length
    if total <= last & LARGEST_TOTAL:
        return b""
    return about[:21] + (last & ~LARGEST_TOTAL | min(total, LARGEST_TOTAL)).to_bytes(5)


def length(tail: bytes, *, block: int) -> int:
    """Return the samples a channel up to the end of the last whole frame in the last bytes of a stream; 0 if none is.

    Bytes behind the last frame, such as a tag, may follow. `block` is the number of samples of all frames but the last.
    """
    stop, following = len(tail), None
    for frame in reversed(list(_frames(tail, block))):
        if _remainder(tail[frame.place : stop], 16, _CRC16) == 0:
            return following.stop if following and following.first == frame.stop else frame.stop
        stop, following = frame.place, frame
    return 0


def _frames(tail: bytes, block: int) -> Iterator[Frame]:
    """Yield what may be frames, by the checksums of their headers."""
    for found in _SYNC.finditer(tail):
        head = tail[found.start() : found.start() + LONGEST_HEADER].ljust(LONGEST_HEADER, b"\0")
        frame = _frame(head, found.start(), block)
        if frame is not None:
            yield frame


def _frame(head: bytes, place: int, block: int) -> Frame | None:
    """Return the frame whose header begins LONGEST_HEADER bytes; None if its checksum does not fit."""
    code, rate = head[2] >> 4, head[2] & 15
    ones = 8 - (head[4] ^ 0xFF).bit_length()  # of the first byte of the number, in extended UTF-8
    if ones in (1, 8) or rate == 15 or head[3] & 1:
        return None
    number, end = head[4] & 0x7F >> ones, 4 + max(ones, 1)
    for byte in head[5:end]:
        number = number << 6 | byte & 0x3F
    extra = {6: 1, 7: 2}.get(code, 0)
    samples = int.from_bytes(head[end : end + extra]) + 1 if extra else _BLOCKS[code]
    end += extra + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if _remainder(head[: end + 1], 8, _CRC8):
        return None
    return Frame(place, number if head[1] & 1 else number * block, samples)


def _remainder(content: bytes, bits: int, table: tuple[int, ...]) -> int:
    """Return the remainder of a cyclic redundancy check: 0 of bytes with their checksum behind them."""
    value, mask = 0, (1 << bits) - 1
    for byte in content:
        value = value << 8 & mask ^ table[value >> bits - 8 ^ byte]
    return value


def _table(bits: int, polynomial: int) -> tuple[int, ...]:
    """Return the remainder that each byte leaves."""
    values = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial | 1 << bits if value >> bits - 1 else 0)
        values.append(value)
    return tuple(values)


_CRC8 = _table(8, 0x07)  # x^8 + x^2 + x + 1
_CRC16 = _table(16, 0x8005)  # x^16 + x^15 + x^2 + 1
