"""Prefix codes: codes of another song that a song begins with, kept in its folder, so that the other may go away."""

from collections.abc import Mapping
from dataclasses import replace
from math import floor
from pathlib import Path

import numpy as np

from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import PrefixRef, Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadInput, NotASong, RecipeDiffers

Codeset = Mapping[Level, Codes]
"""Codes of one or more levels of a song, top first."""


def beside(path: Path, what: str) -> Path:
    """Return a path next to a folder or a file, named after it."""
    whole = path if path.name not in ("", "..") else path.resolve()
    return whole.with_name(f"{whole.stem if whole.is_file() else whole.name}-{what}")


def codes_of_song(song: Song) -> dict[Level, Codes]:
    """Load the codes of every level that a song has. NotCodes."""
    return {level: codes for level in TOP_DOWN if (codes := song.codes(level)) is not None}


def top_frames(song: Song, codes: Codeset, at: float | None) -> int:
    """Return the number of whole top codes before `at` seconds, or of all. BadInput if the song is shorter.

    NotASong if it has no top codes.
    """
    top = codes.get(Level.TOP)
    if top is None or top.done == 0:
        raise NotASong(f"{song.path} has no top codes to continue from. Make them with: jukectl resume {song.path}")
    if at is None:
        return top.done
    shortest = top.hop / top.sample_rate
    if not at >= shortest - 1e-6:  # also rejects NaN
        raise BadInput(f"--at is from {shortest:.3f} s on, which is one top code; got {at:g}")
    frames = floor(min(at / shortest, top.done + 1) + 1e-6)  # 0.3 s may be a little less than its codes
    if frames > top.done:
        raise BadInput(f"{song.path} has {top.seconds:g} s at the top level; got --at {at:g}")
    return frames


def sample_of(song: Song, codes: Codeset, sample: int) -> dict[Level, Codes]:
    """Return one sample's codes. BadInput if the song has no such sample."""
    for one in codes.values():
        if not 0 <= sample < one.samples:
            raise BadInput(f"{song.path} has the samples 0 to {one.samples - 1}; got --sample {sample}")
    return {level: one.sample(sample) for level, one in codes.items()}


def cut_codes(codes: Codeset, frames: int) -> dict[Level, Codes]:
    """Return the first `frames` top codes and the codes below them, all marked as given."""
    hop = codes[Level.TOP].hop
    kept = {level: one.cut(min(one.done, frames * (hop // one.hop))) for level, one in codes.items()}
    return {level: replace(one, prompt=one.done) for level, one in kept.items() if one.done}


def begins_of(recipe: Recipe | None) -> int:
    """Return the top codes of the longer song that lie before a passage of it; 0 for other songs."""
    return recipe.prefix.begins if recipe is not None and recipe.prefix is not None else 0


def prefix_ref(source: Path, sample: int | None, codes: Codeset, begins: int = 0, at: float | None = None) -> PrefixRef:
    """Return a recipe's entry for codes taken from a song, where `begins` top codes precede them there.

    With `at` its seconds are those that the user gave, of which `codes` are the whole top codes.
    """
    return PrefixRef(
        source=str(source.absolute()),
        sample=sample,
        seconds=codes[Level.TOP].seconds if at is None else float(at),
        begins=begins,
        frames={level: one.done for level, one in codes.items()},
        sha256={level: one.digest() for level, one in codes.items()},
    )


def load_prefix(song: Song, recipe: Recipe) -> dict[Level, Codes]:
    """Load the prefix codes of a song, of one sample or of all. NotASong or RecipeDiffers without the right files."""
    found: dict[Level, Codes] = {}
    for level, digest in recipe.prefix.sha256.items() if recipe.prefix is not None else ():
        path = song.prefix_path(level)
        if not path.exists():
            source = recipe.prefix.source if recipe.prefix else ""
            raise NotASong(f"{song.path} has lost {path.name}, its prefix codes, which were taken from {source}")
        found[level] = Codes.load(path)
        if found[level].digest() != digest or found[level].samples not in (1, recipe.samples):
            raise RecipeDiffers(f"{path} is not the file in the recipe of {song.path}. Put the right one back")
    return found


def for_samples(prefix: Codeset, recipe: Recipe) -> dict[Level, Codes]:
    """Return prefix codes with a row for each sample of a recipe; those of one sample are repeated."""
    rows = {level: recipe.samples // codes.samples for level, codes in prefix.items()}
    return {level: replace(one, array=np.repeat(one.array, rows[level], axis=0)) for level, one in prefix.items()}
