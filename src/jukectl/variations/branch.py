"""Branches: new samples that continue from where a song is cut."""

from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.prefix import begins_of, codes_of_song, cut_codes, prefix_ref, sample_of, top_frames
from jukectl.codes.recipe import Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadInput, RecipeDiffers
from jukectl.folders import Series
from jukectl.plan.beats import with_beat_of
from jukectl.plan.conditioning import check_lyrics_places
from jukectl.plan.device import choose
from jukectl.plan.job import Given, Job, Preparation, begun, source_model, with_folder_seed
from jukectl.plan.models import check_codecs
from jukectl.plan.notes import notes_data
from jukectl.plan.prompt import prompt_of
from jukectl.plan.recipes import check_end, defaults_of, recipe_of
from jukectl.plan.request import DEFAULT_SECONDS, LARGEST_SEED, Request
from jukectl.progress import Listener, ignore
from jukectl.variations.pick import folder_beside, series_beside, stored_streams, streams_of

MOST = 1_000
"""Most samples of a branch: the random stream of each has three digits more than the one that it continues."""


def prepare_branch(
    path: Path,
    at: float | None,
    out: Path | None,
    request: Request,
    *,
    sample: int = 0,
    listener: Listener = ignore,
) -> Preparation:
    """Prepare `request.samples` songs that begin as one sample of a song does, up to `at` seconds or its end.

    The request's defaults are the song's: labels, settings, levels, and as much music as comes after the cut, or 20 s.
    """
    song = Song.open(path)
    draft, given = branched(song, at, request, sample=sample)
    draft = replace(draft, listener=listener)
    name = _name(at, sample)
    if out is None and not request.overwrite:
        target = _first_fitting(series_beside(song, name), draft, given)
    else:
        target = Song(folder_beside(song, out, name))
    return Preparation(target, lambda: _begun_in(target, draft, given))


def _first_fitting(series: Series, draft: Job, given: Given) -> Song:
    """Return the first folder of a series that is free, or holds the branch already."""
    for number in count(1):
        target = Song(series.folder(number))
        if not target.path.exists():
            break
        with suppress(RecipeDiffers):
            if target.begun:
                _begun_in(target, draft, given)
                break
    return target


def _begun_in(target: Song, draft: Job, given: Given) -> Job:
    return begun(with_folder_seed(replace(draft, song=target)), given)


def branched(song: Song, at: float | None, request: Request, *, sample: int) -> tuple[Job, Given]:
    """Return the draft of a branch of a song, and what it begins with. BadInput before anything is written."""
    if request.samples > MOST:
        raise BadInput(f"--samples is at most {MOST} of a branch, got {request.samples}")
    found = codes_of_song(song)
    codes = cut_codes(sample_of(song, found, sample), top_frames(song, found, at))
    model, recipe = source_model(song, found, request)
    check_codecs(song, codes, model, request)
    top = codes[Level.TOP]
    rest = found[Level.TOP].seconds - top.seconds
    seconds = request.seconds if request.seconds is not None else (rest if rest > 0 else DEFAULT_SECONDS)
    asked = _request_like(request, recipe, top.seconds, seconds)
    made = branch_recipe(asked, recipe, model)
    kept = tuple(one for one in recipe.schedule if one.at < top.seconds + seconds)
    scheduled = replace(request, schedule=request.schedule or kept)
    scheduled, beat = with_beat_of(scheduled, model.card, recipe, top.seconds)
    check_lyrics_places(request.schedule, made.labels)
    prompt = prompt_of(song, recipe.prompt)
    prompt = prompt.cut(codes) if prompt else None
    stream = streams_of(recipe, found[Level.TOP].samples)[sample]
    made = replace(
        made,
        prompt=prompt.entry if prompt else None,
        midi=recipe.midi,
        beat=beat,
        beat_off=request.no_beat or (recipe.beat_off and beat is None),
        schedule=scheduled.schedule,
        kind="branch",
        prefix=prefix_ref(song.path, sample, codes, begins_of(recipe), at),
        streams=stored_streams([child_stream(stream, one) for one in range(request.samples)]),
    )
    check_end(made, model)
    given = Given(prompt=prompt, notes=notes_data(song, made), prefix=codes)
    machine = choose(request.device, request.precision, request.threads)
    return Job(song=song, recipe=made, model=model, machine=machine, codes={}, request=request), given


def _request_like(request: Request, recipe: Recipe, prefix_seconds: float, seconds: float) -> Request:
    """Return a request for new music after a prefix, with the labels, levels and place of a song as defaults."""
    start_at = recipe.start_at if request.start_at is None else request.start_at
    whole = max(recipe.song_seconds, start_at + prefix_seconds + seconds)  # a song that gets no longer keeps its end
    return replace(
        request,
        artist=recipe.labels.artist if request.artist is None else request.artist,
        genres=request.genres or recipe.labels.genres,
        lyrics=recipe.labels.lyrics if request.lyrics is None else request.lyrics,
        seconds=seconds,
        song_seconds=whole if request.song_seconds is None else request.song_seconds,
        start_at=start_at,
        schedule=(),
        levels=request.levels or levels_of(recipe),
    )


def levels_of(recipe: Recipe) -> tuple[Level, ...]:
    """Return the levels from the top down to the lowest of a recipe."""
    return TOP_DOWN[: 3 - min(recipe.levels)]


def child_stream(stream: int, child: int) -> int:
    """Return the random stream of a branch's sample: that of the sample it continues, with three digits more."""
    return (MOST * stream + child) % (LARGEST_SEED + 1)


def branch_recipe(request: Request, parent: Recipe, folder: ModelFolder) -> Recipe:
    """Return the recipe of a request, with the settings of another recipe as its defaults."""
    settings = {level: request.sampling(level, defaults_of(parent, level, folder)) for level in TOP_DOWN}
    return replace(recipe_of(folder, request, None), sampling=settings)


def _name(at: float | None, sample: int) -> str:
    place = "end" if at is None else f"{at:g}"
    return f"branch-{place}" if sample == 0 else f"sample-{sample}-branch-{place}"
