"""Jobs of the sampler from plain values, as tests of it want them."""

from collections.abc import Sequence
from typing import Any

from jukectl.codes.recipe import LevelSampling
from jukectl.lyrics.tokens import LyricTokens
from jukectl.midi.roll import CoveredNotes
from jukectl.prior.labels import Conditioning, Segment
from jukectl.prior.mixture import Mixture
from jukectl.sampling.level import LevelJob


def level_job(
    *,
    song_samples: int,
    sampling: LevelSampling | None = None,
    artist: int = 0,
    genres: Sequence[int] = (0,),
    segments: tuple[Segment, ...] = (),
    start_samples: int = 0,
    lyrics: Sequence[int] = (),
    notes: CoveredNotes | None = None,
    **job: Any,
) -> LevelJob:
    """Return a job with one artist and genres throughout, or with `segments` in their place."""
    plain = Segment(artist=Mixture.of(artist), genres=Mixture.of(*genres), sampling=sampling or LevelSampling())
    conditioning = Conditioning(
        song_samples=song_samples,
        start_samples=start_samples,
        segments=segments or (plain,),
        lyrics=LyricTokens(tuple(lyrics)),
        notes=notes,
    )
    return LevelJob(conditioning=conditioning, **job)
