"""Ogg files, page by page (RFC 3533): their links, and pages that are damaged or missing.

Decoders skip what is damaged without a word, and so may lose most of a recording. Each page has a checksum and a
number, by which that is noticed.
"""

import zlib
from dataclasses import dataclass
from typing import BinaryIO

MARK = b"OggS"
HEAD = 27  # bytes of a page before the lengths of its segments
FIRST, LAST = 2, 4  # flags of the pages that begin and end a stream
SEARCH = 1 << 20  # bytes that are searched at a time

# The checksum has the polynomial of zlib's CRC-32, but takes bits from the other end and begins with zeros
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass
class Link:
    """One of the streams that lie in a file one after another."""

    start: int  # byte offset
    granule: int = 0  # position, mostly in samples, up to which all pages are whole
    damaged: bool = False  # a page after that is damaged or missing
    ended: bool = False  # its last page is there
    pages: int = 0


def links(file: BinaryIO) -> list[Link]:
    """Return the links of an Ogg file; a new one begins at a first page that follows another page."""
    found, begins, expected = list[Link](), False, 0
    place = 0
    while place >= 0:
        file.seek(place)
        page = _page(file)
        if page is None:
            if found:
                found[-1].damaged = True
            place = find(file, MARK, place + 1)
            continue
        first = bool(page[5] & FIRST)
        if (first and not begins) or not found:
            found.append(Link(place))
            expected = _number(page)
        begins, link = first, found[-1]
        if checksum(page) != int.from_bytes(page[22:26], "little") or _number(page) != expected:
            link.damaged = True
        granule = int.from_bytes(page[6:14], "little", signed=True)  # -1 where no packet ends in the page
        if not link.damaged and granule > 0:
            link.granule = granule
        link.ended |= bool(page[5] & LAST)
        link.pages += 1
        expected = _number(page) + 1
        place += len(page)
        if not file.read(1):
            break
    return found


def checksum(page: bytes) -> int:
    """Return the checksum that a page should state."""
    bits = (page[:22] + bytes(4) + page[26:]).translate(_REVERSED)
    return int(f"{zlib.crc32(bits, 0xFFFFFFFF) ^ 0xFFFFFFFF:032b}"[::-1], 2)


def find(file: BinaryIO, mark: bytes, start: int) -> int:
    """Return the offset of a mark from `start` on, -1 if there is none."""
    file.seek(start)
    kept = b""
    while block := kept + file.read(SEARCH):
        if (place := block.find(mark)) >= 0:
            return start - len(kept) + place
        if len(block) - len(kept) < SEARCH:
            break
        start += SEARCH
        kept = block[1 - len(mark) :]
    return -1


def _page(file: BinaryIO) -> bytes | None:
    """Read the page at the current offset; None if there is none, or only its beginning."""
    head = file.read(HEAD)
    if len(head) < HEAD or head[:4] != MARK:
        return None
    lengths = file.read(head[26])
    body = file.read(sum(lengths))
    return head + lengths + body if len(lengths) == head[26] and len(body) == sum(lengths) else None


def _number(page: bytes) -> int:
    return int.from_bytes(page[18:22], "little")
