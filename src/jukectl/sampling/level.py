"""A whole level, window by window, saved as it goes: the same code for all three."""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor

from jukectl.codes.archive import Codes, SpanCodes
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.errors import is_out_of_memory
from jukectl.lyrics.window import LyricWindow, lyric_window
from jukectl.midi.roll import ToldNotes
from jukectl.prior.config import PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.mixture import Mixture
from jukectl.prior.model import Conditioning, Prior
from jukectl.prior.vocabulary import UNLABELLED
from jukectl.sampling.decoders.base import Decoder
from jukectl.sampling.decoders.choose import decoder_for
from jukectl.sampling.draw import uniforms
from jukectl.sampling.footprint import BatchPlan
from jukectl.sampling.spans import Spans, spans_of
from jukectl.sampling.windows import (
    Segment,
    Window,
    advance_codes,
    cut_window,
    cuts_of,
    plan_windows,
    segment_at,
    song_offset,
    upper_span,
)

OnProgress = Callable[[int], None]  # told how many codes of the level exist
REPORT_INTERVAL = 0.05
"""Seconds between two looks at the progress, and at Ctrl-C, at the least."""

OnReduced = Callable[[BatchPlan], None]  # told how much is made at a time from here on, since memory ran out


@dataclass(frozen=True)
class LevelJob:
    """What it takes to fill a level, beside the codes that exist."""

    prior: Prior
    total: int  # codes the level shall have
    seed: int
    sampling: LevelSampling
    song_samples: int  # total length told to the timing conditioner, in audio samples
    artist: int = UNLABELLED
    genres: tuple[int, ...] = (UNLABELLED,)
    offset: int = 0  # audio samples of that song before the level's first code
    segments: tuple[Segment, ...] = ()  # in place of artist, genres and settings, which may be mixed there, and change
    upper: np.ndarray | None = field(default=None, repr=False)  # (samples, frames) codes of the level above
    streams: tuple[int, ...] = ()  # random stream of each sample; default 0, 1, 2 ...
    stream_offset: int = 0  # position in the random stream of the level's first code, for a part of a longer song
    lyrics: tuple[tuple[int, ...], ...] = ((),)  # ids of all characters: of one text, or of one a sample
    lyric_onsets: tuple[tuple[int, ...] | None, ...] = (None,)  # of each in audio samples; None: spread
    notes: ToldNotes | None = None  # in seconds since the level's first code
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    int8: bool = False  # weights of a byte each

    @property
    def level(self) -> Level:
        """The level that is filled."""
        return self.prior.config.level

    @property
    def ratio(self) -> int:
        """Codes per code of the level above; 1 at the top."""
        return self.prior.config.ratio

    def stream(self, sample: int) -> int:
        """Return the random stream of a sample."""
        return self.streams[sample] if self.streams else sample

    def segment(self, window: Window) -> Segment:
        """What the codes that a window adds are drawn with."""
        if self.segments:
            return segment_at(self.segments, window.start + window.prefix)
        return Segment(artist=Mixture.of(self.artist), genres=Mixture.of(*self.genres), sampling=self.sampling)

    @property
    def rows_per_sample(self) -> int:
        """Rows of a decoder that a sample takes at the most: two where labels are weighed against none."""
        return max([self.sampling.rows, *(segment.sampling.rows for segment in self.segments)])

    def positions(self, window: Window) -> tuple[int, int]:
        """Return the positions (start, stop) of a window's new codes in the sample's random stream."""
        return self.stream_offset + window.start + window.prefix, self.stream_offset + window.stop

    def windows(self, done: int) -> list[Window]:
        """The windows that are left to do."""
        context, cuts = self.prior.config.context, cuts_of(self.segments)
        advance = advance_codes(context, self.sampling.advance, self.ratio)
        return list(plan_windows(self.total, context=context, advance=advance, done=done, ratio=self.ratio, cuts=cuts))

    def spans(self, begun: int) -> Spans | None:
        """The spans that the level is made in, where `begun` codes were there before; None where it is made in one."""
        return spans_of(self.prior.config, self.sampling, self.total, begun)


