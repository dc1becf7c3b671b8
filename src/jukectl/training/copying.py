"""Detect memorization: compare the overlap of continuations with training songs to that of held-out music."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from jukectl.codes.overlap import OverlapIndex
from jukectl.data.segments import Segments, SegmentSet
from jukectl.prior.model import Prior
from jukectl.sampling.draw import draw, uniforms

MARGIN = 2.0  # times the overlap of held-out music
LEAST = 16  # codes that unrelated songs may share, such as a drum or a rest


@dataclass(frozen=True)
class Copied:
    """Longest run of codes that continuations share with a training song."""

    length: int  # codes
    held_out: int  # longest run that the held-out music itself shares, at the same positions
    song: int  # index of the training song
    start: int  # start of the run in that song, in codes

    @property
    def is_copying(self) -> bool:
        """True if the run is over `MARGIN` times as long as in held-out music, and over `LEAST` codes."""
        return self.length > max(MARGIN * self.held_out, LEAST)


class CopyWatch:
    """Continues held-out music with a prior, and searches its training songs for the result.

    The baseline is the true continuation of the held-out songs: the same number of codes at the same positions. Every
    measurement uses the same random stream, so that only the change of the model shows.
    """

    def __init__(self, training: SegmentSet, held_out: Sequence[Segments], codes: int, seed: int) -> None:
        self.index = OverlapIndex([song.codes[:] for song in training.songs])
        self.places = held_out
        self.codes = min(codes, training.context // 2)  # of each continuation; the rest of the context is its prefix
        self.seed = seed
        truths = [segment.codes[0, -self.codes :].numpy() for segment in held_out]
        self.held_out = max(self.index.longest(truth).length for truth in truths)

    def measure(self, prior: Prior, tick: Callable[[], None] = lambda: None) -> Copied:
        """Return the longest run that any continuation of the prior shares with a training song.

        `tick` is called after each continuation.
        """
        found = []
        for number, segment in enumerate(self.places):
            found.append(self._continuation(prior, number, segment))
            tick()
        match = max((self.index.longest(codes) for codes in found), key=lambda one: one.length)
        return Copied(match.length, self.held_out, match.song, match.song_start)

    @torch.inference_mode()
    def _continuation(self, prior: Prior, number: int, segment: Segments) -> np.ndarray:
        """Sample the last codes (codes,) of a segment, with the codes before them as prefix."""
        device = prior.device
        prefix = segment.codes.shape[1] - self.codes
        stream = torch.from_numpy(uniforms(self.seed, prior.config.level, number, 0, self.codes)).to(device)
        upper = None if segment.upper is None else segment.upper.to(device)
        sampled = []
        with torch.autocast(device.type, enabled=False):  # the cache has the precision of the weights
            conditioning, cache = prior.conditioning(segment.labels.to(device), upper), prior.new_cache(1)
            logits = prior.prefill(segment.codes[:, :prefix].to(device), conditioning, cache)
            for place in range(self.codes):
                sampled.append(draw(logits, stream[place : place + 1], temperature=1.0, top_k=0, top_p=1.0))
                if place + 1 < self.codes:
                    logits = prior.step(sampled[-1], prefix + place + 1, conditioning, cache)
        return torch.cat(sampled).cpu().numpy()
