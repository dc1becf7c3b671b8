"""Attention to the lyrics over a sampled level, window by window: the data behind karaoke subtitles and plots."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from jukectl.lyrics.window import PADDING
from jukectl.prior.labels import WindowShape
from jukectl.prior.lyric_attention import attention_of
from jukectl.sampling.level import LevelJob, conditioning_tensors

SHORTEST_ROW = 0.02
"""Seconds that a row covers at least."""

LARGEST = 20_000_000
"""Weights of a whole song at most (80 MB in float32); rows of longer songs cover more time."""


@dataclass(frozen=True, eq=False)
class SongAttention:
    """Attention of a prior to the lyrics of one sample."""

    weights: npt.NDArray[np.float32]  # (rows, characters), 0 for characters outside of a window's lyrics
    seconds_a_row: float

    @property
    def seconds(self) -> float:
        """Length of all rows; the last one may reach past the end of the codes."""
        return len(self.weights) * self.seconds_a_row


def song_attention(
    job: LevelJob, codes: npt.NDArray[np.integer], sample: int, *, layer: int, head: int
) -> SongAttention:
    """Return the attention of one head over the codes (T,) of a sample, T up to `job.total`, for a prior with lyrics.

    The weights of a code are those in the window that added it. For codes of a prompt they are those of the window that
    would have added them, so a prompt gets its attention too.
    """
    config, made = job.prior.config, len(codes)
    shape = WindowShape.of(config)
    characters = len(job.conditioning.lyrics.ids)
    code_seconds = config.hop / config.sample_rate
    together = max(round(SHORTEST_ROW / code_seconds), -(-made * characters // LARGEST), 1)  # codes of a row
    rows = -(-made // together)
    weights = np.zeros((rows, characters), dtype=np.float32)
    for window in job.windows(0):
        stop = min(window.stop, made)
        first = window.start + window.prefix
        if stop <= first:
            break
        # one forward pass over the finished window gives the attention of every step that sampled it
        own = torch.from_numpy(codes[window.start : stop].astype(np.int64))[None].to(job.device)
        tensors = conditioning_tensors(job, sample, window)
        looked = attention_of(job.prior, own, tensors, layer, head)[0, window.prefix :]
        # a window's lyrics are a part of the text: `places` maps its characters to those of the whole text
        places = job.place(window).lyric_window(shape).places
        there = places != PADDING
        row = np.arange(first, stop) // together
        np.add.at(weights, (row[:, None], places[there]), looked.cpu().numpy()[:, there])
    counts = np.bincount(np.arange(made) // together, minlength=rows).astype(np.float32)
    weights /= counts[:, None]  # sums to means; the last row may cover fewer codes
    return SongAttention(weights, together * code_seconds)
