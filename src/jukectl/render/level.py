"""A level filled and saved as it goes: window by window, or in spans that are made side by side."""

import hashlib
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.archive import Codes, SpanCodes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Made, Recipe
from jukectl.codes.song import Song
from jukectl.codes.trunk import begins_of
from jukectl.errors import NotASong, NotCodes, OutOfMemory, RecipeDiffers, is_out_of_memory
from jukectl.plan.conditioning import conditioning_of
from jukectl.plan.device import Machine, single_thread
from jukectl.plan.eta import Pace
from jukectl.plan.forecast import get_to_know, goals
from jukectl.plan.memory import SongPlan
from jukectl.plan.notes import notes_of
from jukectl.plan.recipes import (
    frames_wanted,
)
from jukectl.plan.request import Request
from jukectl.progress import Listener, warn
from jukectl.render.decode import Preview, forget_audio
from jukectl.render.encode import new_codes
from jukectl.render.karaoke import follow_lyrics
from jukectl.sampling.footprint import BatchPlan
from jukectl.sampling.level import LevelJob, OnProgress, OnReduced, fill, fill_spans, no_spans_yet


def fill_and_save(
    song: Song,
    recipe: Recipe,
    job: LevelJob,
    codes: Codes,
    on_progress: OnProgress,
    batch: BatchPlan,
    on_reduced: OnReduced,
    listener: Listener,
) -> Iterator[tuple[Codes, int]]:
    """The codes of a level each time that they were saved, and how much of the work is done, as codes of the level."""
    unfinished = _unfinished(song, recipe, job, codes)
    if unfinished is None and codes.done > codes.prompt and job.spans(codes.prompt) is not None:
        warn(
            listener,
            f"what the spans of the {job.level.label} level had made is not in {song.path}, or is of no use: from code "
            f"{codes.done} on they are begun anew, to other codes than those of a song left alone",
        )
    begun = codes.done if unfinished is None else unfinished.begun
    spans = job.spans(begun)
    if spans is None:
        for grown in fill(job, codes, on_progress, batch, on_reduced):
            song.save(grown)
            yield grown, grown.done
        return
    if unfinished is None:
        unfinished = no_spans_yet(spans, codes, _key(recipe, job, codes))
    for grown, made in fill_spans(job, codes, spans, unfinished, on_progress, batch, on_reduced):
        if grown.done < job.total:
            made.save(song.spans_path(job.level))  # before the codes, which follow from them
        song.save(grown)
        yield grown, spans.progress(made.made)
    song.forget_spans(job.level)


def _unfinished(song: Song, recipe: Recipe, job: LevelJob, codes: Codes) -> SpanCodes | None:
    """The spans in progress that a level's codes follow from; None where there are none."""
    path = song.spans_path(job.level)
    try:
        kept = SpanCodes.load(path) if path.exists() else None
    except NotCodes:
        return None
    if kept is None or kept.begun > codes.done or kept.key != _key(recipe, job, codes.cut(kept.begun)):
        return None
    spans = job.spans(kept.begun)
    if spans is None or kept.array.shape[:2] != (len(spans.starts), codes.samples):
        return None
    behind = codes.done > max(spans.prefix, spans.starts[0] - spans.warmup + kept.made)
    return None if behind else kept


def _key(recipe: Recipe, job: LevelJob, before: Codes) -> str:
    """What spans in progress follow from, in a word."""
    label = job.level.label
    worn = [(one.sha256, one.strength) for one in recipe.adapters if one.level is job.level]
    upper = hashlib.sha256(job.upper.tobytes()).hexdigest() if job.upper is not None else ""
    song = job.conditioning
    onsets = () if song.lyrics.onsets is None else (song.lyrics.onsets,)
    labels = (song.segments, song.song_samples, song.start_samples, (song.lyrics.ids,), *onsets)
    parts = (
        job.seed,
        job.total,
        job.sampling,
        before.digest(),
        upper,
        worn,
        labels,
        recipe.model.fingerprints.get(label),
        *([job.streams, job.stream_offset] if job.streams or job.stream_offset else []),
    )
    # the key is stored with the spans: it keeps the name that a segment's class had when the format was made
    text = repr(parts).replace("Segment(", "Section(")
    return hashlib.sha256(text.encode()).hexdigest()


