"""LRC: lyrics with a time for each line, and in its enhanced form for each word.

[ti:A title]                    tags, which are skipped; only [offset:] changes times: so many milliseconds sooner
[00:12.50]A line of words       minutes, seconds, hundredths or thousandths; or [1:00:12.50], hours before them
[00:15.00][01:20.00]Refrain     sung more than once
[00:20.00]<00:20.00>Each <00:20.45>word <00:21.10>timed<00:21.90>
[00:25.00]                      nothing is sung from here on
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf

from jukectl.errors import BadInput
from jukectl.lyrics.timed import SLOWEST, TimedLyrics, TimedWord, places, spread

_TIME = r"([0-9]{1,4}):([0-9]{1,2})(?::([0-9]{1,2}))?(?:[.,]([0-9]{1,9}))?"
_LINE_TIME = re.compile(rf"\s*\[{_TIME}\]")
_WORD_TIME = re.compile(rf"<{_TIME}>")
_TAG = re.compile(r"\s*\[\s*([A-Za-z_#][\w# -]{0,31})\s*:(.*)\]\s*")
"""A tag, or several on a line. Their values may hold brackets."""
_OFFSET = re.compile(r"\[\s*offset\s*:\s*([+-]?[0-9]{1,9})\s*\]", re.IGNORECASE)


@dataclass(frozen=True)
class _Piece:
    """Text that is sung from a time on, until the next piece."""

    start: float
    text: str


def parse(text: str) -> TimedLyrics:
    """Parse an LRC file; lines are sorted by their times.

    Words without a time share the time of their line, or of the part of it that has one, in proportion to their length.
    A line ends when the next one starts, or earlier if it has few words for that. Raises BadInput that names a line
    that cannot be read.
    """
    offset, lines = 0.0, []
    for number, line in enumerate(re.split("\r\n|\r|\n", text.removeprefix("\ufeff")), 1):
        times, rest = _line_times(line, number)
        if times:
            lines += _sung_again(_pieces(rest, times, number), times)
        elif _TAG.fullmatch(line):
            offset = _offset(line, number, offset)
        elif line.strip():
            raise BadInput(
                f"line {number} has no time: lines of LRC begin like [01:02.34], not like {line.strip()[:20]!r}"
            )
    lines.sort(key=lambda pieces: pieces[0].start)
    return _lyrics(lines).shifted(-offset)


def _line_times(line: str, number: int) -> tuple[list[float], str]:
    """Split a line into its leading times and the rest."""
    times, place = [], 0
    while found := _LINE_TIME.match(line, place):
        times.append(_seconds(found, number))
        place = found.end()
    return times, line[place:]


def _pieces(line: str, times: Sequence[float], number: int) -> list[_Piece]:
    """Split a line at the times within it; the part before the first has the line's own time."""
    stamps = list(_WORD_TIME.finditer(line))
    if not stamps:
        return [_Piece(times[0], line)]
    starts = [_seconds(stamp, number) for stamp in stamps]
    if any(one > other for one, other in pairwise(starts)):
        raise BadInput(f"line {number}: the times of its words go back")
    cuts = [*(stamp.start() for stamp in stamps[1:]), len(line)]
    found = [_Piece(start, line[stamp.end() : cut]) for start, stamp, cut in zip(starts, stamps, cuts, strict=True)]
    if line[: stamps[0].start()].strip():
        nearest = min(times, key=lambda time: abs(time - starts[0]))
        found.insert(0, _Piece(min(nearest, starts[0]), line[: stamps[0].start()]))
    return found


def _sung_again(pieces: list[_Piece], times: Sequence[float]) -> list[list[_Piece]]:
    """Repeat a line for each of its times; word times belong to the nearest and move with the others."""
    near = min(times, key=lambda time: abs(time - pieces[0].start))
    return [
        [replace(piece, start=max(piece.start + (time - near), 0.0)) if time != near else piece for piece in pieces]
        for time in times
    ]


def _lyrics(lines: Sequence[Sequence[_Piece]]) -> TimedLyrics:
    text, words = "", list[TimedWord]()
    for line, after in zip(lines, [*lines[1:], []], strict=False):
        limit = after[0].start if after else inf
        over = limit if after and not any(piece.text.strip() for piece in after) else None
        if any(piece.text.strip() for piece in line):
            text += "\n" if text else ""
            written, found = _line(line, len(text), limit, over)
            text, words = text + written, words + found
    return TimedLyrics(text, tuple(words))


