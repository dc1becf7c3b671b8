"""Branches: new samples that go on from where a song is cut."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Recipe
from jukectl.codes.song import Song
from jukectl.codes.trunk import begins_of, codes_of_song, cut_codes, laid, sample_of, top_frames, trunk_of
from jukectl.errors import BadInput
from jukectl.plan.beats import with_beat_of
from jukectl.plan.conditioning import check_length, check_lyrics_places, check_schedule
from jukectl.plan.dry_run import Estimate, _estimate, _found
from jukectl.plan.notes import carry_notes
from jukectl.plan.recipes import agreed, frames_wanted, recipe_of, recipe_of_song
from jukectl.plan.request import LARGEST_SEED, Request
from jukectl.progress import Listener, ignore
from jukectl.render.song import Rendered, resume
from jukectl.variations.pick import (
    GivenPrompt,
    begin,
    check_levels,
    folder_beside,
    given_prompt,
    numbers_of,
    plain,
    shortened,
)

MOST = 1_000
"""Samples of one branch: the number of each is three digits behind that of the sample it goes on from."""

SECONDS = 20.0
"""New music of a branch where the song ends at the cut."""


@dataclass(frozen=True, eq=False)
class Begun:
    """What a branch begins with."""

    recipe: Recipe
    trunk: dict[Level, Codes]
    prompt: GivenPrompt | None


def branch(
    path: Path,
    at: float | None,
    out: Path | None,
    request: Request,
    *,
    sample: int = 0,
    seconds: float | None = None,
    levels: tuple[Level, ...] | None = None,
    listener: Listener = ignore,
) -> Rendered:
    """`request.samples` new songs that begin as one sample of a song does, up to `at` seconds or its end.

    What the request leaves open is as in that song: labels, settings, levels, and as much music as comes after the cut,
    or 20 s. `seconds` and `levels` stand in for the request's. Resumed where it was begun before.
    """
    song = Song.open(path)
    target, begun = planned(song, at, out, request, sample=sample, seconds=seconds, levels=levels)
    Song.create(target.path)
    with target.lock():
        begin(target, begun.recipe, begun.prompt, begun.trunk, overwrite=request.overwrite)
        carry_notes(song, target, begun.recipe)
    return resume(target.path, replace(request, adapters=(), overwrite=False), listener=listener)


def planned(
    song: Song,
    at: float | None,
    out: Path | None,
    request: Request,
    *,
    sample: int,
    seconds: float | None,
    levels: tuple[Level, ...] | None,
) -> tuple[Song, Begun]:
    """Where a branch of a song is to be, and what it begins with: with the seed that is there, where none is named."""
    target = Song(folder_beside(song, out, _called(at, sample)))
    existing = None if request.overwrite else target.recipe()
    seed = existing.seed if existing is not None else None
    return target, prepared(song, at, request, sample=sample, seconds=seconds, levels=levels, seed=seed)


def prepared(
    song: Song,
    at: float | None,
    request: Request,
    *,
    sample: int,
    seconds: float | None,
    levels: tuple[Level, ...] | None,
    seed: int | None = None,
) -> Begun:
    """What a branch of a song begins with. BadInput where it cannot be, before anything is written."""
    if request.samples > MOST:
        raise BadInput(f"--samples is at most {MOST} of a branch, got {request.samples}")
    found = codes_of_song(song)
    frames = top_frames(song, found, at)
    codes = cut_codes(sample_of(song, found, sample), frames)
    folder, recipe = recipe_of_song(song, request)
    check_levels(song, codes, folder, request)
    top = codes[Level.TOP]
    rest = found[Level.TOP].seconds - top.seconds
    seconds = seconds if seconds is not None else (rest if rest > 0 else SECONDS)
    prompt = shortened(given_prompt(song, recipe.prompt), codes)
    start_at = recipe.start_at if request.start_at is None else request.start_at
    whole = max(recipe.song_seconds, start_at + top.seconds + seconds)  # a song that gets no longer ends where it ended
    asked = replace(
        request,
        artist=recipe.labels.artist if request.artist is None else request.artist,
        genres=request.genres or recipe.labels.genres,
        lyrics=recipe.labels.lyrics if request.lyrics is None else request.lyrics,
        seconds=seconds,
        song_seconds=whole if request.song_seconds is None else request.song_seconds,
        start_at=start_at,
        schedule=(),
        levels=levels or TOP_DOWN[: 3 - min(recipe.levels)],
    )
    made = branch_recipe(asked, recipe, folder, seed=seed)
    kept = tuple(one for one in recipe.schedule if one.at < top.seconds + seconds)
    scheduled = replace(request, schedule=request.schedule or kept)
    scheduled, beat = with_beat_of(scheduled, folder.card, recipe, top.seconds)
    check_lyrics_places(request.schedule, made.labels)
    number = numbers_of(recipe, found[Level.TOP].samples)[sample]
    made = replace(
        made,
        prompt=prompt.entry if prompt else None,
        midi=recipe.midi,
        beat=beat,
        beat_off=request.no_beat or (recipe.beat_off and beat is None),
        schedule=scheduled.schedule,
        kind="branch",
        trunk=trunk_of(song.path, sample, codes, begins_of(recipe)),
        sample_numbers=plain([child_number(number, one) for one in range(request.samples)]),
    )
    check_end(made, folder)
    return Begun(made, codes, prompt)


def child_number(number: int, child: int) -> int:
    """The number of a branch's sample, that its chance follows from: three digits behind that it goes on from."""
    return (MOST * number + child) % (LARGEST_SEED + 1)


def branch_recipe(request: Request, parent: Recipe, folder: ModelFolder, seed: int | None) -> Recipe:
    """The recipe that a request makes, with the settings of another recipe where it names none."""
    made = recipe_of(folder, request, None, seed)
    settings = {
        level: request.sampling(
            level,
            {level.label: asdict(parent.sampling[level])} if level in parent.sampling else folder.card.sampling,
        )
        for level in TOP_DOWN
    }
    return replace(made, sampling=settings)


def check_end(recipe: Recipe, folder: ModelFolder) -> None:
    """BadInput where a song is to be over before its last window begins."""
    total = frames_wanted(recipe, folder.card.vqvae, {})[Level.TOP]
    check_length(recipe.song_seconds, folder.card.priors[Level.TOP], total, recipe.start_at)
    check_schedule(recipe, folder.card, total)


def _called(at: float | None, sample: int) -> str:
    place = "end" if at is None else f"{at:g}"
    return f"branch-{place}" if sample == 0 else f"sample-{sample}-branch-{place}"


def estimate_branch(
    path: Path,
    at: float | None,
    out: Path | None,
    request: Request,
    *,
    sample: int = 0,
    seconds: float | None = None,
    levels: tuple[Level, ...] | None = None,
    listener: Listener = ignore,
) -> Estimate:
    """What `branch` would take."""
    song = Song.open(path)
    target, begun = planned(song, at, out, request, sample=sample, seconds=seconds, levels=levels)
    existing = None if request.overwrite else target.recipe()
    recipe = agreed(target, begun.recipe, existing) if existing is not None else begun.recipe
    found = laid(begun.trunk, recipe) | (_found(target) if existing is not None else {})
    folder, _ = recipe_of_song(song, request)
    return _estimate(target, recipe, folder, found, request, listener)
