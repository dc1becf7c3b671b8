"""Whether a model begins to learn its songs by heart: what it goes on with, held against what songs share anyway."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from jukectl.codes.overlap import OverlapIndex
from jukectl.data.segments import Segments, SegmentSet
from jukectl.prior.model import Prior
from jukectl.sampling.draw import draw, uniforms

MARGIN = 2.0  # times what held-out music shares
LEAST = 16  # codes that any two songs may share: a drum, a rest


@dataclass(frozen=True)
class Copied:
    """The longest run of codes that continuations have in common with a training song."""

    length: int  # codes
    held_out: int  # the longest such run in the held-out music itself, at the same places
    song: int  # number of the training song
    start: int  # where it begins there, in codes

    @property
    def clear(self) -> bool:
        """Whether it is copying: more than `MARGIN` times as long as in held-out music, and over `LEAST` codes."""
        return self.length > max(MARGIN * self.held_out, LEAST)


class CopyWatch:
    """Lets a prior go on from held-out music, and looks for the result in the songs that it learns from.

    What the held-out songs themselves go on with at these very places is the yardstick: as many codes, equally many
    times. The chance in it is the same at every look, so that only the model's change shows.
    """

    def __init__(self, training: SegmentSet, held_out: Sequence[Segments], codes: int, seed: int) -> None:
        self.index = OverlapIndex([song.codes[:] for song in training.songs])
        self.places = held_out
        self.codes = min(codes, training.context // 2)  # of each continuation, after as much as there is to hear
        self.seed = seed
        truths = [segment.codes[0, -self.codes :].numpy() for segment in held_out]
        self.held_out = max(self.index.longest(truth).length for truth in truths)

    def look(self, prior: Prior) -> Copied:
        """The longest run that any continuation of the prior shares with a training song."""
        found = [self._continued(prior, number, segment) for number, segment in enumerate(self.places)]
        match = max((self.index.longest(codes) for codes in found), key=lambda one: one.length)
        return Copied(match.length, self.held_out, match.song, match.song_start)

    @torch.inference_mode()
    def _continued(self, prior: Prior, number: int, segment: Segments) -> np.ndarray:
        """What the prior puts in place of a segment's last codes, (codes,)."""
        device = prior.device
        known = segment.codes.shape[1] - self.codes
        chance = torch.from_numpy(uniforms(self.seed, prior.config.level, number, 0, self.codes)).to(device)
        upper = None if segment.upper is None else segment.upper.to(device)
        drawn = []
        with torch.autocast(device.type, enabled=False):  # the cache is in the precision of the weights
            conditioning, cache = prior.conditioning(segment.labels.to(device), upper), prior.new_cache(1)
            logits = prior.prefill(segment.codes[:, :known].to(device), conditioning, cache)
            for place in range(self.codes):
                drawn.append(draw(logits, chance[place : place + 1], temperature=1.0, top_k=0, top_p=1.0))
                if place + 1 < self.codes:
                    logits = prior.step(drawn[-1], known + place + 1, conditioning, cache)
        return torch.cat(drawn).cpu().numpy()
