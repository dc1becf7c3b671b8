"""Which characters of the lyrics belong to a window: arithmetic, no tensors."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jukectl.lyrics.tokens import UNKNOWN

PADDING = -1
"""Stands for the place in the lyrics where a window holds none of their characters."""


@dataclass(frozen=True, eq=False)
class LyricWindow:
    """The characters a prior reads while it makes a window of codes."""

    ids: npt.NDArray[np.int64]  # (characters,)
    places: npt.NDArray[np.int64]  # (characters,) of each in the lyrics, PADDING where it is none


def lyric_window(
    lyrics: Sequence[int],
    characters: int,
    *,
    total_length: int,
    offset: int,
    sample_length: int,
    onsets: Sequence[int] | None = None,
) -> LyricWindow:
    """Return the `characters` around those sung at the middle of a window; times in audio samples.

    Lyrics shorter than that stand at the right end of every window, whole. Of longer ones it is the part around the
    character in the middle: the one that lies as far in the lyrics as the window's middle lies in the song, or where
    `onsets` tell when each character begins, in rising order, the last that has begun by then. The part is taken back
    from the ends. `sample_length` is a full window's, however few codes of it are asked for. ValueError where longer
    lyrics without onsets meet a window that starts outside the song, or there is not an onset for each character.
    """
    count = len(lyrics)
    if onsets is not None and len(onsets) != count:
        raise ValueError(f"{count} characters need as many onsets, got {len(onsets)}")
    if count < characters:
        start = count - characters
    else:
        if onsets is None and not 0 <= offset < total_length:
            raise ValueError(f"a window at {offset} lies outside of a song of {total_length} samples")
        half = characters // 2
        if onsets is None:
            middle = _middle(count, total_length, offset, sample_length)
        else:
            middle = bisect_right(onsets, offset + sample_length // 2) - 1
        start = min(max(middle, half), count - (characters - half)) - half
    places = np.arange(start, start + characters, dtype=np.int64)
    held = places >= 0
    ids = np.full(characters, UNKNOWN, dtype=np.int64)
    ids[held] = np.asarray(lyrics, dtype=np.int64)[places[held]]
    return LyricWindow(ids, np.where(held, places, PADDING))


def _middle(count: int, total_length: int, offset: int, sample_length: int) -> int:
    """Return the character at the middle of a window, in float32 as in the published sampler."""
    middle = np.float32(offset) + np.float32(sample_length) / np.float32(2)
    return int(np.float32(count) * middle / np.float32(total_length))
