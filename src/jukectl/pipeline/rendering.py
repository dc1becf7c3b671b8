"""Songs: begun from nothing, from a recording or from codes, filled level by level, resumed at whatever level they stopped."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from jukectl import __version__
from jukectl.audio import io
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Labels, LevelSampling, Made, Prompt, Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadModel, NotASong, RecipeDiffers
from jukectl.pipeline.decoding import check_codec, write_audio
from jukectl.pipeline.encoding import begin, digest, encode_prompt, hear, keep_prompt, new_codes, reference
from jukectl.pipeline.machine import Machine, choose, single_thread
from jukectl.pipeline.request import Request
from jukectl.progress import Progress, Report, silent
from jukectl.sampling.level import LevelJob, fill

Warn = Callable[[str], None]


def unheard(warning: str) -> None:
    """A warning that nobody reads."""


@dataclass(frozen=True)
class Rendered:
    """A song whose recipe is fulfilled."""

    song: Path
    audio: tuple[Path, ...]  # final audio, or previews where the bottom level was not asked for
    new: bool  # False where everything was there already


def sample(out: Path, request: Request, *, report: Report = silent, warn: Warn = unheard) -> Rendered:
    """A new song from nothing, in the folder `out`; resumed where it was begun before."""
    return _render_new(out, request, None, report, warn)


def continue_(
    audio: Path,
    out: Path,
    request: Request,
    *,
    start: float = 0.0,
    prompt_seconds: float | None = None,
    report: Report = silent,
    warn: Warn = unheard,
) -> Rendered:
    """A recording and what a model makes of it: `audio` from `start` for `prompt_seconds` is the beginning of the song."""
    folder = catalogue.find(request.model or catalogue.EMBEDDED)
    heard = hear(audio, folder, start=start, seconds=prompt_seconds)
    return _render_new(out, request, heard, report, warn)


def _render_new(
    out: Path, request: Request, heard: tuple[np.ndarray, Prompt] | None, report: Report, warn: Warn
) -> Rendered:
    name = request.model or catalogue.EMBEDDED
    folder, machine = catalogue.find(name), choose(request.device, request.precision)
    song = Song.create(out)
    with song.lock():
        if request.overwrite:
            song.clear()
        existing = song.recipe()
        recipe = _recipe(folder, name, request, heard[1] if heard else None, existing)
        if begin(song, recipe) is None:
            if heard is not None:
                keep_prompt(song, heard[0], folder)
            song.write_recipe(recipe)
        else:
            recipe = existing or recipe
        return _fulfil(song, recipe, folder, machine, request, report, warn)


def _recipe(folder: ModelFolder, name: str, request: Request, prompt: Prompt | None, existing: Recipe | None) -> Recipe:
    """The recipe that a request makes with a model. Unknown names and impossible lengths are found here."""
    labels = Labels(artist=request.artist, genres=request.genres)
    for level in request.levels:
        folder.card.labels(level, labels.artist, labels.genres)
    seed = request.seed
    if seed is None:
        seed = existing.seed if existing else secrets.randbelow(2**31)
    length = request.seconds + (prompt.seconds if prompt else 0.0)
    return Recipe(
        kind="continue" if prompt else "sample",
        version=__version__,
        model=reference(folder, name),
        seed=seed,
        samples=request.samples,
        seconds=request.seconds,
        song_seconds=request.song_seconds if request.song_seconds is not None else length,
        levels=request.levels,
        labels=labels,
        prompt=prompt,
        sampling={level: request.sampling(level, folder.card.sampling) for level in request.levels},
    )


def resume(path: Path, request: Request | None = None, *, report: Report = silent, warn: Warn = unheard) -> Rendered:
    """Finish whatever a song's recipe says is unfinished."""
    request = request or Request()
    song = Song.open(path)
    with song.lock():
        recipe = song.recipe()
        if recipe is None:
            raise NotASong(
                f"{path} has no song.toml, so there is nothing to resume. Fill in its levels with: jukectl upsample {path}"
            )
        folder = model_of(recipe, request)
        return _fulfil(song, recipe, folder, choose(request.device, request.precision), request, report, warn)


def upsample(path: Path, request: Request, *, report: Report = silent, warn: Warn = unheard) -> Rendered:
    """Fill in the levels of a song that are missing or unfinished, then decode.

    A folder with codes alone gets a recipe of its own. With `request.overwrite`, the levels below the top are made again.
    """
    song = Song.open(path)
    with song.lock():
        recipe = song.recipe()
        if recipe is None:
            folder = catalogue.find(request.model or catalogue.EMBEDDED)
            recipe = _recipe_for_codes(song, folder, request)
        else:
            folder = model_of(recipe, request)
            recipe = _extended(song, recipe, folder, request)
        if request.overwrite:
            for level in TOP_DOWN[1:]:
                song.codes_path(level).unlink(missing_ok=True)
            recipe = replace(recipe, made={level: made for level, made in recipe.made.items() if level is Level.TOP})
        song.write_recipe(recipe)
        return _fulfil(song, recipe, folder, choose(request.device, request.precision), request, report, warn)


