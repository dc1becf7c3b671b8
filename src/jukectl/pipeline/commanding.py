"""The command that makes a song, from its recipe."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from jukectl.codes.level import TOP_DOWN
from jukectl.codes.recipe import LevelSampling, Recipe
from jukectl.pipeline.request import FALLBACK

OPTIONS = {
    "temperature": "--temperature",
    "top_k": "--top-k",
    "top_p": "--top-p",
    "advance": "--advance",
    "parallel": "--parallel",
    "guidance": "--guidance",
}
"""The option of each setting of a level."""


def command_of(recipe: Recipe, out: str) -> str:
    """What to type for the song of a recipe, in a folder `out`, ready for a shell.

    Files that the user gave are called as they were, without their folders; lyrics and schedules, of which the recipe
    keeps the content alone, lyrics.txt (or .lrc) and schedule.toml.
    """
    return shlex.join(["jukectl", *_words(recipe, out)])


def _words(recipe: Recipe, out: str) -> Iterator[str]:
    if recipe.kind == "encode":
        yield "encode"
        yield from (_source(recipe), "--out", out)
        yield from _prompt(recipe)
    elif recipe.trunk is not None:
        yield from ("branch", Path(recipe.trunk.source).name, "--at", f"{recipe.trunk.seconds:g}", "--out", out)
        yield from ("--sample", str(recipe.trunk.sample)) if recipe.trunk.sample is not None else ()
    elif recipe.prompt is not None:
        yield from ("continue", _source(recipe), "--out", out, "--prompt-seconds", f"{recipe.prompt.seconds:g}")
        yield from _prompt(recipe)
    else:
        yield from ("sample", "--out", out)
    if recipe.kind != "encode":
        yield from _asked(recipe)


def _source(recipe: Recipe) -> str:
    return Path(recipe.prompt.source).name if recipe.prompt else "recording.wav"


def _prompt(recipe: Recipe) -> Iterator[str]:
    if recipe.prompt and recipe.prompt.start:
        yield from ("--start", f"{recipe.prompt.start:g}")


def _asked(recipe: Recipe) -> Iterator[str]:
    labels = recipe.labels
    yield from ("--model", recipe.model.name)
    yield from ("--artist", labels.artist) if labels.artist is not None else ()
    for genre in labels.genres:
        yield from ("--genre", genre)
    if labels.lyrics is not None:
        yield from ("--lyrics", "lyrics.lrc" if labels.lyrics_format == "lrc" else "lyrics.txt")
    yield from ("--midi", Path(recipe.midi.source).name) if recipe.midi else ()
    yield from ("--schedule", "schedule.toml") if recipe.schedule else ()
    yield from ("--seconds", f"{recipe.seconds:g}", "--song-seconds", f"{recipe.song_seconds:g}")
    yield from ("--start-at", f"{recipe.start_at:g}") if recipe.start_at else ()
    yield from ("--samples", str(recipe.samples)) if recipe.samples > 1 else ()
    yield from ("--seed", str(recipe.seed))
    if len(recipe.levels) < len(TOP_DOWN):
        yield from ("--levels", ",".join(level.label for level in recipe.levels))
    for name, option in OPTIONS.items():
        if values := _per_level(recipe, name):
            yield from (option, values)


def _per_level(recipe: Recipe, name: str) -> str:
    """A setting of all levels, "" where it is the usual one everywhere: "0.98", or "top=0.99,middle=0.98"."""
    values = {level.label: getattr(one, name) for level, one in recipe.sampling.items()}
    usual = getattr(FALLBACK, name) if name in ("temperature", "advance") else getattr(LevelSampling(), name)
    if name != "temperature" and all(value == usual for value in values.values()):
        return ""
    if len(set(values.values())) == 1:
        return f"{next(iter(values.values())):g}"
    return ",".join(f"{level}={value:g}" for level, value in values.items())
