"""Sampling of a level, window by window; one implementation for all three levels."""

import gc
import time
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, zip_longest
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from jukectl.codes.archive import Codes, SpanCodes
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.errors import is_out_of_memory
from jukectl.prior.labels import Conditioning, LabelBatch, Place, Segment, WindowShape
from jukectl.prior.model import ConditioningTensors, Prior
from jukectl.sampling.decoders.base import Decoder
from jukectl.sampling.decoders.choose import decoder_for
from jukectl.sampling.draw import uniforms
from jukectl.sampling.footprint import BatchPlan
from jukectl.sampling.spans import Spans, spans_of
from jukectl.sampling.windows import (
    Window,
    advance_codes,
    cut_window,
    plan_windows,
    song_offset,
    upper_span,
)

T = TypeVar("T")

OnProgress = Callable[[int], None]  # called with the number of codes of the level that exist
OnReduced = Callable[[BatchPlan], None]  # called with the smaller batch plan that is used after running out of memory

REPORT_INTERVAL = 0.05
"""Target seconds of one decoder call: calls decode more codes until they take this long.

Progress is reported, and Ctrl-C takes effect, between calls.
"""


@dataclass(frozen=True)
class LevelJob:
    """Everything that sampling a level depends on, except the codes that exist already."""

    prior: Prior
    total: int  # codes that the level will have
    seed: int
    conditioning: Conditioning
    upper: np.ndarray | None = field(default=None, repr=False)  # (samples, frames) codes of the level above
    streams: tuple[int, ...] = ()  # random stream of each sample; default 0, 1, 2 ...
    stream_offset: int = 0  # position of the first code in the random stream, for a part of a longer song
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    int8: bool = False  # 8-bit weights, CPU only
    threads: int | None = None  # of the compiled step; None: as many as are fastest

    @property
    def level(self) -> Level:
        """Level that is sampled."""
        return self.prior.config.level

    @property
    def ratio(self) -> int:
        """Codes per code of the level above; 1 at the top."""
        return self.prior.config.ratio

    def stream(self, sample: int) -> int:
        """Return the random stream of a sample."""
        return self.streams[sample] if self.streams else sample

    @property
    def sampling(self) -> LevelSampling:
        """Settings at the start of the level; `advance` and `parallel` are the same throughout."""
        return self.conditioning.segments[0].sampling

    def segment(self, window: Window) -> Segment:
        """Return the segment that a window's new codes belong to."""
        # windows are cut at segment boundaries, so the first new code stands for all of them
        return self.conditioning.segment_at(window.start + window.prefix)

    def place(self, window: Window) -> Place:
        """Return a window's place in the song."""
        offset = song_offset(window.start, self.prior.config, self.conditioning.start_samples)
        return Place(song=self.conditioning, segment=self.segment(window), start=window.start, offset=offset)

    def positions(self, window: Window) -> tuple[int, int]:
        """Return the positions (start, stop) of a window's new codes in the sample's random stream."""
        return self.stream_offset + window.start + window.prefix, self.stream_offset + window.stop

    def windows(self, done: int) -> list[Window]:
        """Return the windows that remain when `done` codes exist."""
        context, cuts = self.prior.config.context, self.conditioning.cuts
        advance = advance_codes(context, self.sampling.advance, self.ratio)
        return list(plan_windows(self.total, context=context, advance=advance, done=done, ratio=self.ratio, cuts=cuts))

    def spans(self, prefix: int) -> Spans | None:
        """Return the spans of a level that started with `prefix` codes; None where it is sampled in one piece."""
        return spans_of(self.prior.config, self.sampling, self.total, prefix)


@dataclass(frozen=True, slots=True)
class Row:
    """A window of one sample of a level."""

    job: LevelJob
    sample: int
    window: Window


@dataclass(frozen=True, eq=False, slots=True)
class Windows:
    """Windows of one song to sample in one batch: prefixes of equal length, equally many new codes, equal settings."""

    rows: Sequence[Row]
    prefix: np.ndarray  # (rows, n)
    report: OnProgress  # called with the number of new codes so far, of all rows

    @property
    def shape(self) -> Hashable:
        """Value that is equal for windows, also of several songs, that can be rows of one batch."""
        row = self.rows[0]
        settings = row.job.segment(row.window).sampling
        # advance and parallel decide what the windows are, not how they are sampled
        settings = replace(settings, advance=FREE.advance, parallel=FREE.parallel)
        return id(row.job.prior), row.job.int8, row.window.prefix, row.window.new, settings


FREE = LevelSampling()

