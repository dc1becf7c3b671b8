"""What lyrics save a prior in bits a code, and how near its attention comes to when words are sung.

Right lyrics are compared with those of another song, cut or repeated to as many characters, so that how much is sung
tells nothing; and with none. S segments of T codes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from jukectl.evaluation.prior import Costs, Gain, gain_over_songs
from jukectl.prior.model import Prior
from jukectl.prior.sung import SungWord
from jukectl.training.segments import Segments

Watch = Callable[[int], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class LyricsScore:
    """What each of the same codes costs a prior that is told the right lyrics, others, and none."""

    right: Costs  # (S, T) bits
    other: Costs | None  # None where all songs have the same lyrics
    none: Costs
    songs: NDArray[np.int64]  # (S,) which song each segment is of

    def saved(self, told: Costs) -> Gain:
        """How much less a code costs with the right lyrics than when the prior is told otherwise: paired, by songs."""
        return gain_over_songs((told - self.right).mean(axis=1), self.songs)


@torch.inference_mode()
def score_lyrics(
    prior: Prior,
    segments: Sequence[Segments],
    others: Sequence[Segments] | None,
    *,
    songs: Sequence[int],
    watch: Watch,
) -> LyricsScore:
    """Score a prior on segments, of these songs; `others` are the same with the lyrics of other songs."""
    right, other, none = [], [], []
    for number, batch in enumerate(segments):
        right.append(prior.bits(batch.codes, batch.labels, batch.upper).double().numpy())
        unsung = replace(batch.labels, lyrics=None)
        none.append(prior.bits(batch.codes, unsung, batch.upper).double().numpy())
        if others is not None:
            told = others[number].labels
            other.append(prior.bits(batch.codes, told, batch.upper).double().numpy())
        watch(number + 1)
    return LyricsScore(
        right=np.concatenate(right),
        other=np.concatenate(other) if other else None,
        none=np.concatenate(none),
        songs=np.asarray(songs),
    )


def even_onsets(words: Sequence[SungWord], characters: slice, start: float, end: float) -> NDArray[np.float64]:
    """When words (n,) would begin if the `characters` of a window were sung evenly from start to end."""
    first = np.array([word.first for word in words], dtype=np.float64)
    share: NDArray[np.float64] = (first - characters.start) / (characters.stop - characters.start)
    return start + share * (end - start)
