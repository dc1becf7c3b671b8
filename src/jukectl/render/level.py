"""Sampling of one level of a song, saved after each window, or after each round of parallel spans."""

import hashlib
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

import numpy as np

from jukectl.checkpoints.packed import decoding_prior
from jukectl.checkpoints.store import VQVAE_PART
from jukectl.codes.archive import Codes, SpanCodes
from jukectl.codes.level import Level
from jukectl.codes.prefix import begins_of
from jukectl.codes.recipe import Made, Recipe
from jukectl.codes.song import Song
from jukectl.errors import NotASong, NotCodes, OutOfMemory, RecipeDiffers, is_out_of_memory
from jukectl.plan.conditioning import conditioning_of
from jukectl.plan.device import single_thread
from jukectl.plan.eta import Eta
from jukectl.plan.forecast import calibrate_loaded, goals
from jukectl.plan.job import Job
from jukectl.plan.memory import SongPlan
from jukectl.plan.notes import notes_of
from jukectl.prior.matrices import PackedPrior
from jukectl.progress import warn
from jukectl.render.decode import Preview, forget_audio
from jukectl.render.encode import new_codes
from jukectl.render.karaoke import follow_lyrics
from jukectl.sampling.footprint import BatchPlan
from jukectl.sampling.level import (
    LevelJob,
    Steps,
    WindowSampler,
    filling,
    filling_spans,
    no_spans_yet,
    sample_alone,
)


def fill_level(job: Job, plan: SongPlan, eta: Eta | None, level: Level) -> Job:
    """Sample the codes that a level lacks, saving them as they come; return the job with them and their record."""
    filling = LevelFilling.of(job, plan, eta, level)
    if filling is None:
        return job
    with single_thread(job.machine):
        return sample_alone(filling.steps(), filling.sampler())


def level_job(job: Job, level: Level, *, whole: bool = True) -> LevelJob:
    """Return the sampling of a level: its prior, loaded, and what it is conditioned on.

    Unless `whole`, the prior may be one that can only decode, see `PackedPrior`.
    """
    recipe, machine, vqvae = job.recipe, job.machine, job.model.card.vqvae
    notes = notes_of(job.song, recipe) if level is Level.TOP else None
    upper = None if level is Level.TOP else job.codes[level.above].array
    return LevelJob(
        conditioning=conditioning_of(
            recipe, job.model.card, level, job.wanted[level], lambda text: warn(job.listener, text), notes=notes
        ),
        prior=(
            job.model.prior(level, machine.device, machine.dtype)
            if whole
            else decoding_prior(job.model, level, machine.device, machine.dtype, machine.precision, job.listener)
        ),
        total=job.wanted[level],
        seed=recipe.seed,
        streams=recipe.streams,
        stream_offset=begins_of(recipe) * vqvae.hop(Level.TOP) // vqvae.hop(level),
        upper=upper,
        device=machine.device,
        int8=machine.precision == "int8",
        threads=machine.threads,
    )