@dataclass(frozen=True, slots=True)
class _Row:
    """A window of one sample. Rows that are made together know and add equally many codes."""

    sample: int
    window: Window


def fill(
    job: LevelJob,
    codes: Codes,
    on_progress: OnProgress,
    batch: BatchPlan | None = None,
    on_reduced: OnReduced = lambda batch: None,
) -> Iterator[Codes]:
    """Codes of the level after each window, until `job.total` are there. What exists is never sampled again.

    Whoever iterates saves each result; a run that stops in between goes on from the last one saved to the same codes.
    At most a `batch` of a window is made at a time, or all of it. Where memory runs out, the window is begun again
    with half of that, and `on_reduced` is told; where there is no half, the error goes on to whoever iterates.
    """
    maker = _Maker(job, batch or BatchPlan(codes.samples), codes.samples, on_reduced)
    for window in job.windows(codes.done):
        rows = [_Row(sample, window) for sample in range(codes.samples)]
        begin = window.start + window.prefix

        def told(made: int, begin: int = begin, samples: int = codes.samples) -> None:
            on_progress(begin + made // samples)

        codes = codes.append(maker.make(rows, codes.array[:, window.start : begin], told))
        yield codes


def fill_spans(
    job: LevelJob,
    codes: Codes,
    spans: Spans,
    unfinished: SpanCodes,
    on_progress: OnProgress,
    batch: BatchPlan | None = None,
    on_reduced: OnReduced = lambda batch: None,
) -> Iterator[tuple[Codes, SpanCodes]]:
    """The same in spans, see `spans.py`: after each round the codes without a gap, and all that the spans have made.

    Whoever iterates saves both, the spans first: a run that stopped goes on from them. A batch's samples are rows
    here, each a span of a sample. The watcher is told the share of the work that is done, as codes of the level.
    """
    count = codes.samples * len(spans.starts)
    maker = _Maker(job, batch or BatchPlan(count), count, on_reduced)
    before = codes.cut(spans.prefix)
    for windows in spans.rounds(unfinished.made):
        grown = [_prefix(spans, span, window, before, unfinished) for span, window in enumerate(windows)]
        done = unfinished.made * count
        for alike in _alike(job, windows):
            rows = [_Row(sample, window) for window in alike.values() for sample in range(codes.samples)]

            def told(made: int, done: int = done) -> None:
                on_progress(spans.prefix + (spans.total - spans.prefix) * (done + made) // (count * spans.row_length))

            new = maker.make(rows, np.concatenate([grown[span] for span in alike]), told)
            done += new.size
            for span, made in zip(alike, np.split(new, len(alike)), strict=True):
                grown[span] = np.concatenate([grown[span], made], axis=1)
        added = windows[0].stop - (spans.starts[0] - spans.warmup) - unfinished.made
        unfinished = unfinished.append(np.stack(grown)[:, :, -added:])
        codes = before.append(_without_gap(spans, before, unfinished))
        yield codes, unfinished


def no_spans_yet(spans: Spans, codes: Codes, key: str) -> SpanCodes:
    """What spans have before their first round."""
    return SpanCodes(key, spans.prefix, np.zeros((len(spans.starts), codes.samples, 0), dtype=np.uint16))


def _prefix(spans: Spans, span: int, window: Window, before: Codes, unfinished: SpanCodes) -> np.ndarray:
    """The codes (samples, window.prefix) that a span's window knows: the span's own, or in its lead-in those before."""
    if unfinished.made < spans.warmup:
        return before.array[:, window.start : window.start + window.prefix]
    first = window.start - (spans.starts[span] - spans.warmup)
    prefix: np.ndarray = unfinished.array[span, :, first : first + window.prefix]
    return prefix


def _alike(job: LevelJob, windows: Sequence[Window]) -> Iterator[dict[int, Window]]:
    """The windows by span, in the order in which they are made, and cut where what they are told changes.

    Those that know and add equally many codes, drawn alike, are made together; those that add none are left out.
    """
    for pieces in zip_longest(*(cut_window(window, cuts_of(job.segments)) for window in windows)):
        groups: dict[tuple[int, int, LevelSampling], dict[int, Window]] = {}
        for span, window in enumerate(pieces):
            if window is not None and window.new:
                groups.setdefault((window.prefix, window.new, job.segment(window).sampling), {})[span] = window
        yield from groups.values()


def _without_gap(spans: Spans, before: Codes, unfinished: SpanCodes) -> np.ndarray:
    """The codes (samples, n) that follow on those before without a gap, each from the span that it is kept of."""
    parts = []
    for (start, stop), first, made in zip(spans.kept(), spans.starts, unfinished.array, strict=True):
        parts.append(made[:, start - (first - spans.warmup) :][:, : stop - start])
        if parts[-1].shape[1] < stop - start:
            break
    return np.concatenate(parts, axis=1)


class _Maker:
    """Makes the windows of a job with one decoder, so many rows at a time; with less where memory runs out."""

    def __init__(self, job: LevelJob, batch: BatchPlan, most: int, on_reduced: OnReduced) -> None:
        self._job = job
        self._batch = batch
        self._most = most
        self._on_reduced = on_reduced
        self._decoder: Decoder | None = None

    def make(self, rows: Sequence[_Row], prefix: np.ndarray, told: OnProgress) -> np.ndarray:
        """The codes (rows, new) that windows add, given those they know (rows, prefix); `told` how many it has made."""
        job = self._job
        while True:
            less = self._batch.halved(job.prior.config)
            try:
                if self._decoder is None:
                    count = min(self._batch.samples, self._most) * job.rows_per_sample
                    self._decoder = decoder_for(job.prior, count, job.sampling, int8=job.int8)
                return _fill_rows(job, rows, prefix, told, self._decoder, self._batch)
            except (MemoryError, RuntimeError) as error:
                if less is None or not is_out_of_memory(error):
                    raise
            # only here, since the error keeps the tensors of what failed
            self._batch, self._decoder = less, None
            _release_memory(job.device)
            self._on_reduced(less)


def _release_memory(device: torch.device) -> None:
    """Give memory that is not in use back to the device."""
    gc.collect()  # what failed may hang in a circle of references
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _fill_rows(
    job: LevelJob, rows: Sequence[_Row], prefix: np.ndarray, told: OnProgress, decoder: Decoder, batch: BatchPlan
) -> np.ndarray:
    """The codes (rows, new) that windows add: made for one group of rows after another, by the one decoder."""
    parts: list[np.ndarray] = []
    for group in batch.groups(len(rows)):

        def more(made: int, before: int = group.start * rows[0].window.new) -> None:
            told(before + made)

        some = slice(group.start, group.stop)
        parts.append(_fill_group(job, rows[some], prefix[some], more, decoder, batch.chunk))
    return np.concatenate(parts)


def _fill_group(
    job: LevelJob, rows: Sequence[_Row], prefix: np.ndarray, told: OnProgress, decoder: Decoder, chunk: int | None
) -> np.ndarray:
    """The codes (rows, new) of some of the rows, at once."""
    numbers = [uniforms(job.seed, job.level, job.stream(row.sample), *job.positions(row.window)) for row in rows]
    uniform = torch.from_numpy(np.stack(numbers))
    settings = job.segment(rows[0].window).sampling
    decoder.draw_with(settings)
    prefix = np.tile(prefix.astype(np.int64), (settings.rows, 1))
    decoder.begin(torch.from_numpy(prefix), _conditioning(job, rows, twice=settings.rows > 1), chunk)
    drawn, made, at_once = [], 0, 1
    while made < uniform.shape[1]:
        began = time.perf_counter()
        drawn.append(decoder.decode(uniform[:, made : made + at_once]))
        made += drawn[-1].shape[1]
        told(made * len(rows))
        if time.perf_counter() - began < REPORT_INTERVAL:
            at_once *= 2
    new = torch.cat(drawn, dim=1)
    # a character that was drawn for a code is heard on by its window, and is code 0 to all others, as published
    return new.where(new < job.prior.config.codebook_size, 0).numpy()


def conditioning_of(job: LevelJob, sample: int, window: Window) -> Conditioning:
    """What one window of a sample is told."""
    return _conditioning(job, [_Row(sample, window)])


def sung_window(job: LevelJob, sample: int, start: int, shift: int = 0) -> LyricWindow:
    """The part of the lyrics of a sample that the window which starts at a code is told; of a prior that hears them.

    With a `shift`, in audio samples, that of a window so much later.
    """
    config = job.prior.config
    assert config.lyrics is not None
    onsets = job.lyric_onsets[0 if len(job.lyric_onsets) == 1 else sample]
    if onsets is None:
        offset = song_offset(start, config, job.offset)
        offset = min(max(offset + shift, 0), job.song_samples - 1) if shift else offset
    else:  # at its time, however long the songs are that the prior knows
        offset = job.offset + start * config.hop + shift
    return lyric_window(
        job.lyrics[0 if len(job.lyrics) == 1 else sample],
        config.lyrics.characters,
        total_length=job.song_samples,
        offset=offset,
        sample_length=config.window_samples,
        onsets=onsets,
    )


def _conditioning(job: LevelJob, rows: Sequence[_Row], *, twice: bool = False) -> Conditioning:
    """Labels at each window's place in the song, and the upper codes of the same span.

    With `twice`, all rows are there once more after the last, without artist, genre and notes.
    """
    config = job.prior.config
    segments = [job.segment(row.window) for row in rows]
    labels = LabelBatch.repeat(
        len(rows),
        slots=config.genre_slots,
        total_length=job.song_samples,
        sample_length=config.window_samples,
        device=job.device,
    )
    labels = labels.styled([segment.artist for segment in segments], [segment.genres for segment in segments])
    offsets = [song_offset(row.window.start, config, job.offset) for row in rows]
    labels = replace(labels, offset=torch.tensor(offsets, dtype=torch.int64, device=job.device))
    if config.lyrics is not None:
        labels = replace(labels, lyrics=_lyric_windows(job, rows))
    if config.midi is not None and job.notes is not None:
        labels = replace(labels, notes=_rolls(job.notes, rows, config).to(job.device))
    told = [labels, replace(labels.unlabelled(), notes=None)] if twice else [labels]
    if job.upper is None:
        return _joined([job.prior.conditioning(each) for each in told])
    spans = [upper_span(row.window, config.context, job.ratio, job.upper.shape[1]) for row in rows]
    parts = [job.upper[row.sample, start:stop] for row, (start, stop) in zip(rows, spans, strict=True)]
    upper = torch.from_numpy(np.stack(parts).astype(np.int64)).to(job.device)
    return _joined([job.prior.conditioning(each, upper) for each in told])


def _rolls(notes: ToldNotes, rows: Sequence[_Row], config: PriorConfig) -> Tensor:
    """The piano roll of each window, (rows, context, channels)."""
    rate = config.sample_rate / config.hop

    @cache
    def roll(start: int) -> np.ndarray:
        return notes.roll(start, config.context, rate=rate)

    return torch.from_numpy(np.stack([roll(row.window.start) for row in rows]))


def _joined(parts: Sequence[Conditioning]) -> Conditioning:
    return Conditioning.join(parts) if len(parts) > 1 else parts[0]


def _lyric_windows(job: LevelJob, rows: Sequence[_Row]) -> Tensor:
    """The part of the lyrics of its sample that each window is told, (rows, characters)."""

    @cache
    def ids(sample: int, start: int, shift: int) -> np.ndarray:
        return sung_window(job, sample, start, shift).ids

    one = len(job.lyrics) == 1
    windows = [ids(0 if one else row.sample, row.window.start, job.segment(row.window).lyrics_shift) for row in rows]
    return torch.from_numpy(np.stack(windows)).to(job.device)
