"""A passage from within a song, made down to the bottom without what comes before it: to hear how it will sound.

It begins early, by as many codes as a window reads of what is there already, makes those from the codes above alone,
and drops them in the end, as spans do that are made side by side. Its windows and its chance are those of the whole
song, so it is like what the song gets there, but not bit for bit.
"""

import shutil
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.beat import beat_since
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Recipe
from jukectl.codes.schedule import since as schedule_since
from jukectl.codes.song import Song
from jukectl.codes.trunk import Codeset, begins_of, codes_of_song, sample_of, top_frames, trunk_of
from jukectl.errors import BadInput, RecipeDiffers
from jukectl.plan.recipes import recipe_to_upsample
from jukectl.plan.request import Request
from jukectl.progress import Listener, ignore
from jukectl.render.song import Rendered, make_codes, resume
from jukectl.sampling.windows import advance_codes
from jukectl.variations.pick import begin, check_levels, folder_beside, numbers_of, plain


@dataclass(frozen=True)
class Passage:
    """Top codes `first`..`last` of a song, made from `early` on."""

    early: int
    first: int
    last: int
    hop: int  # audio samples a top code
    sample_rate: int  # Hz

    def seconds(self, codes: int) -> float:
        """How long that many top codes last."""
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
    """A song's passage from `since` to `to` seconds or its end, of all its samples or one, as a song of its own.

    Both times are brought to whole top codes, outwards. Killed, it goes on where it stopped when it is asked for again.
    What the request names is heeded as `upsample` heeds it. BadInput where the song has no such passage, RecipeDiffers
    where the song was begun otherwise than asked, or `out` holds something else.
    """
    song = Song.open(path)
    found = codes_of_song(song)
    top_frames(song, found, None)
    folder, recipe = recipe_to_upsample(song, replace(request, overwrite=False))
    passage = _passage(song, found, folder, recipe, request, since, to)
    top = found[Level.TOP] if sample is None else sample_of(song, {Level.TOP: found[Level.TOP]}, sample)[Level.TOP]
    check_levels(song, {Level.TOP: top}, folder, request)
    given = {Level.TOP: top.cut(passage.last).part(passage.early)}
    asked = _recipe(song, recipe, folder, request, given, passage, sample)
    which = "" if sample is None else f"sample-{sample}-"
    target = Song.create(folder_beside(song, out, f"{which}from-{since:g}"))
    rest = replace(request, until=None, adapters=(), overwrite=False)
    with target.lock():
        if request.overwrite:
            target.clear()
        existing = target.recipe()
        if existing is None:
            work = Song.create(target.path / "growing")
            with work.lock():
                begin(work, asked, None, given)
            make_codes(work.path, rest, listener=listener)
            own = {level: one.part(_below(passage, one)) for level, one in codes_of_song(work).items()}
            begin(target, _kept(song, asked, own, passage, sample), None, own)
            shutil.rmtree(work.path)
        elif not _is_same(existing, song, passage, sample, asked):
            raise RecipeDiffers(f"{target.path} holds something else. Give another --out, or --overwrite")
    return resume(target.path, rest, listener=listener)


def _passage(
    song: Song,
    found: Codeset,
    folder: ModelFolder,
    recipe: Recipe,
    request: Request,
    since: float,
    to: float | None,
) -> Passage:
    """The top codes of a passage, and from where on it is made: where a window of the middle level begins."""
    whole = top_frames(song, found, None)
    top = found[Level.TOP]
    each = top.hop / top.sample_rate
    end = top.seconds if to is None else to
    if not 0 <= since < end <= top.seconds + each:
        raise BadInput(f"{song.path} has {top.seconds:g} s at the top level; got --from {since:g} --to {end:g}")
    first, last = int(since / each + 1e-6), min(whole, ceil(end / each - 1e-6))
    config = folder.card.priors[Level.MIDDLE]
    settings = recipe.sampling.get(Level.MIDDLE) or request.sampling(Level.MIDDLE, folder.card.sampling)
    advance = advance_codes(config.context, settings.advance, config.ratio)
    step = advance // config.ratio
    lead = max(config.context - advance, 0) // config.ratio
    return Passage(max(first - lead, 0) // step * step, first, last, top.hop, top.sample_rate)


def _below(passage: Passage, codes: Codes) -> int:
    """Codes of a level that were made before the passage."""
    return (passage.first - passage.early) * (passage.hop // codes.hop)


def _recipe(
    song: Song,
    recipe: Recipe,
    folder: ModelFolder,
    request: Request,
    given: Codeset,
    passage: Passage,
    sample: int | None,
) -> Recipe:
    """The recipe of what is made for a passage: the lower levels of some top codes, by the song's settings."""
    rows = numbers_of(recipe, max(recipe.samples, (sample or 0) + 1))
    begins = passage.seconds(passage.early)
    settings = {level: request.sampling(level, folder.card.sampling) for level in TOP_DOWN}
    return replace(
        recipe,
        kind="branch",
        samples=given[Level.TOP].samples,
        sample_numbers=plain(rows if sample is None else rows[sample : sample + 1]),
        seconds=0.0,
        start_at=recipe.start_at + begins,
        levels=TOP_DOWN,
        prompt=None,
        midi=None,  # of which the lower levels are told nothing
        beat=beat_since(recipe.beat, recipe.schedule, begins),
        trunk=trunk_of(song.path, sample, given, begins_of(recipe) + passage.early),
        sampling={**settings, **recipe.sampling},
        schedule=schedule_since((one for one in recipe.schedule if one.at < passage.seconds(passage.last)), begins),
        made={},
    )


def _kept(song: Song, made: Recipe, own: Codeset, passage: Passage, sample: int | None) -> Recipe:
    """The recipe of the passage alone, all of which is given."""
    early = passage.seconds(passage.first - passage.early)
    begins = begins_of(made) - passage.early + passage.first
    return replace(
        made,
        start_at=made.start_at + early,
        trunk=trunk_of(song.path, sample, own, begins),
        beat=beat_since(made.beat, made.schedule, early),
        schedule=schedule_since(made.schedule, early),
        made={},
    )


def _is_same(existing: Recipe, song: Song, passage: Passage, sample: int | None, asked: Recipe) -> bool:
    """Whether a folder's recipe is that of this passage of this song, made as it is asked for."""
    trunk = existing.trunk
    return (
        trunk is not None
        and (existing.seed, existing.labels, existing.sampling) == (asked.seed, asked.labels, asked.sampling)
        and (trunk.source, trunk.sample) == (str(song.path.absolute()), sample)
        and trunk.begins == begins_of(song.recipe()) + passage.first
        and trunk.frames[Level.TOP] == passage.last - passage.first
    )