def _fill_level(
    song: Song,
    recipe: Recipe,
    folder: ModelFolder,
    plan: SongPlan,
    pace: Pace | None,
    level: Level,
    request: Request,
    listener: Listener,
    hearing: Callable[..., Preview],
) -> tuple[Recipe, bool]:
    """Sample what a level lacks, saving after every window; the recipe with its record, and if anything was done."""
    found = {one: codes for one in TOP_DOWN if (codes := song.codes(one)) is not None}
    upper = None if level is Level.TOP else found.get(level.above)
    if upper is None and level is not Level.TOP:
        above = level.above.label
        raise NotASong(
            f"{song.path} has no {above} codes to make the {level.label} ones from: put its {above}.npz back"
        )
    codes = found.get(level)
    if codes is None:
        empty = np.zeros((upper.samples if upper is not None else recipe.samples, 0), dtype=np.uint16)
        codes = new_codes(folder, level, empty, prompt=0, fingerprint=folder.fingerprint(VQVAE_PART))
    elif upper is not None:
        _check_upper(song, recipe, codes, upper)
    total = frames_wanted(recipe, folder.card.vqvae, {one: codes.done for one, codes in found.items()})[level]
    goal = goals(recipe, folder, found, request.until).get(level, total)
    if codes.done < total and codes.done >= goal:
        return recipe, False
    if codes.done >= total:
        song.forget_spans(level)  # where a run was killed just before it would have
        return recipe, False

    forget_audio(song, codes)
    batch = plan.levels[level].batch
    machine = plan.machine_at(level)
    partly = 0 if upper is None or upper.done * (upper.hop // codes.hop) >= total else upper.done
    recipe = _record(song, recipe, machine, level, upper, partly, batch, listener)

    def less(smaller: BatchPlan) -> None:
        nonlocal recipe
        read = f", known codes read {smaller.chunk} at a time" if smaller.chunk else ""
        of = f"of {codes.samples} samples" if recipe.sampling[level].parallel == 1 else "spans of samples"
        warn(
            listener,
            f"out of memory at the {level.label} level: its window is begun again, and from here on {smaller.samples} "
            f"{of} are made at a time{read}",
        )
        recipe = _with_batch_plan(song, recipe, level, smaller)

    with single_thread(machine), _no_memory_left(song, level):
        job = _job(song, recipe, folder, machine, level, total, upper, listener)
        if pace is not None:
            get_to_know(pace, job.prior, recipe.sampling[level], plan)

        def stands(done: int, saved: float | None = None) -> None:
            if pace is not None:
                listener(pace.event(level, done, goal, saved=saved))

        stands(codes.done)
        preview = hearing(song, folder, machine, level)
        for grown, done in fill_and_save(song, recipe, job, codes, stands, batch, less, listener):
            stands(done, grown.seconds)
            if level in request.preview:
                preview.write()
            if goal <= grown.done < total:  # at the end it has to tidy up
                break
        if level is Level.TOP and request.plots and job.conditioning.lyrics.ids:  # while its prior is there
            follow_lyrics(song, recipe, folder.card, lambda total: job, listener=listener)
    return recipe, True


@contextmanager
def _no_memory_left(song: Song, level: Level) -> Iterator[None]:
    """Say how to go on where memory runs out in the block."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(
            f"out of memory at the {level.label} level, though as little as possible was made at a time. Every "
            f"finished window is saved. Free some memory, and go on with: jukectl resume {shlex.quote(str(song.path))}"
        ) from error


def _record(
    song: Song,
    recipe: Recipe,
    machine: Machine,
    level: Level,
    upper: Codes | None,
    partly: int,
    batch: BatchPlan,
    listener: Listener,
) -> Recipe:
    """Write down what a level is made on, from and with, before its first code is; the recipe with that record."""
    made = Made(
        device=machine.device.type,
        precision=machine.precision,
        upper=upper.digest() if upper is not None else "",
        upper_frames=partly,
        samples=batch.samples,
        chunk=batch.chunk or 0,
    )
    before = recipe.made.get(level)
    if before is not None and (before.device, before.precision) != (made.device, made.precision):
        warn(
            listener,
            f"the {level.label} level was made on {before.device} in {before.precision} so far: on {made.device} in "
            f"{made.precision} its codes may differ from here on",
        )
    elif before is not None and before.samples and _other_bits(before, made):
        warn(
            listener,
            f"the {level.label} level was made {before.samples} samples at a time so far, {before.chunk or 'all'} "
            "known codes read at once, and memory is too short for that now: its codes may differ from here on",
        )
    if made != before:
        recipe = recipe.with_made(level, made)
        song.write_recipe(recipe)
    return recipe


def _other_bits(before: Made, now: Made) -> bool:
    """Whether sums are added up in another order: on a CPU they are the same whatever samples are made beside one."""
    return before.chunk != now.chunk or (before.samples != now.samples and now.device != "cpu")


def _with_batch_plan(song: Song, recipe: Recipe, level: Level, batch: BatchPlan) -> Recipe:
    """Write down that a level is made in smaller portions from here on."""
    made = replace(recipe.made[level], samples=batch.samples, chunk=batch.chunk or 0)
    recipe = recipe.with_made(level, made)
    song.write_recipe(recipe)
    return recipe


def _job(
    song: Song,
    recipe: Recipe,
    folder: ModelFolder,
    machine: Machine,
    level: Level,
    total: int,
    upper: Codes | None,
    listener: Listener,
) -> LevelJob:
    """Return the sampling of a level: its prior, loaded, and what it is conditioned on."""
    notes = notes_of(song, recipe) if level is Level.TOP else None
    return LevelJob(
        conditioning=conditioning_of(recipe, folder.card, level, total, lambda text: warn(listener, text), notes=notes),
        prior=folder.prior(level, machine.device, machine.dtype),
        total=total,
        seed=recipe.seed,
        streams=recipe.sample_numbers,
        stream_offset=begins_of(recipe) * folder.card.vqvae.hop(Level.TOP) // folder.card.vqvae.hop(level),
        upper=None if upper is None else upper.array,
        device=machine.device,
        int8=machine.precision == "int8",
    )


def digest_of(upper: Codes, frames: int) -> str:
    """The digest of the codes above, or of the first `frames` of them; none where there are not that many."""
    return upper.cut(frames or upper.done).digest() if frames <= upper.done else "too few"


def _check_upper(song: Song, recipe: Recipe, codes: Codes, upper: Codes) -> None:
    """Refuse to go on from codes that were made from other upper codes than those in the folder."""
    before = recipe.made.get(codes.level)
    if codes.done > codes.prompt:
        stale = before is not None and before.upper not in ("", digest_of(upper, before.upper_frames))
    elif recipe.trunk is not None:  # which says for each level how much of it is given
        stale = codes.prompt > upper.done * (upper.hop // codes.hop)
    else:  # only the prompt is there, and it must be the one above
        stale = codes.prompt != upper.prompt * (upper.hop // codes.hop)
    if stale or codes.samples != upper.samples:
        raise RecipeDiffers(
            f"{song.codes_path(codes.level)} was made from other {upper.level.label} codes than those in {song.path}. "
            f"Make it again with: jukectl upsample {song.path} --overwrite"
        )
