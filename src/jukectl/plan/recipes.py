"""Recipes: made from a request and a model, compared with the one of the folder, extended by levels, measured."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace

from jukectl import __version__
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.beat import Beat
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.prefix import Codeset
from jukectl.codes.recipe import AdapterRef, Keep, Labels, LevelSampling, Prompt, Recipe
from jukectl.codes.song import Song
from jukectl.errors import NotASong, RecipeDiffers
from jukectl.plan.conditioning import (
    check_labels,
    check_length,
    check_lyrics_places,
    check_notes,
    check_schedule,
    placed,
)
from jukectl.plan.models import adapter_refs, model_ref
from jukectl.plan.notes import GivenNotes
from jukectl.plan.request import DEFAULT_SECONDS, Request
from jukectl.vqvae.config import VQVAEConfig


def recipe_of(
    folder: ModelFolder,
    request: Request,
    prompt: Prompt | None,
    seed: int | None = None,
    notes: GivenNotes | None = None,
    beat: Beat | None = None,
) -> Recipe:
    """Return the recipe of a request with a model. `seed` is the default of the request's; without both it is random.

    UnknownName and BadInput are raised here, before anything is written.
    """
    labels = Labels(artist=request.artist, genres=request.genres, lyrics=request.lyrics)
    levels = request.levels or TOP_DOWN
    folder.need(VQVAE_PART, *(level.label for level in levels))
    check_labels(labels, folder.card, levels)
    check_lyrics_places(request.schedule, labels)
    if notes is not None:
        check_notes(folder.card)
    if seed is None:
        seed = secrets.randbelow(2**31)
    seconds = DEFAULT_SECONDS if request.seconds is None else request.seconds
    prompt_seconds = prompt.samples / folder.card.vqvae.sample_rate if prompt else 0.0
    song_seconds, start_at = placed(request, prompt_seconds + seconds, folder.card.priors[Level.TOP])
    recipe = Recipe(
        kind="continue" if prompt else "sample",
        version=__version__,
        model=model_ref(folder),
        seed=seed if request.seed is None else request.seed,
        samples=request.samples,
        seconds=seconds,
        song_seconds=song_seconds,
        start_at=start_at,
        levels=levels,
        labels=labels,
        prompt=prompt,
        midi=None if notes is None else notes.score(prompt_seconds + request.midi_at),
        beat=beat,
        beat_off=request.no_beat,
        adapters=adapter_refs(folder),
        # for all levels, so that a draft of the top continues as if the lower ones had been requested at once
        sampling={level: request.sampling(level, folder.card.sampling) for level in TOP_DOWN},
        schedule=request.schedule,
        origins=request.origins,
        keep=None if request.keep in (None, request.samples) else Keep(best=request.keep, of=request.samples),
    )
    check_end(recipe, folder)
    return recipe


def check_end(recipe: Recipe, folder: ModelFolder) -> None:
    """BadInput if a song is over before its last window begins, or before its last scheduled change."""
    total = frames_wanted(recipe, folder.card.vqvae, {})[Level.TOP]
    check_length(recipe.song_seconds, folder.card.priors[Level.TOP], total, recipe.start_at)
    check_schedule(recipe, folder.card, total)


def agreed(song: Song, asked: Recipe, existing: Recipe | None) -> Recipe:
    """Return the recipe to resume with: the folder's own, with the requested levels added; `asked` in a new folder.

    A song stays the same however many of its levels are made. RecipeDiffers names every other difference.
    """
    if existing is None:
        if song.begun:
            raise RecipeDiffers(
                f"{song.path} holds codes but no recipe. Upsample them with: jukectl upsample {song.path}; "
                "or start over with --overwrite"
            )
        return asked
    common = [level for level in existing.levels if level in asked.levels]  # adapters of other levels may differ
    here = replace(
        existing.before_choice(),
        levels=asked.levels,
        sampling=_only(existing.sampling, asked.levels),
        adapters=_adapters_at(common, existing.adapters),
    )
    if asked.kind == "encode":  # upsample may have added these since
        here = replace(here, labels=asked.labels, seed=asked.seed)
    elif _folded(here.labels) == _folded(asked.labels):
        here = replace(here, labels=asked.labels)
    compared = replace(
        asked, sampling=_only(asked.sampling, asked.levels), adapters=_adapters_at(common, asked.adapters)
    )
    if differences := here.differences(compared):
        raise RecipeDiffers(
            f"{song.path} was begun with another recipe ({'; '.join(differences)}). "
            "Give the same options, another --out, or --overwrite"
        )
    new = [level for level in asked.levels if level not in existing.levels]
    return replace(
        existing,
        levels=(*existing.levels, *asked.levels),
        sampling={**asked.sampling, **existing.sampling},
        adapters=(*_adapters_at(existing.levels, existing.adapters), *_adapters_at(new, asked.adapters)),
    )


def _adapters_at(levels: Collection[Level], adapters: tuple[AdapterRef, ...]) -> tuple[AdapterRef, ...]:
    return tuple(one for one in adapters if one.level in levels)


def _folded(labels: Labels) -> Labels:
    """Return labels in lower case, since models look names up that way."""
    artist = None if labels.artist is None else labels.artist.strip().casefold()
    return replace(labels, artist=artist, genres=tuple(genre.strip().casefold() for genre in labels.genres))


def _only(sampling: Mapping[Level, LevelSampling], levels: tuple[Level, ...]) -> dict[Level, LevelSampling]:
    return {level: settings for level, settings in sampling.items() if level in levels}


def recipe_for_codes(song: Song, codes: Codeset, folder: ModelFolder, request: Request) -> Recipe:
    """Return a recipe for the levels below top codes that came without one, in the requested style."""
    top = codes.get(Level.TOP)
    if top is None or top.done == 0:
        raise NotASong(f"{song.path} holds no top codes to upsample from: put a top.npz there")
    made = recipe_of(folder, replace(request, seconds=top.seconds, levels=TOP_DOWN), None)
    return replace(
        made, kind="upsample", samples=top.samples, levels=TOP_DOWN[1:], sampling=_only(made.sampling, TOP_DOWN[1:])
    )


def extended(song: Song, recipe: Recipe, codes: Codeset, folder: ModelFolder, request: Request) -> Recipe:
    """Return a folder's recipe with the levels it lacks, and with what the request adds to it.

    Seed, labels, model and settings that codes were sampled with stay: RecipeDiffers if the request has others.
    """
    redone = TOP_DOWN[1:] if request.overwrite else ()
    top = codes.get(Level.TOP)
    missing = [level for level in TOP_DOWN[1:] if level in redone or level not in codes]
    folder.need(*(level.label for level in missing))
    sampling = dict(recipe.sampling)
    for level in {*recipe.sampling, *missing}:
        sampling[level] = request.sampling(level, defaults_of(recipe, level, folder))
    asked = replace(
        recipe,
        model=model_ref(folder),
        adapters=adapter_refs(folder),
        labels=_restyled(recipe.labels, request, folder),
        seed=recipe.seed if request.seed is None else request.seed,
        samples=top.samples if top is not None and recipe.keep is None else recipe.samples,
        levels=(*recipe.levels, *TOP_DOWN[1:]),
        sampling=sampling,
        schedule=request.schedule or recipe.schedule,
        made={level: made for level, made in recipe.made.items() if level not in redone},
    )
    _check_begun(song, recipe, asked, begun_levels(recipe, codes, request))
    check_labels(replace(asked.labels, lyrics=None), folder.card, tuple(filter(sampling.__contains__, asked.levels)))
    done = top.done if top is not None else 0
    wanted = frames_wanted(asked, folder.card.vqvae, {Level.TOP: done})
    check_schedule(asked, folder.card, wanted.get(Level.TOP, done))
    return asked


def defaults_of(recipe: Recipe, level: Level, folder: ModelFolder) -> Mapping[str, Mapping[str, float]]:
    """Return the settings of a level, by its name, that hold if a request has none: the recipe's, or the model's."""
    settings = recipe.sampling.get(level)
    return {level.label: asdict(settings)} if settings else folder.card.sampling


def _restyled(labels: Labels, request: Request, folder: ModelFolder) -> Labels:
    """Return a recipe's labels with the style and the lyrics that a request names."""
    if request.artist is not None or request.genres:
        styled = replace(labels, artist=request.artist, genres=request.genres)
        labels = labels if _folded(labels) == _folded(styled) else styled
    if request.lyrics is not None:
        labels = replace(labels, lyrics=request.lyrics)
        folder.card.spell(Level.TOP, request.lyrics)
    return labels


