"""Recipes: made from a request and a model, held against the one that a folder was begun with, extended, measured."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace

from jukectl import __version__
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import AdapterRef, Labels, LevelSampling, ModelRef, Prompt, Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadModel, NotASong, RecipeDiffers
from jukectl.pipeline.adapting import references
from jukectl.pipeline.request import Request
from jukectl.pipeline.scheduling import check_lyrics_places, check_schedule
from jukectl.pipeline.scores import GivenNotes
from jukectl.pipeline.singing import heard_lyrics
from jukectl.pipeline.telling import check_labels, check_length, check_notes, placed
from jukectl.vqvae.config import VQVAEConfig


def reference(folder: ModelFolder) -> ModelRef:
    """How a recipe names a model, with the fingerprints of its parts."""
    by_path = folder.path.parent not in (catalogue.assets(), catalogue.user_models())
    parts = [part for part in (VQVAE_PART, *(level.label for level in TOP_DOWN)) if folder.has(part)]
    return ModelRef(
        name=folder.card.name,
        path=str(folder.path) if by_path else None,
        fingerprints={part: folder.fingerprint(part) for part in parts},
    )


def recipe_of(
    folder: ModelFolder,
    request: Request,
    prompt: Prompt | None,
    seed: int | None = None,
    notes: GivenNotes | None = None,
) -> Recipe:
    """The recipe that a request makes with a model: `seed` is taken where the request names none, or else drawn.

    UnknownName and BadInput are raised here, before anything is written.
    """
    labels = Labels(
        artist=request.artist, genres=request.genres, lyrics=request.lyrics, lyrics_format=request.lyrics_format
    )
    check_labels(labels, folder.card, request.levels)
    check_lyrics_places(request.schedule, labels)
    if notes is not None:
        check_notes(folder.card)
    if seed is None:
        seed = secrets.randbelow(2**31)
    heard = prompt.samples / folder.card.vqvae.sample_rate if prompt else 0.0
    song_seconds, start_at = placed(request, heard + request.seconds, folder.card.priors[Level.TOP])
    recipe = Recipe(
        kind="continue" if prompt else "sample",
        version=__version__,
        model=reference(folder),
        seed=seed if request.seed is None else request.seed,
        samples=request.samples,
        seconds=request.seconds,
        song_seconds=song_seconds,
        start_at=start_at,
        levels=request.levels,
        labels=labels,
        prompt=prompt,
        midi=None if notes is None else notes.score(heard + request.midi_at),
        adapters=references(folder),
        # for all levels, so that a draft of the top goes on as if the lower ones had been asked for at once
        sampling={level: request.sampling(level, folder.card.sampling) for level in TOP_DOWN},
        schedule=request.schedule,
    )
    total = frames_wanted(recipe, folder.card.vqvae, {})[Level.TOP]
    check_length(recipe.song_seconds, folder.card.priors[Level.TOP], total, recipe.start_at)
    check_schedule(recipe, folder.card, total)
    return recipe


def agreed(song: Song, asked: Recipe, existing: Recipe | None) -> Recipe:
    """The recipe to go on with: the folder's own, with the levels that are asked for added; `asked` in a new folder.

    How far a song is taken down the levels makes no other song of it. RecipeDiffers names what does.
    """
    if existing is None:
        if song.begun:
            raise RecipeDiffers(
                f"{song.path} holds codes but no recipe. Go on from them with: jukectl upsample {song.path}; "
                "or begin anew with --overwrite"
            )
        return asked
    common = [level for level in existing.levels if level in asked.levels]  # another level may wear what it likes
    here = replace(
        existing,
        levels=asked.levels,
        sampling=_only(existing.sampling, asked.levels),
        adapters=_worn_at(common, existing.adapters),
    )
    if asked.kind == "encode":  # upsample may have given these since
        here = replace(here, labels=asked.labels, seed=asked.seed)
    elif _folded(here.labels) == _folded(asked.labels):
        here = replace(here, labels=asked.labels)
    compared = replace(asked, sampling=_only(asked.sampling, asked.levels), adapters=_worn_at(common, asked.adapters))
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
        adapters=(*_worn_at(existing.levels, existing.adapters), *_worn_at(new, asked.adapters)),
    )


def _worn_at(levels: Collection[Level], adapters: tuple[AdapterRef, ...]) -> tuple[AdapterRef, ...]:
    return tuple(one for one in adapters if one.level in levels)


def _folded(labels: Labels) -> Labels:
    """Labels without regard to case, as models take names."""
    artist = None if labels.artist is None else labels.artist.strip().casefold()
    return replace(labels, artist=artist, genres=tuple(genre.strip().casefold() for genre in labels.genres))


def _only(sampling: Mapping[Level, LevelSampling], levels: tuple[Level, ...]) -> dict[Level, LevelSampling]:
    return {level: settings for level, settings in sampling.items() if level in levels}


def recipe_for_codes(song: Song, folder: ModelFolder, request: Request) -> Recipe:
    """A recipe for the levels below a top.npz of other making, in the style asked for."""
    top = song.codes(Level.TOP)
    if top is None or top.done == 0:
        raise NotASong(f"{song.path} holds no top codes to upsample from: put a top.npz there")
    below = replace(request, seconds=top.seconds, levels=TOP_DOWN)
    made = recipe_of(folder, below, None)
    return replace(
        made, kind="upsample", samples=top.samples, levels=TOP_DOWN[1:], sampling=_only(made.sampling, TOP_DOWN[1:])
    )


def extended(song: Song, recipe: Recipe, folder: ModelFolder, request: Request) -> Recipe:
    """A folder's recipe with the levels it lacks, and with what the request adds to it.

    Seed, labels, model and settings that codes were sampled with stay: RecipeDiffers where the request wants others.
    """
    redone = TOP_DOWN[1:] if request.overwrite else ()
    begun = begun_levels(song, recipe, request)
    missing = [level for level in TOP_DOWN[1:] if level in redone or song.codes(level) is None]
    sampling = dict(recipe.sampling)
    for level in {*recipe.sampling, *missing}:
        settings = recipe.sampling.get(level)
        defaults = {level.label: asdict(settings)} if settings else folder.card.sampling
        sampling[level] = request.sampling(level, defaults)
    labels = recipe.labels
    if request.artist is not None or request.genres:
        styled = replace(labels, artist=request.artist, genres=request.genres)
        labels = labels if _folded(labels) == _folded(styled) else styled
    if request.lyrics is not None:
        labels = replace(labels, lyrics=request.lyrics, lyrics_format=request.lyrics_format)
        heard_lyrics(labels, folder.card, Level.TOP)
    top = song.codes(Level.TOP)
    asked = replace(
        recipe,
        model=reference(folder),
        adapters=references(folder),
        labels=labels,
        seed=recipe.seed if request.seed is None else request.seed,
        samples=top.samples if top is not None else recipe.samples,
        levels=(*recipe.levels, *TOP_DOWN[1:]),
        sampling=sampling,
        schedule=request.schedule or recipe.schedule,
        made={level: made for level, made in recipe.made.items() if level not in redone},
    )
    if begun:
        kept = {level: recipe.sampling[level] for level in begun}
        here = replace(
            asked,
            seed=recipe.seed,
            labels=recipe.labels,
            schedule=recipe.schedule,
            sampling={**sampling, **kept},
            adapters=(*_worn_at(begun, recipe.adapters), *(one for one in asked.adapters if one.level not in begun)),
        )
        if differences := here.differences(asked):
            raise RecipeDiffers(
                f"{song.path} was begun otherwise ({'; '.join(differences)}). Leave those options out, or copy its "
                "top.npz into a folder of its own and upsample it there"
            )
    check_labels(replace(asked.labels, lyrics=None), folder.card, tuple(filter(sampling.__contains__, asked.levels)))
    done = top.done if top is not None else 0
    wanted = frames_wanted(asked, folder.card.vqvae, {Level.TOP: done})
    check_schedule(asked, folder.card, wanted.get(Level.TOP, done))
    return asked


def begun_levels(song: Song, recipe: Recipe, request: Request) -> list[Level]:
    """Levels that hold sampled codes, beside those of the prompt, and that the request does not make again."""
    found = {level: song.codes(level) for level in recipe.sampling if level is Level.TOP or not request.overwrite}
    return [level for level, codes in found.items() if codes is not None and codes.done > codes.prompt]


def model_of(song: Song, recipe: Recipe, request: Request, parts: Collection[str] | None = None) -> ModelFolder:
    """The model that a recipe names, or the one asked for instead.

    BadModel where one of its `parts` (all, where none are given) is not the recipe's, unless forced.
    """
    try:
        folder = catalogue.find(request.model or recipe.model.path or recipe.model.name)
    except BadModel as error:
        if request.model:
            raise
        raise BadModel(f"{error}. {song.path} was begun with it: say where it is now with --model") from error
    present = reference(folder).fingerprints
    for part, fingerprint in recipe.model.fingerprints.items():
        if (parts is None or part in parts) and present.get(part) != fingerprint and not request.force:
            raise BadModel(
                f"the {part} part of {folder.card.name} is not the one {song.path} was begun with "
                f"({present.get(part, 'missing')[:12]} here, {fingerprint[:12]} in the recipe). Choose the right model "
                "with --model, or use this one all the same with --force"
            )
    return folder


def given_frames(recipe: Recipe, config: VQVAEConfig, level: Level) -> int:
    """Codes that a level begins with before any is sampled: its trunk's, or else its prompt's."""
    if recipe.trunk is not None and level in recipe.trunk.frames:
        return recipe.trunk.frames[level]
    return recipe.prompt.samples // config.hop(level) if recipe.prompt else 0


def frames_wanted(recipe: Recipe, config: VQVAEConfig, done: Mapping[Level, int]) -> dict[Level, int]:
    """Codes that each level of a recipe shall have, where `done` are there: never fewer than those.

    At the top the whole codes of the recipe's seconds, or one, after those that are given; below as many as the codes
    above stand for. An encoded level is its prompt's.
    """
    wanted: dict[Level, int] = {}
    for level in recipe.levels:
        hop = config.hop(level)
        given = given_frames(recipe, config, level)
        if level not in recipe.sampling:
            frames = given
        elif level is Level.TOP:
            new = round(recipe.seconds * config.sample_rate) // hop
            frames = given + (max(1, new) if recipe.seconds or recipe.trunk is None else 0)
        else:
            frames = wanted.get(level.above, done.get(level.above, 0)) * config.ratio(level)
        wanted[level] = max(frames, done.get(level, 0))
    return wanted