class LevelFilling:
    """One level while it is sampled. Its job takes up each new record and the codes."""

    def __init__(self, job: Job, plan: SongPlan, eta: Eta | None, codes: Codes, upper: Codes | None, goal: int) -> None:
        self._job = replace(job, machine=plan.machine_at(codes.level))
        self._plan = plan
        self._eta = eta
        self._codes = codes
        self._upper = upper
        self._level = codes.level
        self._goal = goal

    @classmethod
    def of(cls, job: Job, plan: SongPlan, eta: Eta | None, level: Level) -> Self | None:
        """Return the filling of a level up to its goal, None if it lacks nothing. Audio of codes to come is removed."""
        upper = _upper_codes(job, level)
        codes = _codes_so_far(job, level, upper)
        total = job.wanted[level]
        if codes.done >= total:
            job.song.forget_spans(level)  # left if a run was killed between the last codes and this
            return None
        goal = goals(job).get(level, total)
        if codes.done >= goal:
            return None
        forget_audio(job.song, codes)
        return cls(job, plan, eta, codes, upper, goal)

    def sampler(self) -> WindowSampler:
        """Return a sampler for this level alone, as planned. What it does with less memory is recorded."""
        batch = self._plan.levels[self._level].batch
        spans = self._job.recipe.sampling[self._level].parallel
        return WindowSampler(batch, self._codes.samples * spans, self._reduce)

    def steps(self) -> Steps[Job]:
        """Sample up to the goal, or to the end of the window that reaches it; return the job with the codes."""
        with _naming_the_way_out(self._job.song, self._level):
            yield from self._steps()
        return replace(self._job, machine=self._plan.machine)

    def _steps(self) -> Steps[None]:
        job, level = self._job, self._level
        self._record(self._plan.levels[level].batch)
        sampling = level_job(job, level, whole=False)
        if self._eta is not None:
            calibrate_loaded(self._eta, sampling.prior, job.recipe.sampling[level], self._plan)
        self._report(self._codes.done)
        preview = Preview(job, level)

        def on_codes(codes: Codes, done: int) -> None:
            job.song.save(codes)
            if level in job.request.preview:
                preview.write(codes)  # before the report, so that a listener finds the audio that it reports
            self._report(done, saved=codes.seconds)
            self._job = self._job.with_codes(codes)

        yield from self._filled(sampling, on_codes)
        if level is Level.TOP and job.request.plots and sampling.conditioning.lyrics.ids:  # while its prior is loaded
            only_decodes = isinstance(sampling.prior, PackedPrior)
            follow_lyrics(self._job, lambda: level_job(job, level) if only_decodes else sampling)

    def _report(self, done: int, saved: float | None = None) -> None:
        if self._eta is not None:
            self._job.listener(self._eta.event(self._level, done, self._goal, saved=saved))

    def _filled(self, sampling: LevelJob, on_codes: Callable[[Codes, int], None]) -> Steps[None]:
        """Fill the level; `on_codes` is called with codes to save, and the progress of the level in codes."""
        song, codes, level = self._job.song, self._codes, self._level
        unfinished = _unfinished(song, self._job.recipe, sampling, codes)
        if unfinished is None and codes.done > codes.prompt and sampling.spans(codes.prompt) is not None:
            warn(
                self._job.listener,
                f"the unfinished spans of the {level.label} level are not in {song.path}, or do not belong to its "
                f"codes: from code {codes.done} on they are sampled again, to other codes than without the stop",
            )
        spans = sampling.spans(codes.done if unfinished is None else unfinished.begun)
        if spans is None:
            yield from filling(sampling, codes, self._report, lambda made: on_codes(made, made.done), self._goal)
            return
        if unfinished is None:
            unfinished = no_spans_yet(spans, codes, _key(self._job.recipe, sampling, codes))

        def on_round(grown: Codes, made: SpanCodes) -> None:
            if grown.done < sampling.total:
                made.save(song.spans_path(level))  # before the codes, which follow from them
            on_codes(grown, spans.progress(made.made))

        yield from filling_spans(sampling, codes, spans, unfinished, self._report, on_round)
        song.forget_spans(level)

    def _record(self, batch: BatchPlan) -> None:
        """Write what the level is sampled on and from into the recipe, before its first code."""
        job, level, upper = self._job, self._level, self._upper
        complete = upper is None or upper.done * (upper.hop // self._codes.hop) >= job.wanted[level]
        made = Made(
            device=job.machine.device.type,
            precision=job.machine.precision,
            upper=upper.digest() if upper is not None else "",
            upper_frames=0 if upper is None or complete else upper.done,
            samples=batch.samples,
            chunk=batch.chunk or 0,
        )
        before = job.recipe.made.get(level)
        if before is not None and (before.device, before.precision) != (made.device, made.precision):
            warn(
                job.listener,
                f"the {level.label} level was sampled on {before.device} in {before.precision} so far: on "
                f"{made.device} in {made.precision} its codes may differ from here on",
            )
        elif before is not None and before.samples and _changes_bits(before, made):
            warn(
                job.listener,
                f"the {level.label} level was sampled in batches of {before.samples} so far, {before.chunk or 'all'} "
                "prefix codes read at once, and memory is too short for that now: its codes may differ from here on",
            )
        if made != before:
            self._write(made)

    def _reduce(self, batch: BatchPlan) -> None:
        """Record a smaller batch plan, and warn, after memory ran out."""
        read = f", prefix codes read {batch.chunk} at a time" if batch.chunk else ""
        parallel = self._job.recipe.sampling[self._level].parallel > 1
        of = "spans of samples" if parallel else f"of {self._codes.samples} samples"
        warn(
            self._job.listener,
            f"out of memory at the {self._level.label} level: its window is sampled again, and from here on "
            f"{batch.samples} {of} at a time{read}",
        )
        made = self._job.recipe.made[self._level]
        self._write(replace(made, samples=batch.samples, chunk=batch.chunk or 0))

    def _write(self, made: Made) -> None:
        self._job = self._job.with_made(self._level, made)
        self._job.song.write_recipe(self._job.recipe)


def _upper_codes(job: Job, level: Level) -> Codes | None:
    """Return the codes of the level above, None at the top. NotASong if they are missing."""
    if level is Level.TOP:
        return None
    if level.above not in job.codes:
        above = level.above.label
        raise NotASong(
            f"{job.song.path} has no {above} codes to make the {level.label} ones from: put its {above}.npz back"
        )
    return job.codes[level.above]


def _codes_so_far(job: Job, level: Level, upper: Codes | None) -> Codes:
    """Return the codes that a level has, possibly none. RecipeDiffers if they were made from other upper codes."""
    if level in job.codes:
        if upper is not None:
            _check_upper(job, job.codes[level], upper)
        return job.codes[level]
    empty = np.zeros((upper.samples if upper is not None else job.recipe.samples, 0), dtype=np.uint16)
    return new_codes(job.model, level, empty, prompt=0, fingerprint=job.model.fingerprint(VQVAE_PART))


def _check_upper(job: Job, codes: Codes, upper: Codes) -> None:
    """Refuse to resume codes that were made from other upper codes than those in the folder."""
    before = job.recipe.made.get(codes.level)
    if codes.done > codes.prompt:
        stale = before is not None and before.upper not in ("", digest_of(upper, before.upper_frames))
    elif job.recipe.prefix is not None:  # which has its own count of given codes for each level
        stale = codes.prompt > upper.done * (upper.hop // codes.hop)
    else:  # only the prompt exists, and it must be the one above
        stale = codes.prompt != upper.prompt * (upper.hop // codes.hop)
    if stale or codes.samples != upper.samples:
        raise RecipeDiffers(
            f"{job.song.codes_path(codes.level)} was made from other {upper.level.label} codes than those in "
            f"{job.song.path}. Make it again with: jukectl upsample {job.song.path} --overwrite"
        )


def digest_of(upper: Codes, frames: int) -> str:
    """Return the digest of the first `frames` codes of the level above, or of all (0); "too few" if it has fewer."""
    return upper.cut(frames or upper.done).digest() if frames <= upper.done else "too few"


def _unfinished(song: Song, recipe: Recipe, sampling: LevelJob, codes: Codes) -> SpanCodes | None:
    """Return the unfinished spans that a level's codes follow from; None if there are none, or not of these codes."""
    path = song.spans_path(sampling.level)
    try:
        kept = SpanCodes.load(path) if path.exists() else None
    except NotCodes:
        return None
    if kept is None or kept.begun > codes.done or kept.key != _key(recipe, sampling, codes.cut(kept.begun)):
        return None
    spans = sampling.spans(kept.begun)
    if spans is None or kept.array.shape[:2] != (len(spans.starts), codes.samples):
        return None
    behind = codes.done > max(spans.prefix, spans.starts[0] - spans.warmup + kept.made)
    return None if behind else kept


def _key(recipe: Recipe, sampling: LevelJob, before: Codes) -> str:
    """Return a hash of everything that unfinished spans depend on."""
    adapters = [(one.sha256, one.strength) for one in recipe.adapters if one.level is sampling.level]
    upper = hashlib.sha256(sampling.upper.tobytes()).hexdigest() if sampling.upper is not None else ""
    song = sampling.conditioning
    onsets = () if song.lyrics.onsets is None else (song.lyrics.onsets,)
    labels = (song.segments, song.song_samples, song.start_samples, (song.lyrics.ids,), *onsets)
    streams = [sampling.streams, sampling.stream_offset] if sampling.streams or sampling.stream_offset else []
    parts = (
        sampling.seed,
        sampling.total,
        sampling.sampling,
        before.digest(),
        upper,
        adapters,
        labels,
        recipe.model.fingerprints.get(sampling.level.label),
        *streams,
    )
    # the key is stored with the spans: it keeps the names and fields that classes had when the format was made
    text = repr(parts).replace("Segment(", "Section(").replace(", expected=False)", ")")
    return hashlib.sha256(text.encode()).hexdigest()


def _changes_bits(before: Made, now: Made) -> bool:
    """Return True if sums are added up in another order: on a CPU not by the other samples of a batch."""
    return before.chunk != now.chunk or (before.samples != now.samples and now.device != "cpu")


@contextmanager
def _naming_the_way_out(song: Song, level: Level) -> Iterator[None]:
    """Turn running out of memory in the block into OutOfMemory, with the command to resume."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(
            f"out of memory at the {level.label} level, even with the smallest batch. Every finished window is saved. "
            f"Free some memory, then run: jukectl resume {shlex.quote(str(song.path))}"
        ) from error