def _check_begun(song: Song, recipe: Recipe, asked: Recipe, begun: Collection[Level]) -> None:
    """RecipeDiffers if levels that hold sampled codes are asked for otherwise than they were begun."""
    if not begun:
        return
    kept = {level: recipe.sampling[level] for level in begun}
    here = replace(
        asked,
        seed=recipe.seed,
        labels=recipe.labels,
        schedule=recipe.schedule,
        sampling={**asked.sampling, **kept},
        adapters=(*_adapters_at(begun, recipe.adapters), *(one for one in asked.adapters if one.level not in begun)),
    )
    if differences := here.differences(asked):
        raise RecipeDiffers(
            f"{song.path} was begun otherwise ({'; '.join(differences)}). Leave those options out, or copy its "
            "top.npz into a new folder and upsample it there"
        )


def begun_levels(recipe: Recipe, codes: Codeset, request: Request) -> list[Level]:
    """Return the levels that hold sampled codes, beside those of the prompt, and that the request does not redo."""
    kept = [level for level in recipe.sampling if level is Level.TOP or not request.overwrite]
    return [level for level in kept if level in codes and codes[level].done > codes[level].prompt]


def given_frames(recipe: Recipe, config: VQVAEConfig, level: Level) -> int:
    """Return the codes that a level begins with before any is sampled: its prefix's, or else its prompt's."""
    if recipe.prefix is not None and level in recipe.prefix.frames:
        return recipe.prefix.frames[level]
    return recipe.prompt.samples // config.hop(level) if recipe.prompt else 0


def frames_wanted(recipe: Recipe, config: VQVAEConfig, done: Mapping[Level, int]) -> dict[Level, int]:
    """Return the codes that each level of a recipe will have: at least the `done` ones.

    At the top these are the whole codes of the recipe's seconds, or one, after the given ones; below, as many as the
    codes above stand for. An encoded level has its prompt's.
    """
    wanted: dict[Level, int] = {}
    for level in recipe.levels:
        hop = config.hop(level)
        given = given_frames(recipe, config, level)
        if level not in recipe.sampling:
            frames = given
        elif level is Level.TOP:
            new = round(recipe.seconds * config.sample_rate) // hop
            frames = given + (max(1, new) if recipe.seconds or recipe.prefix is None else 0)
        else:
            frames = wanted.get(level.above, done.get(level.above, 0)) * config.ratio(level)
        wanted[level] = max(frames, done.get(level, 0))
    return wanted
