"""Songs extracted from a song: one of its samples, or its beginning. The song itself stays as it is."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.prefix import (
    Codeset,
    begins_of,
    beside,
    codes_of_song,
    cut_codes,
    load_prefix,
    prefix_ref,
    sample_of,
    top_frames,
)
from jukectl.codes.recipe import Recipe
from jukectl.codes.song import FORMATS, Song, audio_paths
from jukectl.errors import BadInput, NotASong, RecipeDiffers
from jukectl.files import atomic_write, make_folder, opened
from jukectl.folders import Series, is_writable
from jukectl.plan.device import choose
from jukectl.plan.job import Given, Job, Start, begin, begun, source_model
from jukectl.plan.models import check_codecs
from jukectl.plan.notes import notes_data
from jukectl.plan.prompt import prompt_of
from jukectl.plan.request import Request
from jukectl.progress import Listener, ignore
from jukectl.render.decode import Mastering, write_audio
from jukectl.render.level import digest_of


@dataclass(frozen=True)
class Taken:
    """A song that was extracted from another one."""

    song: Path
    new: bool  # False if all of it existed already


def pick(path: Path, sample: int, out: Path | None = None, *, overwrite: bool = False) -> Taken:
    """Extract one sample of a song to a separate song, in `out` or beside the original, without sampling anything.

    It continues as that sample would have, since its recipe keeps the sample's random stream. A level with unfinished
    spans is begun again, to the same codes. BadInput without such a sample, RecipeDiffers if `out` holds another song.
    """
    song = Song.open(path)
    recipe, found = song.recipe(), codes_of_song(song)
    count = next(iter(found.values())).samples if found else recipe.samples if recipe else 0
    if not 0 <= sample < count:
        raise BadInput(f"{path} has the samples 0 to {count - 1}; got --sample {sample}")
    codes = {level: _finished(song, one) for level, one in sample_of(song, found, sample).items()}
    target = Song.create(folder_beside(song, out, f"sample-{sample}"))
    with target.lock():
        if recipe is None:
            start = _codes_alone(target, codes, overwrite=overwrite)
        else:
            asked, given = _picked(song, recipe, sample, found, codes)
            _, start = begin(target, asked, given, _existing(target, overwrite), overwrite=overwrite)
        start.write(target)
        there = codes_of_song(target)
        # a level that was continued since has other audio; one whose copying was interrupted gets the rest
        copied = [
            _copy_audio(song, target, level, sample)
            for level, one in codes.items()
            if level in there and there[level].digest() == one.digest()
        ]
    return Taken(target.path, (start.new and recipe is not None) or bool(start.codes) or any(copied))


def cut(
    path: Path,
    at: float,
    out: Path | None = None,
    *,
    sample: int | None = None,
    request: Request | None = None,
    listener: Listener = ignore,
) -> Taken:
    """Extract the first `at` seconds of a song, in whole top codes, to a separate song, in `out` or beside it.

    All its samples, or one of them. Levels that were decoded are decoded again. BadInput if the song is shorter.
    """
    song, request = Song.open(path), request or Request()
    found = codes_of_song(song)
    what = f"cut-{at:g}" if sample is None else f"sample-{sample}-cut-{at:g}"
    draft, given = beginning_of(song, found, at, request, sample=sample)
    target = Song.create(folder_beside(song, out, what))
    with target.lock():
        job = begun(replace(draft, song=target, listener=listener), given)
        job.start.write(target)
        decoded = decode_like(song, found, job)
    return Taken(target.path, job.start.new or bool(job.start.codes) or decoded)


def decode_like(song: Song, found: Codeset, job: Job) -> bool:
    """Decode the levels of an extracted song that its source, with the codes `found`, has audio of.

    Return True if a file was missing.
    """
    decoded = [
        level
        for level, codes in found.items()
        if any(path.exists() for path in audio_paths(song, level, range(codes.samples), None).values())
    ]
    written = [write_audio(job, level, Mastering.of(job.request, job.recipe, level))[1] for level in decoded]
    return any(written)


def beginning_of(
    song: Song, found: Codeset, at: float | None, request: Request, *, sample: int | None
) -> tuple[Job, Given]:
    """Return the draft of a song that is the beginning of another one, with nothing new, and what it begins with.

    It has as many levels as the other song. BadInput if that is shorter.
    """
    codes = cut_codes(found if sample is None else sample_of(song, found, sample), top_frames(song, found, at))
    model, recipe = source_model(song, found, request)
    check_codecs(song, codes, model, request)
    prompt = prompt_of(song, recipe.prompt)
    prompt = prompt.cut(codes) if prompt else None
    levels = (Level.TOP, *recipe.levels)
    streams = streams_of(recipe, recipe.samples)
    asked = replace(
        recipe,
        kind="branch",
        samples=codes[Level.TOP].samples,
        streams=stored_streams(streams if sample is None else streams[sample : sample + 1]),
        seconds=0.0,
        levels=levels,
        prompt=prompt.entry if prompt else None,
        prefix=prefix_ref(song.path, sample, codes, begins_of(recipe), at),
        schedule=tuple(change for change in recipe.schedule if change.at < codes[Level.TOP].seconds),
        sampling={**{level: request.sampling(level, model.card.sampling) for level in levels}, **recipe.sampling},
        made={},
    )
    given = Given(prompt=prompt, notes=notes_data(song, asked), prefix=codes, codes=codes)
    machine = choose(request.device, request.precision, request.threads)
    return Job(song=song, recipe=asked, model=model, machine=machine, codes={}, request=request), given


def folder_beside(song: Song, out: Path | None, what: str) -> Path:
    """Return the folder of a song that is extracted: the named one, or one beside the song and named after it."""
    out = out or series_beside(song, what).folder(1)
    if out.exists() and out.samefile(song.path):
        raise BadInput(f"--out {out} is the song itself, which stays as it is. Give another folder")
    return out


def series_beside(song: Song, what: str) -> Series:
    """Return the folders of what is made of a song: beside it, or in the working folder if that cannot be written to.

    Extracting a sample again completes the first of them. A branch takes the first that holds no other song.
    """
    first = beside(song.path, what)
    return Series(first.parent if is_writable(first.parent) else Path(), first.name)


def stored_streams(streams: Sequence[int]) -> tuple[int, ...]:
    """Return random streams as a recipe stores them: none for the default 0, 1, 2 ..."""
    return () if list(streams) == list(range(len(streams))) else tuple(streams)


def streams_of(recipe: Recipe, count: int) -> tuple[int, ...]:
    """Return the random stream of each sample of a song."""
    return recipe.streams or tuple(range(count))


def _existing(target: Song, overwrite: bool) -> Codeset:
    return {} if overwrite else codes_of_song(target)


def _codes_alone(target: Song, codes: Codeset, *, overwrite: bool) -> Start:
    """Return the start of a song of codes without a recipe. RecipeDiffers if the folder has one."""
    if not overwrite and target.recipe() is not None:
        raise RecipeDiffers(f"{target.path} holds another song. Give another --out, or --overwrite")
    existing = _existing(target, overwrite)
    return Start(clear=overwrite, codes={level: one for level, one in _begun(codes).items() if level not in existing})


def _finished(song: Song, codes: Codes) -> Codes:
    """Return the codes to extract of a level: of one with unfinished spans only the given ones."""
    return codes.cut(codes.prompt) if song.spans_path(codes.level).exists() else codes


def _picked(song: Song, recipe: Recipe, sample: int, found: Codeset, codes: Codeset) -> tuple[Recipe, Given]:
    """Return the recipe of one sample, whose levels were made from its own upper codes, and what it begins with."""
    streams = streams_of(recipe, max(recipe.samples, sample + 1))
    made = {}
    for level, one in recipe.made.items():
        upper = found.get(level.above) if level is not Level.TOP else None
        own = upper is not None and one.upper == digest_of(upper, one.upper_frames)
        made[level] = replace(
            one,
            samples=min(one.samples, 1),
            upper=digest_of(codes[level.above], one.upper_frames) if own else one.upper,
        )
    prefix = {level: one.sample(min(sample, one.samples - 1)) for level, one in load_prefix(song, recipe).items()}
    entry = recipe.prefix
    if entry is not None:
        entry = replace(
            entry,
            sample=sample if entry.sample is None else entry.sample,
            sha256={level: one.digest() for level, one in prefix.items()},
        )
    picked = replace(recipe, samples=1, streams=stored_streams(streams[sample : sample + 1]), prefix=entry, made=made)
    prompt = prompt_of(song, picked.prompt)
    return picked, Given(prompt=prompt, notes=notes_data(song, picked), prefix=prefix, codes=_begun(codes))


def _begun(codes: Codeset) -> Codeset:
    return {level: one for level, one in codes.items() if one.done}


def _copy_audio(song: Song, target: Song, level: Level, sample: int) -> bool:
    """Copy the decoded audio of a sample's level where it is missing; return True if any was."""
    copied = False
    for name in FORMATS:
        (source,) = audio_paths(song, level, [sample], f".{name}").values()
        (place,) = audio_paths(target, level, [0], f".{name}").values()
        if source.exists() and not place.exists():
            make_folder(place.parent)
            with opened(source, NotASong, "audio") as original, atomic_write(place) as file:
                shutil.copyfileobj(original, file)
            copied = True
    return copied
