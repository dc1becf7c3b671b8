"""Prefix codes of a branch: codes of another song, kept in its folder so that it no longer needs that song."""

from collections.abc import Mapping
from dataclasses import replace
from math import floor
from pathlib import Path

import numpy as np

from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Recipe, Trunk
from jukectl.codes.song import Song
from jukectl.errors import BadInput, NotASong, RecipeDiffers

Codeset = Mapping[Level, Codes]
"""The codes of the levels that a song has, top first."""


def beside(path: Path, what: str) -> Path:
    """Return a path beside a folder or file, named after it."""
    whole = path if path.name not in ("", "..") else path.resolve()
    return whole.with_name(f"{whole.stem if whole.is_file() else whole.name}-{what}")


def codes_of_song(song: Song) -> dict[Level, Codes]:
    """All codes that a song has."""
    return {level: codes for level in TOP_DOWN if (codes := song.codes(level)) is not None}


def top_frames(song: Song, codes: Codeset, at: float | None) -> int:
    """Return the number of top codes before `at` seconds, default all. Raise BadInput if the song is shorter.

    NotASong where it has no top codes.
    """
    top = codes.get(Level.TOP)
    if top is None or top.done == 0:
        raise NotASong(f"{song.path} has no top codes to go on from. Make them with: jukectl resume {song.path}")
    if at is None:
        return top.done
    shortest = top.hop / top.sample_rate
    if not at >= shortest - 1e-6:  # which no number is that is none
        raise BadInput(f"--at is from {shortest:.3f} s on, which is one top code; got {at:g}")
    frames = floor(min(at / shortest, top.done + 1) + 1e-6)  # 0.3 s may be a little less than its codes
    if frames > top.done:
        raise BadInput(f"{song.path} has {top.seconds:g} s at the top level; got --at {at:g}")
    return frames


def sample_of(song: Song, codes: Codeset, sample: int) -> dict[Level, Codes]:
    """One sample's codes. BadInput where the song has no such sample."""
    for one in codes.values():
        if not 0 <= sample < one.samples:
            raise BadInput(f"{song.path} has the samples 0 to {one.samples - 1}; got --sample {sample}")
    return {level: one.sample(sample) for level, one in codes.items()}


def cut_codes(codes: Codeset, frames: int) -> dict[Level, Codes]:
    """Return the first `frames` top codes and the codes below them, all counted as prompt."""
    hop = codes[Level.TOP].hop
    kept = {level: one.cut(min(one.done, frames * (hop // one.hop))) for level, one in codes.items()}
    return {level: replace(one, prompt=one.done) for level, one in kept.items() if one.done}


def begins_of(recipe: Recipe | None) -> int:
    """Top codes that lie before a song in the one that it is a passage of."""
    return recipe.trunk.begins if recipe is not None and recipe.trunk is not None else 0


def trunk_of(source: Path, sample: int | None, codes: Codeset, begins: int = 0) -> Trunk:
    """How a recipe names codes that were taken from a song, with `begins` top codes of it before them."""
    return Trunk(
        source=str(source.absolute()),
        sample=sample,
        seconds=codes[Level.TOP].seconds,
        begins=begins,
        frames={level: one.done for level, one in codes.items()},
        sha256={level: one.digest() for level, one in codes.items()},
    )


def keep_trunk(song: Song, codes: Codeset) -> None:
    """Write a branch's trunk into its folder. Raises CannotWrite."""
    for level, one in codes.items():
        one.save(song.trunk_path(level))


def trunk_codes(song: Song, recipe: Recipe) -> dict[Level, Codes]:
    """Load the prefix codes of a branch, one sample or all. Raise an error if missing or not the recipe's."""
    found: dict[Level, Codes] = {}
    for level, digest in recipe.trunk.sha256.items() if recipe.trunk is not None else ():
        path = song.trunk_path(level)
        if not path.exists():
            source = recipe.trunk.source if recipe.trunk else ""
            raise NotASong(f"{song.path} has lost {path.name}, which it begins with; it was taken from {source}")
        found[level] = Codes.load(path)
        if found[level].digest() != digest or found[level].samples not in (1, recipe.samples):
            raise RecipeDiffers(f"{path} is not what the recipe of {song.path} begins with. Put the right one back")
    return found


def lay_trunk(song: Song, recipe: Recipe) -> None:
    """Begin the levels of a branch that are not there with its trunk, the same for all samples where it has but one."""
    if recipe.trunk is None or all(song.codes_path(level).exists() for level in recipe.trunk.frames):
        return
    for level, codes in laid(trunk_codes(song, recipe), recipe).items():
        if not song.codes_path(level).exists():
            song.save(codes)


def laid(trunk: Codeset, recipe: Recipe) -> dict[Level, Codes]:
    """Return the codes that the levels of a branch begin with: its prefix codes, for each sample."""
    rows = {level: recipe.samples // codes.samples for level, codes in trunk.items()}
    return {level: replace(one, array=np.repeat(one.array, rows[level], axis=0)) for level, one in trunk.items()}
