"""The outline of a song in a few characters, for lists and previews: the height of its waveform over time."""

import string
from collections.abc import Sequence

from jukectl.explorer.contract import AudioDetail

COLUMNS = 48
DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"  # heights 0 to 63 (base64url)
QUIETEST = 6  # of 127: a peak below which the outline is not enlarged to the full height


def outline_of(parts: Sequence[AudioDetail]) -> str:
    """Return the outline of recordings that follow one another: COLUMNS digits, the highest is the loudest peak.

    "" without any sound.
    """
    total = sum(part.seconds for part in parts)
    heights = [0] * COLUMNS
    start = 0.0
    for part in parts if total else ():
        first, last = (round(COLUMNS * time / total) for time in (start, start + part.seconds))
        start += part.seconds
        for column in range(first, last):
            begin, end = (len(part.peaks) * place // (last - first) for place in (column - first, column - first + 1))
            heights[column] = max((max(-low, high) for low, high in part.peaks[begin : max(end, begin + 1)]), default=0)
    loudest = max(QUIETEST, *heights)
    return "".join(DIGITS[height * (len(DIGITS) - 1) // loudest] for height in heights) if any(heights) else ""


def heights_of(outline: str) -> list[float]:
    """Return the heights of an outline, 0 to 1."""
    return [DIGITS.index(digit) / (len(DIGITS) - 1) for digit in outline]