def _recipe_for_codes(song: Song, folder: ModelFolder, request: Request) -> Recipe:
    """A recipe for a folder that holds codes of other making: their lower levels, in the style asked for."""
    top = song.codes(Level.TOP)
    if top is None:
        raise NotASong(f"{song.path} holds no top.npz to upsample from")
    base = _recipe(folder, request.model or catalogue.EMBEDDED, replace(request, seconds=top.seconds), None, None)
    return replace(base, kind="upsample", samples=top.samples)


def _extended(song: Song, recipe: Recipe, folder: ModelFolder, request: Request) -> Recipe:
    """A folder's recipe with the levels it lacks, and with what the request adds to it."""
    labels = recipe.labels
    if request.artist is not None or request.genres:
        asked = Labels(artist=request.artist, genres=request.genres, lyrics=labels.lyrics)
        if recipe.kind != "encode" and asked != labels:
            raise RecipeDiffers(
                f"{song.path} is made as {labels.artist or 'no artist'}, {', '.join(labels.genres) or 'no genre'}. "
                "Leave --artist and --genre out, or copy its top.npz into a folder of its own"
            )
        labels = asked
    for level in TOP_DOWN:
        folder.card.labels(level, labels.artist, labels.genres)
    begun = {
        level for level in recipe.sampling if (codes := song.codes(level)) is not None and codes.done > codes.prompt
    }
    sampling: dict[Level, LevelSampling] = {}
    for level in TOP_DOWN:
        sampling[level] = recipe.sampling.get(level) or request.sampling(level, folder.card.sampling)
        asked_any = any(level in by_level for by_level in request.settings.values())
        if asked_any and level not in begun:
            sampling[level] = request.sampling(level, folder.card.sampling)
    seed = recipe.seed if request.seed is None or begun else request.seed
    top = song.codes(Level.TOP)
    samples = top.samples if top is not None else recipe.samples
    return replace(recipe, labels=labels, levels=TOP_DOWN, sampling=sampling, seed=seed, samples=samples)


def model_of(recipe: Recipe, request: Request) -> ModelFolder:
    """The model of a recipe; BadModel where its parts are not those that the recipe names (unless forced)."""
    folder = catalogue.find(request.model or recipe.model.path or recipe.model.name)
    present = reference(folder, recipe.model.name).fingerprints
    for part, fingerprint in recipe.model.fingerprints.items():
        if part != VQVAE_PART and present.get(part) != fingerprint and not request.force:
            raise BadModel(
                f"the {part} part of {folder.card.name} is not the one this song was begun with "
                f"({present.get(part, 'missing')[:12]} here, {fingerprint[:12]} in the recipe). --force uses it all the same"
            )
    return folder


def _fulfil(
    song: Song, recipe: Recipe, folder: ModelFolder, machine: Machine, request: Request, report: Report, warn: Warn
) -> Rendered:
    """Do what a recipe asks and the folder lacks."""
    new = _prompt_codes(song, recipe, folder, machine, report)
    levels = () if recipe.kind == "encode" else recipe.levels
    for level in levels:
        recipe, filled = _fill_level(song, recipe, folder, machine, level, request, report, warn)
        new = new or filled
    lowest = recipe.levels[-1]
    audio, decoded = write_audio(song, folder, machine, lowest, loudness=request.loudness, keep=not new, report=report)
    return Rendered(song.path, tuple(audio), new or decoded)


def _prompt_codes(song: Song, recipe: Recipe, folder: ModelFolder, machine: Machine, report: Report) -> bool:
    """Encode the prompt where its codes are missing; True where something was."""
    prompt = recipe.prompt
    missing = [level for level in recipe.levels if song.codes(level) is None]
    if prompt is None or not missing:
        return False
    samples = _prompt_samples(song, prompt, folder)
    encode_prompt(song, folder, machine, missing, samples, count=recipe.samples, report=report)
    return True