Steps = Generator[Windows, np.ndarray, T]
"""Yields windows to sample and takes their new codes (rows, new), so that several songs can share a batch."""


def filling(
    job: LevelJob, codes: Codes, on_progress: OnProgress, on_codes: Callable[[Codes], None], goal: int | None = None
) -> Steps[None]:
    """Fill a level: call `on_codes` after each window, until there are `job.total` codes, or `goal` of them.

    Existing codes are never sampled again. The caller saves each result; an interrupted run that resumes from the last
    saved result samples the same codes.
    """
    for window in job.windows(codes.done):
        rows = [Row(job, sample, window) for sample in range(codes.samples)]
        begin = window.start + window.prefix

        # the defaults bind this iteration's values: a closure would see those of the last one
        def report(made: int, begin: int = begin, samples: int = codes.samples) -> None:
            on_progress(begin + made // samples)

        codes = codes.append((yield Windows(rows, codes.array[:, window.start : begin], report)))
        on_codes(codes)
        if goal is not None and codes.done >= goal:
            return


def filling_spans(
    job: LevelJob,
    codes: Codes,
    spans: Spans,
    unfinished: SpanCodes,
    on_progress: OnProgress,
    on_codes: Callable[[Codes, SpanCodes], None],
) -> Steps[None]:
    """Fill a level in spans (see `spans.py`).

    After each round, `on_codes` is called with the level's contiguous codes and all codes of the spans. It saves both,
    the codes of the spans first, since an interrupted run resumes from them. Progress is the share of the work done,
    scaled to codes of the level.
    """
    count = codes.samples * len(spans.starts)
    before = codes.cut(spans.prefix)  # the spans' own codes are in `unfinished`
    for windows in spans.rounds(unfinished.made):
        grown = [_prefix(spans, span, window, before, unfinished) for span, window in enumerate(windows)]
        done = unfinished.made * count
        for group in _batches(job, windows):
            rows = [Row(job, sample, window) for window in group.values() for sample in range(codes.samples)]

            def report(made: int, done: int = done) -> None:
                on_progress(spans.prefix + (spans.total - spans.prefix) * (done + made) // (count * spans.row_length))

            new = yield Windows(rows, np.concatenate([grown[span] for span in group]), report)
            done += new.size
            for span, made in zip(group, np.split(new, len(group)), strict=True):
                grown[span] = np.concatenate([grown[span], made], axis=1)
        # rows have prefixes of different lengths in the first round, and all end alike: the last codes are the new ones
        added = windows[0].stop - (spans.starts[0] - spans.warmup) - unfinished.made
        unfinished = unfinished.append(np.stack(grown)[:, :, -added:])
        codes = before.append(_contiguous(spans, before, unfinished))
        on_codes(codes, unfinished)


def sample_alone(steps: Steps[T], sampler: "WindowSampler") -> T:
    """Sample the windows of one song, and return the result of its steps, which also see errors of sampling."""
    try:
        asked = next(steps)
        while True:
            try:
                (new,) = sampler.sample([asked])
            except Exception as error:
                asked = steps.throw(error)
            else:
                asked = steps.send(new)
    except StopIteration as end:
        result: T = end.value
        return result


def no_spans_yet(spans: Spans, codes: Codes, key: str) -> SpanCodes:
    """Return the codes of the spans before their first round: none."""
    return SpanCodes(key, spans.prefix, np.zeros((len(spans.starts), codes.samples, 0), dtype=np.uint16))


def _prefix(spans: Spans, span: int, window: Window, before: Codes, unfinished: SpanCodes) -> np.ndarray:
    """Return the prefix (samples, window.prefix) of a span's window."""
    if unfinished.made < spans.warmup:  # the first round: only the first span has a prefix, codes of the level
        return before.array[:, window.start : window.start + window.prefix]
    first = window.start - (spans.starts[span] - spans.warmup)  # a row's array begins with its warm-up codes
    prefix: np.ndarray = unfinished.array[span, :, first : first + window.prefix]
    return prefix


def _batches(job: LevelJob, windows: Sequence[Window]) -> Iterator[dict[int, Window]]:
    """Yield the windows of a round in groups that can be sampled in one batch, as span to window.

    Windows are cut where a segment ends. Windows of a group have prefixes of equal length, add equally many codes and
    share their sampling settings; windows that add none are left out.
    """
    # the n-th piece of every window before any piece after it: a piece needs the codes of the piece before as prefix
    for pieces in zip_longest(*(cut_window(window, job.conditioning.cuts) for window in windows)):
        groups: dict[tuple[int, int, LevelSampling], dict[int, Window]] = {}
        for span, window in enumerate(pieces):
            if window is not None and window.new:
                groups.setdefault((window.prefix, window.new, job.segment(window).sampling), {})[span] = window
        yield from groups.values()


def _contiguous(spans: Spans, before: Codes, unfinished: SpanCodes) -> np.ndarray:
    """Return the codes (samples, n) that follow `before` without a gap, each from the span that contributes it."""
    parts = []
    for (start, stop), first, made in zip(spans.kept(), spans.starts, unfinished.array, strict=True):
        parts.append(made[:, start - (first - spans.warmup) :][:, : stop - start])
        if parts[-1].shape[1] < stop - start:  # this span is unfinished, so codes of later spans come after a gap
            break
    return np.concatenate(parts, axis=1)


class WindowSampler:
    """Samples windows of one prior with one decoder, whose rows may be of several songs.

    `batch` limits the rows and prefix positions that are processed at a time. Where memory runs out, the windows are
    repeated with a smaller batch plan and `on_reduced` is called with it; the error is raised where no smaller plan
    exists.
    """

    def __init__(self, batch: BatchPlan, most: int, on_reduced: OnReduced = lambda batch: None) -> None:
        self._batch = batch
        self._most = most  # rows of the largest batch
        self._on_reduced = on_reduced
        self._decoder: Decoder | None = None  # its cache is sized by the batch plan, so it is replaced with the plan
        self._room = 0  # rows of its cache

    def sample(self, asked: Sequence[Windows]) -> list[np.ndarray]:
        """Return the new codes (rows, new) of windows of one shape; their progress is reported while they are made."""
        rows = [row for one in asked for row in one.rows]
        prefix = np.concatenate([one.prefix for one in asked])

        def report(made: int) -> None:
            for one in asked:
                one.report(made * len(one.rows) // len(rows))

        new = self._sample(rows, prefix, report)
        return np.split(new, np.cumsum([len(one.rows) for one in asked])[:-1])

    def _sample(self, rows: Sequence[Row], prefix: np.ndarray, report: OnProgress) -> np.ndarray:
        job = rows[0].job
        while True:
            smaller = self._batch.halved(job.prior.config)
            try:
                return _sample_rows(rows, prefix, report, self._decoder_for(rows), self._batch)
            except (MemoryError, RuntimeError) as error:
                if smaller is None or not is_out_of_memory(error):
                    raise
            # after the except block: until it ends, the traceback keeps the tensors of the failed attempt alive
            self._batch, self._decoder = smaller, None
            _release_memory(job.device)
            self._on_reduced(smaller)

    def _decoder_for(self, rows: Sequence[Row]) -> Decoder:
        """Return the decoder, with room for a batch of such rows."""
        job = rows[0].job
        needed = min(self._batch.samples, self._most) * max(row.job.conditioning.rows_per_sample for row in rows)
        if self._decoder is None or self._room < needed:  # under guidance a sample has two rows
            self._decoder = None
            self._decoder = decoder_for(job.prior, needed, job.sampling, int8=job.int8, threads=job.threads)
            self._room = needed
        return self._decoder


@torch.inference_mode()
def mean_bits(job: LevelJob, codes: np.ndarray, first: int) -> list[float]:
    """Return the mean bits per code of each sample's codes (samples, frames) from `first` on, under the prior.

    Windows lie as far apart as they are long, so that it takes one pass over the codes.
    """
    context, found = job.prior.config.context, []
    starts = range(max(0, min(first, codes.shape[1] - context)), codes.shape[1], context)
    for sample, row in enumerate(codes):
        bits: list[Tensor] = []
        for start in starts:
            stop = min(start + context, len(row))
            own = np.zeros(context, dtype=np.int64)  # codes after the last one do not change what those before cost
            own[: stop - start] = row[start:stop]
            places = [job.place(Window(start, 0, stop))]
            labels = LabelBatch.of(places, WindowShape.of(job.prior.config), job.device)
            upper = (
                None if job.upper is None else _upper_codes(job, job.upper, [Row(job, sample, Window(start, 0, stop))])
            )
            each = job.prior.bits(torch.from_numpy(own)[None].to(job.device), labels, upper)[0]
            bits.append(each[max(first - start, 0) : stop - start].float().cpu())
        found.append(float(torch.cat(bits).mean()))
    return found


def _release_memory(device: torch.device) -> None:
    """Return unused memory to the device."""
    gc.collect()  # tensors of the failed attempt may be part of a reference cycle
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _sample_rows(
    rows: Sequence[Row], prefix: np.ndarray, report: OnProgress, decoder: Decoder, batch: BatchPlan
) -> np.ndarray:
    """Return the new codes (rows, new), sampled in groups of rows as the batch plan says."""
    parts: list[np.ndarray] = []
    for group in batch.groups(len(rows)):

        def report_all(made: int, before: int = group.start * rows[0].window.new) -> None:
            report(before + made)

        some = slice(group.start, group.stop)
        parts.append(_sample_group(rows[some], prefix[some], report_all, decoder, batch.chunk))
    return np.concatenate(parts)


def _sample_group(
    rows: Sequence[Row], prefix: np.ndarray, report: OnProgress, decoder: Decoder, chunk: int | None
) -> np.ndarray:
    """Return the new codes (B, new) of the B rows of one batch."""
    job = rows[0].job
    # the random numbers of a row are those of its song alone, whatever else is in the batch
    numbers = [
        uniforms(row.job.seed, row.job.level, row.job.stream(row.sample), *row.job.positions(row.window))
        for row in rows
    ]
    uniform = torch.from_numpy(np.stack(numbers))  # (B, new) float64
    settings = job.segment(rows[0].window).sampling
    decoder.use_settings(settings)
    # under classifier-free guidance the batch is doubled: B conditional rows, then B unconditional ones
    prefix = np.tile(prefix.astype(np.int64), (settings.rows, 1))
    decoder.begin(torch.from_numpy(prefix), _conditioning(rows, guided=settings.rows > 1), chunk)
    sampled, made, at_once = [], 0, 1
    while made < uniform.shape[1]:
        began = time.perf_counter()
        sampled.append(decoder.decode(uniform[:, made : made + at_once]))
        made += sampled[-1].shape[1]
        report(made * len(rows))
        # long calls save the overhead between calls, short ones keep progress and Ctrl-C responsive
        if time.perf_counter() - began < REPORT_INTERVAL:
            at_once *= 2
    new = torch.cat(sampled, dim=1)
    # a lyric token sampled in place of a code stays in this window's context, but is stored as code 0: later windows
    # and the decoder see code 0, as in the published one-stack model, whose head covers both vocabularies
    return new.where(new < job.prior.config.codebook_size, 0).numpy()


def conditioning_tensors(job: LevelJob, sample: int, window: Window) -> ConditioningTensors:
    """Return what the prior computes once for one window of a sample."""
    return _conditioning([Row(job, sample, window)])


def _conditioning(rows: Sequence[Row], *, guided: bool = False) -> ConditioningTensors:
    """Return what the prior computes once for B windows: from their labels, and the upper codes of the same span.

    With `guided`, for 2B rows: the second half has no artist, genre and notes, but the same timing, lyrics and codes.
    """
    # song by song: with labels of another song in the batch, such as mixtures of artists, sums could differ in a bit
    songs = [list(group) for _, group in groupby(rows, key=lambda row: id(row.job))]
    conditional = [_conditioning_of(some) for some in songs]
    return _joined(
        conditional + [_conditioning_of(some, unconditional=True) for some in songs] if guided else conditional
    )


def _conditioning_of(rows: Sequence[Row], *, unconditional: bool = False) -> ConditioningTensors:
    """Return the conditioning of windows of one song."""
    job = rows[0].job
    labels = LabelBatch.of([job.place(row.window) for row in rows], WindowShape.of(job.prior.config), job.device)
    upper = None if job.upper is None else _upper_codes(job, job.upper, rows)
    return job.prior.conditioning(labels.unconditioned() if unconditional else labels, upper)


def _joined(parts: Sequence[ConditioningTensors]) -> ConditioningTensors:
    """Join the conditioning of several songs. Zeros follow where the level above one ends before those of others."""
    lengths = {part.positions.shape[1] for part in parts if part.positions is not None}
    if len(lengths) > 1:
        parts = [replace(part, positions=_padded(part.positions, max(lengths))) for part in parts]
    return ConditioningTensors.join(parts)


def _padded(positions: Tensor | None, length: int) -> Tensor | None:
    return None if positions is None else F.pad(positions, (0, 0, 0, length - positions.shape[1]))


def _upper_codes(job: LevelJob, upper: np.ndarray, rows: Sequence[Row]) -> Tensor:
    """Return the codes (B, upper context) above each window."""
    spans = [upper_span(row.window, job.prior.config.context, job.ratio, upper.shape[1]) for row in rows]
    parts = [upper[row.sample, start:stop] for row, (start, stop) in zip(rows, spans, strict=True)]
    return torch.from_numpy(np.stack(parts).astype(np.int64)).to(job.device)
