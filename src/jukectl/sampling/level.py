"""A whole level, window by window, saved as it goes: the same code for all three."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.errors import is_out_of_memory
from jukectl.prior.alignment import lyric_window
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Conditioning, Prior
from jukectl.sampling.decoder import Decoder, decoder_for
from jukectl.sampling.noise import uniforms
from jukectl.sampling.plan import Portion
from jukectl.sampling.windows import Window, advance_codes, plan_windows, song_offset, upper_span

Watch = Callable[[int], None]  # told how many codes of the level exist
GLANCE = 0.05
"""Seconds between two looks at the progress, and at Ctrl-C, at the least."""

Lessened = Callable[[Portion], None]  # told how much is made at a time from here on, since memory ran out


@dataclass(frozen=True)
class LevelJob:
    """What it takes to fill a level, beside the codes that exist."""

    prior: Prior
    total: int  # codes the level shall have
    seed: int
    sampling: LevelSampling
    artist: int
    genres: tuple[int, ...]
    song_samples: int  # total length told to the timing conditioner, in audio samples
    upper: np.ndarray | None = field(default=None, repr=False)  # (samples, frames) codes of the level above
    lyrics: tuple[tuple[int, ...], ...] = ((),)  # ids of all characters: of one text, or of one a sample
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def level(self) -> Level:
        """The level that is filled."""
        return self.prior.config.level

    @property
    def ratio(self) -> int:
        """Codes per code of the level above; 1 at the top."""
        return self.prior.config.conditioner.ratio if self.prior.config.conditioner else 1

    def windows(self, done: int) -> list[Window]:
        """The windows that are left to do."""
        context = self.prior.config.context
        advance = advance_codes(context, self.sampling.advance, self.ratio)
        return list(plan_windows(self.total, context=context, advance=advance, done=done, ratio=self.ratio))


def fill(
    job: LevelJob,
    codes: Codes,
    watch: Watch,
    portion: Portion | None = None,
    lessened: Lessened = lambda portion: None,
) -> Iterator[Codes]:
    """Codes of the level after each window, until `job.total` are there. What exists is never sampled again.

    Whoever iterates saves each result; a run that stops in between goes on from the last one saved to the same codes.
    At most a `portion` of a window is made at a time, or all of it. Where memory runs out, the window is begun again
    with half of that, and `lessened` is told; where there is no half, the error goes on to whoever iterates.
    """
    portion, decoder = portion or Portion(codes.samples), None
    for window in job.windows(codes.done):
        known = codes.array[:, window.start : window.start + window.known]
        new = None
        while new is None:
            less = portion.halved(job.prior.config)
            try:
                if decoder is None:
                    decoder = decoder_for(job.prior, min(portion.samples, codes.samples), job.sampling)
                new = _fill_window(job, window, known, watch, decoder, portion)
            except (MemoryError, RuntimeError) as error:
                if less is None or not is_out_of_memory(error):
                    raise
            if new is None and less is not None:  # only here, since the error keeps the tensors of what failed
                portion, decoder = less, None
                _hand_back(job.device)
                lessened(portion)
        codes = codes.append(new)
        yield codes


def _hand_back(device: torch.device) -> None:
    """Give memory that is not in use back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _fill_window(
    job: LevelJob, window: Window, known: np.ndarray, watch: Watch, decoder: Decoder, portion: Portion
) -> np.ndarray:
    """The codes (samples, window.new) that a window adds, given those it knows (samples, window.known).

    Made for one group of samples after another, by the one decoder.
    """
    samples, begin = len(known), window.start + window.known
    parts = []
    for rows in portion.groups(samples):

        def told(made: int, rows: range = rows) -> None:
            watch(begin + (rows.start * window.new + len(rows) * made) // samples)

        parts.append(_fill_rows(job, window, rows, known[rows.start : rows.stop], told, decoder, portion.chunk))
    return np.concatenate(parts)


def _fill_rows(
    job: LevelJob, window: Window, rows: range, known: np.ndarray, told: Watch, decoder: Decoder, chunk: int | None
) -> np.ndarray:
    """The codes (rows, window.new) that a window adds to some of the samples."""
    begin = window.start + window.known
    numbers = np.stack([uniforms(job.seed, job.level, sample, begin, window.stop) for sample in rows])
    uniform = torch.from_numpy(numbers)
    decoder.begin(torch.from_numpy(known.astype(np.int64)), _conditioning(job, window, rows), chunk)
    drawn, made, at_once = [], 0, 1
    while made < window.new:
        began = time.perf_counter()
        drawn.append(decoder.decode(uniform[:, made : made + at_once]))
        made += drawn[-1].shape[1]
        told(made)
        if time.perf_counter() - began < GLANCE:
            at_once *= 2
    new = torch.cat(drawn, dim=1)
    # a character that was drawn for a code is heard on by its window, and is code 0 to all others, as published
    return new.where(new < job.prior.config.codebook_size, 0).numpy()


def _conditioning(job: LevelJob, window: Window, rows: range) -> Conditioning:
    """Labels at the window's place in the song, and the upper codes of the same span."""
    config = job.prior.config
    labels = LabelBatch.repeat(
        len(rows),
        artist=job.artist,
        genres=job.genres,
        slots=config.genre_slots,
        total_length=job.song_samples,
        offset=song_offset(window.start, config),
        sample_length=config.window_samples,
        device=job.device,
    )
    if config.lyrics is not None:
        labels = replace(labels, lyrics=_lyric_windows(job, window, rows, config.lyrics.characters))
    if job.upper is None:
        return job.prior.conditioning(labels)
    start, stop = upper_span(window, config.context, job.ratio, job.upper.shape[1])
    upper = torch.from_numpy(job.upper[rows.start : rows.stop, start:stop].astype(np.int64)).to(job.device)
    return job.prior.conditioning(labels, upper)


def _lyric_windows(job: LevelJob, window: Window, rows: range, characters: int) -> Tensor:
    """The part of the lyrics of some of the samples that a window is told, (rows, characters)."""
    config = job.prior.config
    texts = job.lyrics[rows.start : rows.stop] if len(job.lyrics) > 1 else job.lyrics
    windows = [
        lyric_window(
            lyrics,
            characters,
            total_length=job.song_samples,
            offset=song_offset(window.start, config),
            sample_length=config.window_samples,
        ).ids
        for lyrics in texts
    ]
    ids = torch.from_numpy(np.stack(windows)).to(job.device)
    return ids.expand(len(rows), characters)
