"""Jobs of the sampler from plain values, and their codes window by window, as tests of it want them."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from jukectl.codes.archive import Codes, SpanCodes
from jukectl.codes.recipe import LevelSampling
from jukectl.lyrics.tokens import LyricTokens
from jukectl.midi.roll import CoveredNotes
from jukectl.prior.labels import Conditioning, Segment
from jukectl.prior.mixture import Mixture
from jukectl.sampling.footprint import BatchPlan
from jukectl.sampling.level import LevelJob, OnProgress, OnReduced, Steps, WindowSampler, filling, filling_spans
from jukectl.sampling.spans import Spans

T = TypeVar("T")


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


def fill(
    job: LevelJob,
    codes: Codes,
    on_progress: OnProgress,
    batch: BatchPlan | None = None,
    on_reduced: OnReduced = lambda batch: None,
) -> Iterator[Codes]:
    """Yield the codes of the level after each window, see `filling`; for the batch plan see `WindowSampler`."""
    found: list[Codes] = []
    sampler = WindowSampler(batch or BatchPlan(codes.samples), codes.samples, on_reduced)
    yield from _found(filling(job, codes, on_progress, found.append), sampler, found)


def fill_spans(
    job: LevelJob,
    codes: Codes,
    spans: Spans,
    unfinished: SpanCodes,
    on_progress: OnProgress,
    batch: BatchPlan | None = None,
    on_reduced: OnReduced = lambda batch: None,
) -> Iterator[tuple[Codes, SpanCodes]]:
    """Yield the codes of the level and of its spans after each round, see `filling_spans` and `WindowSampler`."""
    found: list[tuple[Codes, SpanCodes]] = []
    count = codes.samples * len(spans.starts)
    sampler = WindowSampler(batch or BatchPlan(count), count, on_reduced)
    steps = filling_spans(job, codes, spans, unfinished, on_progress, lambda *made: found.append(made))
    yield from _found(steps, sampler, found)


def _found(steps: Steps[None], sampler: WindowSampler, found: list[T]) -> Iterator[T]:
    """Yield what steps append to `found`, at once."""
    answer: Any = None
    while True:
        try:
            asked = steps.send(answer)
        except StopIteration:
            yield from found
            return
        yield from found
        found.clear()
        (answer,) = sampler.sample([asked])
