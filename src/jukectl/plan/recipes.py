"""Recipes: made from a request and a model, held against the one that a folder was begun with, extended, measured."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from jukectl import __version__
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.adapters import AdaptedModel, AdapterFile, AppliedAdapter
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.beat import Beat
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import AdapterRef, Labels, LevelSampling, ModelRef, Prompt, Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadAdapter, BadModel, NotASong, RecipeDiffers, WrongCodec
from jukectl.plan.conditioning import (
    check_labels,
    check_length,
    check_lyrics_places,
    check_notes,
    check_schedule,
    placed,
)
from jukectl.plan.notes import GivenNotes
from jukectl.plan.request import AdapterChoice, Request
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
    beat: Beat | None = None,
) -> Recipe:
    """The recipe that a request makes with a model: `seed` is taken where the request names none, or else drawn.

    UnknownName and BadInput are raised here, before anything is written.
    """
    labels = Labels(artist=request.artist, genres=request.genres, lyrics=request.lyrics)
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
        beat=beat,
        beat_off=request.no_beat,
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
        labels = replace(labels, lyrics=request.lyrics)
        folder.card.spell(Level.TOP, request.lyrics)
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


def model_for(song: Song, model: str | None) -> ModelFolder:
    """The model asked for, or the recipe's, or the embedded one."""
    recipe = song.recipe()
    return catalogue.find(model or (recipe and (recipe.model.path or recipe.model.name)) or catalogue.EMBEDDED)


def check_codec(song: Song, codes: Codes, folder: ModelFolder, *, force: bool) -> None:
    """Refuse codes to which another codec than the model's gave their meaning, unless forced and small enough."""
    here, size = folder.fingerprint(VQVAE_PART), folder.card.vqvae.codebook_size
    where = f"{song.codes_path(codes.level)} holds codes of the VQ-VAE {codes.vqvae[:12]}"
    if codes.vqvae != here and not force:
        raise WrongCodec(
            f"{where}, and {folder.card.name}'s is {here[:12]}. "
            "Choose their model with --model, or use them all the same with --force"
        )
    if codes.codebook_size > size:
        raise WrongCodec(
            f"{where}, up to code {codes.codebook_size - 1}, and {folder.card.name}'s go to {size - 1}. "
            "Choose their model with --model"
        )


def recipe_of_song(song: Song, request: Request) -> tuple[ModelFolder, Recipe]:
    """A song's model, dressed, and its recipe; for codes without one that which `upsample` would give them."""
    recipe = song.recipe()
    if recipe is None:
        folder: ModelFolder = catalogue.find(request.model or catalogue.EMBEDDED)
        return folder, recipe_for_codes(song, folder, request)
    return redressed(model_of(song, recipe, request, [VQVAE_PART]), song, recipe, request), recipe


def recipe_to_resume(song: Song, request: Request) -> tuple[ModelFolder, Recipe]:
    """The model and the recipe that a song is gone on with."""
    recipe = song.recipe()
    if recipe is None:
        raise NotASong(f"{song.path} has codes but no song.toml. Fill in its levels with: jukectl upsample {song.path}")
    folder = redressed(model_of(song, recipe, request), song, recipe, request)
    if not request.force and differ(references(folder), recipe.adapters):
        raise RecipeDiffers(
            f"{song.path} was begun without one of the adapters given, or with another strength. Leave it out; "
            f"for levels that are not begun yet there is: jukectl upsample {song.path} --adapter FILE"
        )
    check_codecs(song, TOP_DOWN, folder, request)
    return folder, recipe


def recipe_to_upsample(song: Song, request: Request) -> tuple[ModelFolder, Recipe]:
    """The model and the recipe that a song's missing levels are made with."""
    existing = song.recipe()
    if existing is None:
        folder: ModelFolder = dressed(catalogue.find(request.model or catalogue.EMBEDDED), request.adapters)
        recipe = recipe_for_codes(song, folder, request)
    else:
        begun = [level.label for level in begun_levels(song, existing, request)]
        folder = redressed(model_of(song, existing, request, [VQVAE_PART, *begun]), song, existing, request)
        recipe = extended(song, existing, folder, request)
    check_codecs(song, TOP_DOWN[:1] if request.overwrite else TOP_DOWN, folder, request)
    return folder, recipe


def check_codecs(song: Song, levels: Sequence[Level], folder: ModelFolder, request: Request) -> None:
    """Refuse codes of the song to which another codec than the model's gave their meaning, unless forced."""
    for level in levels:
        if (codes := song.codes(level)) is not None:
            check_codec(song, codes, folder, force=request.force)


def dressed(folder: ModelFolder, choices: Sequence[AdapterChoice]) -> AdaptedModel:
    """A model with adapters on, or with none. BadAdapter where one does not belong to it."""
    return AdaptedModel.with_adapters(folder, _given(choices))


def redressed(folder: ModelFolder, song: Song, recipe: Recipe, request: Request) -> ModelFolder:
    """A model with the adapters of a song's recipe, and with others that the request names.

    A file of the request that the recipe names is that one, wherever it lies now. Any other takes the place of the
    recipe's at its level. BadAdapter where a file is gone or has changed, unless that is forced.
    """
    given = _given(request.adapters)
    strengths = {choice.path: choice.strength for choice in request.adapters}
    places = {applied.adapter.fingerprint: applied for applied in given}
    kept = {
        one.sha256: one
        for one in recipe.adapters
        if one.sha256 not in places or strengths[places[one.sha256].adapter.path] in (None, one.strength)
    }
    others = [applied for applied in given if applied.adapter.fingerprint not in kept]
    replaced = {applied.adapter.card.level for applied in others}
    found = [_found(one, places, song, request) for one in kept.values() if one.level not in replaced]
    return AdaptedModel.with_adapters(folder, [*found, *others]) if found or others else folder


def references(folder: ModelFolder) -> tuple[AdapterRef, ...]:
    """How a recipe names the adapters that a model wears."""
    applied = folder.adapters if isinstance(folder, AdaptedModel) else ()
    return tuple(
        AdapterRef(
            level=one.adapter.card.level,
            path=str(one.adapter.path.resolve()),
            sha256=one.adapter.fingerprint,
            strength=one.strength,
        )
        for one in applied
    )


def differ(some: Sequence[AdapterRef], others: Sequence[AdapterRef]) -> bool:
    """Whether these are not the same adapters, wherever their files lie."""
    first, second = (sorted((one.level, one.sha256, one.strength) for one in refs) for refs in (some, others))
    return first != second


def _given(choices: Sequence[AdapterChoice]) -> list[AppliedAdapter]:
    return [
        AppliedAdapter(AdapterFile.load(choice.path), 1.0 if choice.strength is None else choice.strength)
        for choice in choices
    ]


def _found(one: AdapterRef, places: dict[str, AppliedAdapter], song: Song, request: Request) -> AppliedAdapter:
    """An adapter of a recipe: from where the request says it is, or from where it lay."""
    if one.sha256 in places:
        return AppliedAdapter(places[one.sha256].adapter, one.strength)
    try:
        adapter = AdapterFile.load(Path(one.path))
    except BadAdapter as error:
        raise BadAdapter(f"{error}. {song.path} was begun with it: say where it is now with --adapter") from error
    if adapter.fingerprint != one.sha256 and not request.force:
        raise BadAdapter(
            f"{one.path} is not the adapter that {song.path} was begun with ({adapter.fingerprint[:12]} here, "
            f"{one.sha256[:12]} in the recipe). Say where that one is with --adapter, or use this one with --force"
        )
    return AppliedAdapter(adapter, one.strength)
