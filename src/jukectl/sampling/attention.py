"""What is sung when in a level that is made: where its prior looked in the lyrics, window by window."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from jukectl.lyrics.window import PADDING
from jukectl.prior.lyric_attention import attention_of
from jukectl.sampling.level import LevelJob, conditioning_of, sung_window

FINEST = 0.02
"""Seconds of a row, at the least."""

LARGEST = 20_000_000
"""Numbers that the weights of a whole song may be; rows take more time where it would be more."""


@dataclass(frozen=True, eq=False)
class SongAttention:
    """Where a prior looked in the lyrics of one sample."""

    weights: npt.NDArray[np.float32]  # (rows, characters), 0 for characters that a window was not told
    seconds_a_row: float

    @property
    def seconds(self) -> float:
        """How long the rows are all together; the last one may reach past the end."""
        return len(self.weights) * self.seconds_a_row


def song_attention(
    job: LevelJob, codes: npt.NDArray[np.integer], sample: int, *, layer: int, head: int
) -> SongAttention:
    """The weights of one head over the codes (T,) of a sample, T up to `job.total`; of a prior that hears lyrics.

    The weights of a code are those of the window that added it, or would have: a prompt is listened to as well.
    """
    config, made = job.prior.config, len(codes)
    characters = len(job.lyrics[0 if len(job.lyrics) == 1 else sample])
    code_seconds = config.hop / config.sample_rate
    together = max(round(FINEST / code_seconds), -(-made * characters // LARGEST), 1)
    rows = -(-made // together)
    weights = np.zeros((rows, characters), dtype=np.float32)
    for window in job.windows(0):
        stop = min(window.stop, made)
        first = window.start + window.prefix
        if stop <= first:
            break
        own = torch.from_numpy(codes[window.start : stop].astype(np.int64))[None].to(job.device)
        looked = attention_of(job.prior, own, conditioning_of(job, sample, window), layer, head)[0, window.prefix :]
        places = sung_window(job, sample, window.start, job.segment(window).lyrics_shift).places
        there = places != PADDING
        row = np.arange(first, stop) // together
        np.add.at(weights, (row[:, None], places[there]), looked.cpu().numpy()[:, there])
    counts = np.bincount(np.arange(made) // together, minlength=rows).astype(np.float32)
    weights /= counts[:, None]
    return SongAttention(weights, together * code_seconds)
