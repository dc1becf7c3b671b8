"""New songs of old ones: one sample by itself, or the beginning alone. The song that they are taken from stays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from jukectl.audio import io
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Prompt, Recipe
from jukectl.codes.song import Song, audio_paths
from jukectl.codes.trunk import (
    Codeset,
    begins_of,
    beside,
    codes_of_song,
    cut_codes,
    keep_trunk,
    sample_of,
    top_frames,
    trunk_codes,
    trunk_of,
)
from jukectl.errors import BadInput, NotASong, RecipeDiffers
from jukectl.files import atomic_write, make_folder
from jukectl.plan.device import choose
from jukectl.plan.notes import carry_notes
from jukectl.plan.prompt import digest
from jukectl.plan.recipes import agreed, check_codec, recipe_of_song
from jukectl.plan.request import Request
from jukectl.progress import Listener, ignore
from jukectl.render.decode import FORMATS, write_audio
from jukectl.render.level import digest_of


@dataclass(frozen=True)
class Taken:
    """A song that was taken from another one."""

    song: Path
    new: bool  # False where all of it was there already


@dataclass(frozen=True, eq=False)
class GivenPrompt:
    """The prompt of a song that is to begin, and its sound where that is at hand."""

    entry: Prompt
    samples: np.ndarray | None  # (n,) float32
    sample_rate: int = 0  # Hz


def pick(path: Path, sample: int, out: Path | None = None, *, overwrite: bool = False) -> Taken:
    """One sample of a song as a song of its own, in `out` or beside it: all it has, and nothing made again.

    It goes on as that sample would have: its recipe says whose chance it has. A level that spans are being made of is
    begun again, to the same codes. BadInput where there is no such sample, RecipeDiffers where `out` holds something
    else.
    """
    song = Song.open(path)
    recipe, found = song.recipe(), codes_of_song(song)
    count = next(iter(found.values())).samples if found else recipe.samples if recipe else 0
    if not 0 <= sample < count:
        raise BadInput(f"{path} has the samples 0 to {count - 1}; got --sample {sample}")
    codes = {level: _whole(song, one) for level, one in sample_of(song, found, sample).items()}
    asked, trunk = (None, {}) if recipe is None else _picked(song, recipe, sample, found, codes)
    target = Song.create(folder_beside(song, out, f"sample-{sample}"))
    with target.lock():
        new = begin(target, asked, given_prompt(song, asked.prompt if asked else None), trunk, overwrite=overwrite)
        carry_notes(song, target, asked)
        for level in TOP_DOWN:
            if level in codes and codes[level].done and not target.codes_path(level).exists():
                target.save(codes[level])
                _take_audio(song, target, codes[level], sample)
                new = True
    return Taken(target.path, new)


def cut(
    path: Path,
    at: float,
    out: Path | None = None,
    *,
    sample: int | None = None,
    request: Request | None = None,
    listener: Listener = ignore,
) -> Taken:
    """A song's beginning, `at` seconds rounded down to whole top codes, as a song of its own, in `out` or beside it.

    All its samples, or one of them. Where a level was decoded it is decoded again. BadInput where the song is shorter.
    """
    song, request = Song.open(path), request or Request()
    found = codes_of_song(song)
    frames = top_frames(song, found, at)
    codes = cut_codes(found if sample is None else sample_of(song, found, sample), frames)
    folder, recipe = recipe_of_song(song, request)
    check_levels(song, codes, folder, request)
    prompt = shortened(given_prompt(song, recipe.prompt), codes)
    asked = _beginning(song, recipe, folder, request, codes, sample)
    what = f"cut-{at:g}" if sample is None else f"sample-{sample}-cut-{at:g}"
    target = Song.create(folder_beside(song, out, what))
    with target.lock():
        asked = replace(asked, prompt=prompt.entry if prompt else None)
        new = begin(target, asked, prompt, codes, overwrite=request.overwrite)
        carry_notes(song, target, asked)
        for level, one in codes.items():
            if not target.codes_path(level).exists():
                target.save(one)
                new = True
        for level in codes:
            decoded = audio_paths(song, level, range(found[level].samples)).values()
            if new and any(place.exists() for place in decoded):
                write_audio(target, folder, choose(request.device), level, listener=listener)
    return Taken(target.path, new)


def folder_beside(song: Song, out: Path | None, what: str) -> Path:
    """The folder of a song that is taken from another: the one named, or one beside it that is called after it."""
    out = out or beside(song.path, what)
    if out.exists() and out.samefile(song.path):
        raise BadInput(f"--out {out} is the song itself, which stays as it is. Give another folder")
    return out


def check_levels(song: Song, codes: Codeset, folder: ModelFolder, request: Request) -> None:
    """WrongCodec where a song's codes are none of a model's codec, unless that is forced."""
    for one in codes.values():
        check_codec(song, one, folder, force=request.force)


def plain(numbers: Sequence[int]) -> tuple[int, ...]:
    """Sample numbers as a recipe has them: none where they are 0 and up."""
    return () if list(numbers) == list(range(len(numbers))) else tuple(numbers)


def numbers_of(recipe: Recipe, count: int) -> tuple[int, ...]:
    """Whose chance each sample of a song has."""
    return recipe.sample_numbers or tuple(range(count))


def given_prompt(song: Song, prompt: Prompt | None) -> GivenPrompt | None:
    """A song's prompt, and its sound where its file is there and is what the recipe names."""
    if prompt is None:
        return None
    if song.prompt_path.exists():
        audio = io.load(song.prompt_path)
        if digest(audio.samples[0]) == prompt.sha256:
            return GivenPrompt(prompt, audio.samples[0], audio.sample_rate)
    return GivenPrompt(prompt, None)


