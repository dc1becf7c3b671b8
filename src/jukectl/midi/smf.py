"""Standard MIDI files byte by byte: what is none is named, and numbers out of range are limited."""

from pathlib import Path

from jukectl.errors import BadInput

LARGEST_DATA = 127  # a data byte has seven bits
DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}  # of channel messages, by status
SYSTEM_EXCLUSIVE, ESCAPE, META = 0xF0, 0xF7, 0xFF


def check_is_midi(data: bytes, path: Path) -> None:
    """Raise BadInput that says what a file is if it is no standard MIDI file that counts ticks per beat."""
    export = "Export it as a standard MIDI file"
    if data[:4] == b"RIFF":
        what = "a RIFF MIDI file (.rmi)" if data[8:12] == b"RMID" else "a RIFF file, such as audio"
        raise BadInput(f"{path} is {what}, not a standard MIDI file. {export}")
    if data[:4] == b"PK\x03\x04":
        raise BadInput(f"{path} is a zip archive, such as compressed MusicXML, not a MIDI file. {export}")
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise BadInput(f"{path} is text, such as MusicXML, not a MIDI file. {export}")
    if data[:4] != b"MThd" or len(data) < 14:
        raise BadInput(f"{path} is not a MIDI file: it does not begin with MThd and a header")
    division = int.from_bytes(data[12:14])
    if division == 0:
        raise BadInput(f"{path} is damaged: its header states 0 ticks per beat. {export} again")
    if division & 0x8000:
        frames = 256 - (division >> 8)
        raise BadInput(
            f"{path} counts time in SMPTE frames ({frames} a second), and only ticks per beat are read. "
            f"{export} with ticks per quarter note"
        )


def limited(data: bytes) -> bytes:
    """Return a MIDI file whose channel messages have no data bytes over 127: those become 127.

    A track that cannot be followed is left as it is from there on.
    """
    content, place = bytearray(data), 0
    while place + 8 <= len(content):
        stop = place + 8 + int.from_bytes(content[place + 4 : place + 8])
        if content[place : place + 4] == b"MTrk":
            _limit_track(content, place + 8, min(stop, len(content)))
        place = stop
    return bytes(content)


def _limit_track(content: bytearray, place: int, stop: int) -> None:
    """Limit the data bytes of a track in place."""
    status = 0
    while place < stop:
        _, place = _number(content, place, stop)  # ticks to wait
        if place >= stop:
            return
        if content[place] >= 0x80:
            status = content[place]
            place += 1
        if status in (META, SYSTEM_EXCLUSIVE, ESCAPE):
            length, place = _number(content, place + (status == META), stop)
            place += length
        elif count := DATA_BYTES.get(status & 0xF0):
            for at in range(place, min(place + count, stop)):
                content[at] = min(content[at], LARGEST_DATA)
            place += count
        else:
            return


def _number(content: bytearray, place: int, stop: int) -> tuple[int, int]:
    """Return a number of variable length, and the offset behind it."""
    value = 0
    while place < stop:
        value = value << 7 | content[place] & 0x7F
        place += 1
        if content[place - 1] < 0x80 or value >= 1 << 28:
            break
    return value, place
