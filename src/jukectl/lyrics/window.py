"""Part of the lyrics that a window is conditioned on: index arithmetic, without tensors."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jukectl.lyrics.tokens import UNKNOWN

PADDING = -1
"""Index of the padding in a window that is longer than the lyrics."""


@dataclass(frozen=True, eq=False)
class LyricWindow:
    """Characters that a window of codes is conditioned on."""

    ids: npt.NDArray[np.int64]  # (characters,)
    places: npt.NDArray[np.int64]  # (characters,) index of each in the lyrics, or PADDING


def lyric_window(
    lyrics: Sequence[int],
    characters: int,
    *,
    total_length: int,
    offset: int,
    sample_length: int,
    onsets: Sequence[int] | None = None,
) -> LyricWindow:
    """Return the `characters` around the one sung at the middle of a window; times are in audio samples.

    Shorter lyrics are whole in every window, right-aligned. Of longer ones it is the part around the middle character:
    the one at the same relative position in the lyrics as the window's middle in the song, or with `onsets`, ascending
    start times of all characters, the last that has started. At the ends of the lyrics the part is shifted inwards.
    `sample_length` is that of a full window, even if fewer codes of it are sampled. Raises ValueError if there is not
    an onset for each character, or for longer lyrics without onsets and a window that starts outside the song.
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