def _line(pieces: Sequence[_Piece], first: int, limit: float, over: float | None) -> tuple[str, list[TimedWord]]:
    """Return a line's text, starting at offset `first`, and its words, none sung later than `limit`.

    `over` is the end of the line, if the file gives it.
    """
    text, words, apart = "", list[TimedWord](), False
    for piece, after in zip(pieces, [*pieces[1:], None], strict=True):
        said = piece.text.split()
        apart = apart or piece.text[:1].isspace()
        if said:
            text += " " if text and apart else ""
            apart = piece.text[-1:].isspace()
            start = min(piece.start, limit)
            given = over if after is None else min(after.start, limit)
            slowest = start + SLOWEST * (len(" ".join(said)) + 1)
            firsts = places(" ".join(said), said, first + len(text))
            text += " ".join(said)
            sung = spread(said, start, min(slowest, limit) if given is None else given, firsts)
            if given is not None and (after is None or not after.text.strip()):
                sung[-1] = replace(sung[-1], end=max(given, sung[-1].start))
            words += sung
    return text, words


def _seconds(stamp: re.Match[str], number: int) -> float:
    """Parse a time stamp. Of three numbers the first is hours only before a fraction: 00:12:50 may be 12.5 s."""
    one, two, three, fraction = stamp.groups()
    if three is None or fraction is None:
        hours, minutes, seconds, fraction = "0", one, two, fraction or three or "0"
    else:
        hours, minutes, seconds = one, two, three
    if int(seconds) > 59 or (int(minutes) > 59 and hours != "0"):
        raise BadInput(f"line {number}: {stamp[0].strip()} is no time")
    return int(hours) * 3600 + int(minutes) * 60 + float(f"{seconds}.{fraction}")


def _offset(line: str, number: int, before: float) -> float:
    """Return the offset in seconds that a line of tags states; else, and for an empty one, the one `before`."""
    if found := _OFFSET.search(line):
        return int(found[1]) / 1000
    tag = _TAG.fullmatch(line)
    if tag is not None and tag[1].strip().lower() == "offset" and (value := tag[2].strip()):
        raise BadInput(f"line {number}: an offset is in milliseconds, such as [offset:+250], got {value[:20]!r}")
    return before


def write(lyrics: TimedLyrics, *, decimals: int = 2) -> str:
    """Return lyrics as enhanced LRC: the time of each line, and of each word whose time is not guessed.

    Times are rounded to hundredths of a second, or with `decimals` = 3 to thousandths. Blank lines are left out, and so
    are ends of words that a reader infers anyway. Raises BadInput for a text that would be read as times.
    """
    taken = replace(lyrics, words=tuple(replace(word, end=None) for word in lyrics.words)).ends()
    ends = {
        word.first: f"<{_stamp(word.end, decimals)}>"
        for word, end in zip(lyrics.words, taken, strict=True)
        if word.end is not None and _stamp(word.end, decimals) != _stamp(end, decimals)
    }
    lines, now = list[str](), 0.0
    for first, stop, words in lyrics.lines():
        line = lyrics.text[first:stop]
        if not line.strip():
            continue
        if _WORD_TIME.search(line) or _LINE_TIME.match(line):
            raise BadInput(f"the lyrics have a line with a time in it already: {line.strip()[:40]!r}")
        now = words[0].start if words else now
        if all(word.guessed for word in words[1:]) and not any(word.first in ends for word in words):
            lines.append(f"[{_stamp(now, decimals)}]{line}")
            continue
        written, place = "", first
        for word in words:
            begun = "" if word.guessed and word is not words[0] else f"<{_stamp(word.start, decimals)}>"
            written += f"{lyrics.text[place : word.first]}{begun}{word.text}{ends.get(word.first, '')}"
            place = word.stop
        lines.append(f"[{_stamp(now, decimals)}]{written}{lyrics.text[place:stop]}")
    return "".join(f"{line}\n" for line in lines)


def _stamp(seconds: float, decimals: int) -> str:
    """Return minutes, seconds and decimals, for more than an hour too."""
    parts = round(seconds * 10**decimals)
    whole, fraction = divmod(parts, 10**decimals)
    return f"{whole // 60:02}:{whole % 60:02}.{fraction:0{decimals}}"
