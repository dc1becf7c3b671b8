"""A level filled and saved as it goes: window by window, or in spans that are made side by side."""

import hashlib
from collections.abc import Iterator

from jukectl.codes.archive import Codes
from jukectl.codes.recipe import Recipe
from jukectl.codes.song import Song
from jukectl.codes.unfinished import SpanCodes
from jukectl.errors import NotCodes
from jukectl.progress import Warn
from jukectl.sampling.level import Lessened, LevelJob, Watch, fill, fill_spans, no_spans_yet
from jukectl.sampling.plan import Portion


def fill_and_save(
    song: Song,
    recipe: Recipe,
    job: LevelJob,
    codes: Codes,
    watch: Watch,
    portion: Portion,
    lessened: Lessened,
    warn: Warn,
) -> Iterator[tuple[Codes, int]]:
    """The codes of a level each time that they were saved, and how much of the work is done, as codes of the level."""
    unfinished = _unfinished(song, recipe, job, codes)
    if unfinished is None and codes.done > codes.prompt and job.spans(codes.prompt) is not None:
        warn(
            f"what the spans of the {job.level.label} level had made is not in {song.path}, or is of no use: from code "
            f"{codes.done} on they are begun anew, to other codes than those of a song left alone"
        )
    begun = codes.done if unfinished is None else unfinished.begun
    spans = job.spans(begun)
    if spans is None:
        for grown in fill(job, codes, watch, portion, lessened):
            song.save(grown)
            yield grown, grown.done
        return
    if unfinished is None:
        unfinished = no_spans_yet(spans, codes, _key(recipe, job, codes))
    for grown, made in fill_spans(job, codes, spans, unfinished, watch, portion, lessened):
        if grown.done < job.total:
            made.save(song.spans_path(job.level))  # before the codes, which follow from them
        song.save(grown)
        yield grown, spans.reckoned(made.made)
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
    behind = codes.done > max(spans.begun, spans.starts[0] - spans.lead + kept.made)
    return None if behind else kept


def _key(recipe: Recipe, job: LevelJob, before: Codes) -> str:
    """What spans in progress follow from, in a word."""
    label = job.level.label
    worn = [(one.sha256, one.strength) for one in recipe.adapters if one.level is job.level]
    upper = hashlib.sha256(job.upper.tobytes()).hexdigest() if job.upper is not None else ""
    told = (job.sections, job.song_samples, job.begins, job.lyrics, *filter(None, job.lyric_onsets))
    parts = (
        job.seed,
        job.total,
        job.sampling,
        before.digest(),
        upper,
        worn,
        told,
        recipe.model.fingerprints.get(label),
        *([job.numbers, job.skipped] if job.numbers or job.skipped else []),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()