def shortened(prompt: GivenPrompt | None, codes: Codeset) -> GivenPrompt | None:
    """A prompt as far as codes reach; None where only a part of it would be left, and its sound is not at hand."""
    top = codes[Level.TOP]
    length = top.done * top.hop
    if prompt is None or prompt.entry.samples <= length:
        return prompt
    if prompt.samples is None:
        return None
    samples = prompt.samples[:length]
    entry = replace(prompt.entry, seconds=length / prompt.sample_rate, samples=length, sha256=digest(samples))
    return GivenPrompt(entry, samples, prompt.sample_rate)


def begin(
    target: Song, asked: Recipe | None, prompt: GivenPrompt | None, trunk: Codeset, *, overwrite: bool = False
) -> bool:
    """Write what a new song begins with, its recipe last; True where it was not there. Hold the lock for it.

    RecipeDiffers where the folder holds another song. One that was taken further down the levels since is the same.
    """
    if overwrite:
        target.clear()
    existing = target.recipe()
    if asked is None:  # codes alone
        if existing is not None:
            raise RecipeDiffers(f"{target.path} holds another song. Give another --out, or --overwrite")
        return False
    if existing is not None or target.begun:
        asked = agreed(target, asked, existing)
    else:
        keep_trunk(target, trunk)
        if prompt is not None and prompt.samples is not None:
            io.save(target.prompt_path, prompt.samples, prompt.sample_rate, subtype="float")
    if asked != existing:
        target.write_recipe(asked)
    return existing is None


def _whole(song: Song, codes: Codes) -> Codes:
    """The codes to be taken of a level; of one that spans are being made of only those that were given."""
    return codes.cut(codes.prompt) if song.spans_path(codes.level).exists() else codes


def _picked(
    song: Song, recipe: Recipe, sample: int, found: Codeset, codes: Codeset
) -> tuple[Recipe, dict[Level, Codes]]:
    """The recipe of one sample, and its trunk; what its levels were made from is now that sample's."""
    numbers = numbers_of(recipe, max(recipe.samples, sample + 1))
    made = {}
    for level, one in recipe.made.items():
        upper = found.get(level.above) if level is not Level.TOP else None
        own = upper is not None and one.upper == digest_of(upper, one.upper_frames)
        made[level] = replace(
            one,
            samples=min(one.samples, 1),
            upper=digest_of(codes[level.above], one.upper_frames) if own else one.upper,
        )
    trunk = {level: one.sample(min(sample, one.samples - 1)) for level, one in trunk_codes(song, recipe).items()}
    entry = recipe.trunk
    if entry is not None:
        entry = replace(
            entry,
            sample=sample if entry.sample is None else entry.sample,
            sha256={level: one.digest() for level, one in trunk.items()},
        )
    picked = replace(recipe, samples=1, sample_numbers=plain(numbers[sample : sample + 1]), trunk=entry, made=made)
    return picked, trunk


def _beginning(
    song: Song, recipe: Recipe, folder: ModelFolder, request: Request, codes: Codeset, sample: int | None
) -> Recipe:
    """The recipe of a song's beginning: nothing new, and as far down the levels as before."""
    levels = (Level.TOP, *recipe.levels)
    rows = codes[Level.TOP].samples
    numbers = numbers_of(recipe, recipe.samples)
    defaults = {level: request.sampling(level, folder.card.sampling) for level in levels}
    return replace(
        recipe,
        kind="branch",
        samples=rows,
        sample_numbers=plain(numbers if sample is None else numbers[sample : sample + 1]),
        seconds=0.0,
        levels=levels,
        trunk=trunk_of(song.path, sample, codes, begins_of(recipe)),
        schedule=tuple(change for change in recipe.schedule if change.at < codes[Level.TOP].seconds),
        sampling={**defaults, **recipe.sampling},
        made={},
    )


def _take_audio(song: Song, target: Song, codes: Codes, sample: int) -> None:
    """Copy what was decoded of a sample's level."""
    for name in FORMATS:
        (source,) = audio_paths(song, codes.level, [sample], f".{name}").values()
        (place,) = audio_paths(target, codes.level, [0], f".{name}").values()
        if source.exists():
            make_folder(place.parent)
            try:
                content = source.read_bytes()
            except OSError as error:
                raise NotASong(f"cannot read {source}: {error.strerror or error}") from error
            with atomic_write(place) as file:
                file.write(content)