def _prompt_samples(song: Song, prompt: Prompt, folder: ModelFolder) -> np.ndarray:
    """The prompt from prompt.wav, or where that is gone from its source; its hash must be the recipe's."""
    if song.prompt_path.exists():
        samples = io.load(song.prompt_path).samples[0]
    else:
        samples, _ = hear(Path(prompt.source), folder, start=prompt.start, seconds=prompt.seconds)
        keep_prompt(song, samples, folder)
    if digest(samples) != prompt.sha256:
        raise RecipeDiffers(
            f"the prompt of {song.path} is not the one its recipe names: {song.prompt_path.name} was changed"
        )
    return samples


def total_frames(recipe: Recipe, folder: ModelFolder, level: Level, upper: Codes | None) -> int:
    """Codes that a level shall have: at the top by the recipe's seconds, below as many as the codes above stand for."""
    config = folder.card.vqvae
    if upper is not None:
        return upper.done * config.ratio(level)
    hop = config.hop(level)
    prompt = recipe.prompt.samples // hop if recipe.prompt else 0
    return prompt + max(1, -(-round(recipe.seconds * config.sample_rate) // hop))


def _fill_level(
    song: Song,
    recipe: Recipe,
    folder: ModelFolder,
    machine: Machine,
    level: Level,
    request: Request,
    report: Report,
    warn: Warn,
) -> tuple[Recipe, bool]:
    """Sample what a level lacks, saving after every window; the recipe with its record, and whether anything was done."""
    upper = None if level is Level.TOP else song.codes(level.above)
    codes = song.codes(level)
    for present in (codes, upper):
        if present is not None:
            check_codec(song, present, folder, force=request.force)
    if level is Level.TOP and codes is not None and recipe.kind == "upsample":
        return recipe, False
    _check_upper(song, recipe, level, codes, upper)
    total = total_frames(recipe, folder, level, upper)
    if codes is None:
        empty = np.zeros((recipe.samples, 0), dtype=np.uint16)
        codes = new_codes(folder, level, empty, prompt=0, fingerprint=folder.fingerprint(VQVAE_PART))
    if codes.done >= total:
        return recipe, False

    made = Made(
        device=machine.device.type, precision=machine.precision, upper=upper.digest() if upper is not None else ""
    )
    before = recipe.made.get(level)
    if before is not None and (before.device, before.precision) != (made.device, made.precision):
        warn(
            f"the {level.label} level was begun on {before.device} in {before.precision} and goes on on {made.device} "
            f"in {made.precision}: its codes may differ from here on"
        )
    recipe = recipe.with_made(level, made)
    song.write_recipe(recipe)
    job = _job(recipe, folder, machine, level, total, upper)
    stage = f"{level.label} codes"

    def watch(done: int) -> None:
        report(Progress(stage, done, total))

    watch(codes.done)
    with single_thread(machine):
        for grown in fill(job, codes, watch):
            song.save(grown)
            report(Progress(stage, grown.done, total, f"saved {grown.seconds:.1f} s"))
            if level in request.preview:
                write_audio(song, folder, machine, level)
    return recipe, True


def _job(
    recipe: Recipe, folder: ModelFolder, machine: Machine, level: Level, total: int, upper: Codes | None
) -> LevelJob:
    """A level's prior, loaded, with all it is told."""
    artist, genres = folder.card.labels(level, recipe.labels.artist, recipe.labels.genres)
    prior = folder.prior(level, machine.device, machine.dtype)
    return LevelJob(
        prior=prior,
        total=total,
        seed=recipe.seed,
        sampling=recipe.sampling[level],
        artist=artist,
        genres=genres,
        song_samples=_song_samples(recipe, folder, level),
        upper=None if upper is None else upper.array,
        device=machine.device,
    )


def _song_samples(recipe: Recipe, folder: ModelFolder, level: Level) -> int:
    """The song's total length in audio samples; at the least what the model was trained with."""
    timing = folder.card.priors[level].timing
    seconds = recipe.song_seconds
    if timing is not None:
        seconds = min(max(seconds, timing.min_seconds), timing.max_seconds)
    return round(seconds * folder.card.vqvae.sample_rate)


def _check_upper(song: Song, recipe: Recipe, level: Level, codes: Codes | None, upper: Codes | None) -> None:
    """Refuse to go on from codes that were made from other upper codes than those in the folder."""
    if upper is None or codes is None:
        return
    before = recipe.made.get(level)
    ratio = upper.hop // codes.hop
    stale = before is not None and before.upper and before.upper != upper.digest()
    if (
        stale
        or codes.samples != upper.samples
        or (before is None and codes.done != upper.prompt * ratio and codes.done < upper.done * ratio)
    ):
        raise RecipeDiffers(
            f"{song.codes_path(level)} was made from other {level.above.label} codes than those in {song.path}. "
            f"Make it again with: jukectl upsample {song.path} --overwrite"
        )
