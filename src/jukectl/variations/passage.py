"""A passage of a song, made down to the bottom without what comes before it: a preview of how it will sound.

It starts early, by the prefix of a window: those warm-up codes are made from the codes above alone and dropped in the
end, as parallel spans do. Its windows and random streams are those of the whole song, so it resembles the song there,
but not bit for bit.
"""

from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from jukectl.codes.archive import Codes
from jukectl.codes.beat import beat_since
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.prefix import Codeset, begins_of, prefix_ref, sample_of, top_frames
from jukectl.codes.recipe import Recipe
from jukectl.codes.schedule import since as schedule_since
from jukectl.codes.song import Song
from jukectl.errors import BadInput, RecipeDiffers
from jukectl.files import remove_folder
from jukectl.plan.device import choose
from jukectl.plan.job import Given, Job, begun, resumed, upsampled
from jukectl.plan.models import check_codecs
from jukectl.plan.request import Request
from jukectl.progress import Listener, ignore
from jukectl.render.song import Rendered, render, sample_codes
from jukectl.sampling.windows import advance_codes
from jukectl.variations.pick import folder_beside, stored_streams, streams_of


@dataclass(frozen=True)
class Passage:
    """Top codes `first`..`last` of a song, sampled from `early` on."""

    early: int
    first: int
    last: int
    hop: int  # audio samples a top code
    sample_rate: int  # Hz

    def seconds(self, codes: int) -> float:
        """Return the duration of that many top codes."""
        return codes * self.hop / self.sample_rate


def upsample_passage(
    path: Path,
    since: float,
    to: float | None,
    out: Path | None,
    request: Request,
    *,
    sample: int | None = None,
    listener: Listener = ignore,
) -> Rendered:
    """Make a song's passage from `since` to `to` seconds or its end, of all its samples or one, in a new folder.

    Both times are rounded outwards to whole top codes. A killed run is resumed by the same call. The request counts as
    in `upsample`. BadInput if the song has no such passage, RecipeDiffers if the song was begun otherwise, or if `out`
    holds something else.
    """
    song, machine = Song.open(path), choose(request.device, request.precision, request.threads)
    source = upsampled(song, replace(request, overwrite=False), machine, listener)
    passage = _passage(source, since, to)
    top = source.codes[Level.TOP]
    if sample is not None:
        top = sample_of(song, {Level.TOP: top}, sample)[Level.TOP]
    check_codecs(song, {Level.TOP: top}, source.model, request)
    given = {Level.TOP: top.cut(passage.last).part(passage.early)}
    asked = _recipe(source, given, passage, sample)
    which = "" if sample is None else f"sample-{sample}-"
    target = Song.create(folder_beside(song, out, f"{which}from-{since:g}"))
    rest = replace(request, until=None, adapters=(), overwrite=False)
    draft = Job(
        song=target,
        recipe=asked,
        model=source.model,
        machine=machine,
        codes={},
        request=rest,
        listener=listener,
    )
    with target.lock():
        if request.overwrite:
            target.clear()
        existing = target.recipe()
        if existing is not None:
            if not _is_same(existing, song, passage, sample, asked):
                raise RecipeDiffers(f"{target.path} holds something else. Give another --out, or --overwrite")
            remove_folder(target.path / "growing")  # a run was killed before it was removed
            job = resumed(target, rest, machine, listener)
            job.start.write(target)  # codes, if a run was killed after it had written the recipe
            return render(job)
        own = _sampled(draft, given, passage)
        job = begun(replace(draft, recipe=_kept(song, asked, own, passage, sample)), Given(prefix=own))
        job.start.write(target)
        remove_folder(target.path / "growing")
        return render(job)


def _sampled(draft: Job, given: Codeset, passage: Passage) -> dict[Level, Codes]:
    """Sample a passage with its warm-up codes in a folder inside its own; return its codes without those."""
    work = Song.create(draft.song.path / "growing")
    with work.lock():
        job = begun(replace(draft, song=work), Given(prefix=given))
        job.start.write(work)
        job = sample_codes(job)
    return {level: one.part(_below(passage, one)) for level, one in job.codes.items()}


def _passage(source: Job, since: float, to: float | None) -> Passage:
    """Return the top codes of a passage, and where its warm-up codes begin: with a window of the middle level."""
    song, recipe, card = source.song, source.recipe, source.model.card
    whole = top_frames(song, source.codes, None)
    top = source.codes[Level.TOP]
    each = top.hop / top.sample_rate
    end = top.seconds if to is None else to
    if not 0 <= since < end <= top.seconds + each:
        raise BadInput(f"{song.path} has {top.seconds:g} s at the top level; got --from {since:g} --to {end:g}")
    first, last = int(since / each + 1e-6), min(whole, ceil(end / each - 1e-6))
    config = card.priors[Level.MIDDLE]
    settings = recipe.sampling.get(Level.MIDDLE) or source.request.sampling(Level.MIDDLE, card.sampling)
    advance = advance_codes(config.context, settings.advance, config.ratio)
    step = advance // config.ratio
    warmup = max(config.context - advance, 0) // config.ratio
    return Passage(max(first - warmup, 0) // step * step, first, last, top.hop, top.sample_rate)


def _below(passage: Passage, codes: Codes) -> int:
    """Return the warm-up codes of a level."""
    return (passage.first - passage.early) * (passage.hop // codes.hop)


def _recipe(source: Job, given: Codeset, passage: Passage, sample: int | None) -> Recipe:
    """Return the recipe of a passage with its warm-up codes: the lower levels of some top codes, as in the song."""
    recipe = source.recipe
    rows = streams_of(recipe, max(recipe.samples, (sample or 0) + 1))
    begins = passage.seconds(passage.early)
    settings = {level: source.request.sampling(level, source.model.card.sampling) for level in TOP_DOWN}
    return replace(
        recipe,
        kind="branch",
        samples=given[Level.TOP].samples,
        streams=stored_streams(rows if sample is None else rows[sample : sample + 1]),
        seconds=0.0,
        start_at=recipe.start_at + begins,
        levels=TOP_DOWN,
        prompt=None,
        midi=None,  # notes condition the top level alone
        beat=beat_since(recipe.beat, recipe.schedule, begins),
        prefix=prefix_ref(source.song.path, sample, given, begins_of(recipe) + passage.early),
        sampling={**settings, **recipe.sampling},
        schedule=schedule_since((one for one in recipe.schedule if one.at < passage.seconds(passage.last)), begins),
        made={},
    )


def _kept(song: Song, made: Recipe, own: Codeset, passage: Passage, sample: int | None) -> Recipe:
    """Return the recipe of the passage alone, all of whose codes are given."""
    early = passage.seconds(passage.first - passage.early)
    begins = begins_of(made) - passage.early + passage.first
    return replace(
        made,
        start_at=made.start_at + early,
        prefix=prefix_ref(song.path, sample, own, begins),
        beat=beat_since(made.beat, made.schedule, early),
        schedule=schedule_since(made.schedule, early),
        made={},
    )


def _is_same(existing: Recipe, song: Song, passage: Passage, sample: int | None, asked: Recipe) -> bool:
    """Return True if a folder's recipe is of this passage of this song, made as requested."""
    prefix = existing.prefix
    return (
        prefix is not None
        and (existing.seed, existing.labels, existing.sampling) == (asked.seed, asked.labels, asked.sampling)
        and (prefix.source, prefix.sample) == (str(song.path.absolute()), sample)
        and prefix.begins == begins_of(song.recipe()) + passage.first
        and prefix.frames[Level.TOP] == passage.last - passage.first
    )
