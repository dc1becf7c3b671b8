"""A whole level, window by window, saved as it goes: the same code for all three."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.prior.alignment import lyric_window
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Conditioning, Prior
from jukectl.prior.transformer import KVCache
from jukectl.sampling.draw import draw
from jukectl.sampling.noise import uniforms
from jukectl.sampling.windows import Window, advance_codes, plan_windows, song_offset, upper_span

Watch = Callable[[int], None]  # told how many codes of the level exist


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


def fill(job: LevelJob, codes: Codes, watch: Watch) -> Iterator[Codes]:
    """Codes of the level after each window, until `job.total` are there. What exists is never sampled again.

    Whoever iterates saves each result; a run that stops in between goes on from the last one saved to the same codes.
    """
    cache = job.prior.new_cache(codes.samples)
    for window in job.windows(codes.done):
        known = codes.array[:, window.start : window.start + window.known]
        new = _fill_window(job, window, known, watch, cache)
        codes = codes.append(new)
        yield codes


@torch.inference_mode()
def _fill_window(job: LevelJob, window: Window, known: np.ndarray, watch: Watch, cache: KVCache) -> np.ndarray:
    """The codes (samples, window.new) that a window adds, given those it knows (samples, window.known)."""
    samples = len(known)
    begin = window.start + window.known
    numbers = np.stack([uniforms(job.seed, job.level, sample, begin, window.stop) for sample in range(samples)])
    uniform = torch.from_numpy(numbers)
    if job.device.type != "mps":  # which has no float64, so there the CPU draws
        uniform = uniform.to(job.device)
    conditioning = _conditioning(job, window, samples)
    prior, settings = job.prior, job.sampling
    prefix = torch.from_numpy(known.astype(np.int64)).to(job.device)
    cache.reset()
    logits = prior.prefill(prefix, conditioning, cache)
    drawn = []
    for index in range(window.new):
        code = draw(
            logits.to(uniform.device),
            uniform[:, index],
            temperature=settings.temperature,
            top_k=settings.top_k,
            top_p=settings.top_p,
        ).to(job.device)
        drawn.append(code)
        watch(begin + index + 1)
        if index + 1 < window.new:
            logits = prior.step(code, window.known + index + 1, conditioning, cache)
    new = torch.stack(drawn, dim=1)
    # a character that was drawn for a code is heard on by its window, and is code 0 to all others, as published
    return new.where(new < prior.config.codebook_size, 0).cpu().numpy()


def _conditioning(job: LevelJob, window: Window, samples: int) -> Conditioning:
    """Labels at the window's place in the song, and the upper codes of the same span."""
    config = job.prior.config
    labels = LabelBatch.repeat(
        samples,
        artist=job.artist,
        genres=job.genres,
        slots=config.genre_slots,
        total_length=job.song_samples,
        offset=song_offset(window.start, config),
        sample_length=config.window_samples,
        device=job.device,
    )
    if config.lyrics is not None:
        labels = replace(labels, lyrics=_lyric_windows(job, window, samples, config.lyrics.characters))
    if job.upper is None:
        return job.prior.conditioning(labels)
    start, stop = upper_span(window, config.context, job.ratio, job.upper.shape[1])
    upper = torch.from_numpy(job.upper[:, start:stop].astype(np.int64)).to(job.device)
    return job.prior.conditioning(labels, upper)


def _lyric_windows(job: LevelJob, window: Window, samples: int, characters: int) -> Tensor:
    """The part of each sample's lyrics that a window is told, (samples, characters)."""
    config = job.prior.config
    rows = [
        lyric_window(
            lyrics,
            characters,
            total_length=job.song_samples,
            offset=song_offset(window.start, config),
            sample_length=config.window_samples,
        ).ids
        for lyrics in job.lyrics
    ]
    ids = torch.from_numpy(np.stack(rows)).to(job.device)
    return ids.expand(samples, characters)
