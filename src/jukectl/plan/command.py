"""Commands that make a song or a tree again, from its recipe."""

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from jukectl.codes.level import TOP_DOWN
from jukectl.codes.recipe import Labels, LevelSampling, Recipe
from jukectl.codes.schedule import CHANGE
from jukectl.codes.tree import Place, TreeRecipe, name_of
from jukectl.lyrics.value import Lyrics
from jukectl.midi.beats import DEFAULT_METER
from jukectl.plan.request import FALLBACK

SCHEDULE = "schedule.toml"

OPTIONS = {
    "temperature": "--temperature",
    "top_k": "--top-k",
    "expected": "--expected",
    "top_p": "--top-p",
    "advance": "--advance",
    "parallel": "--parallel",
    "guidance": "--guidance",
}
"""Options of a level's settings."""


def command_of(recipe: Recipe, out: str, *, sample_rate: int | None = None) -> str:
    """Return the command for the song of a recipe, in a folder `out`, quoted for a shell.

    With the model's `sample_rate`, in Hz, --song-seconds is left out if it is just the length that is made.

    Files keep their names, without their folders; lyrics and schedules, of which the recipe has only the content, are
    named lyrics.txt (or .lrc) and schedule.toml.
    """
    return shlex.join(["jukectl", *_words(recipe, out, sample_rate)])


def tree_command(recipe: TreeRecipe, root: Recipe, out: str) -> str:
    """Return the command for the tree of a recipe with a root, in a folder `out`; see `command_of`."""
    return shlex.join(["jukectl", *_tree_words(recipe, root, out)])


def node_commands(tree: str, place: Place) -> dict[str, str]:
    """Return the commands that go on from a node of the tree in folder `tree`: "pick", which extracts it, "branch".

    The root is a song itself, which needs no pick.
    """
    if not place:
        return {"branch": shlex.join(["jukectl", "branch", f"{tree}/root"])}
    song = f"{tree}-{name_of(place)}"
    pick = shlex.join(["jukectl", "pick", tree, "--leaf", name_of(place), "--out", song])
    return {"pick": pick, "branch": shlex.join(["jukectl", "branch", song])}


def files_of(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of files that a command names and whose content the recipe has."""
    if recipe.labels.lyrics is not None:
        yield _lyrics_file(recipe.labels.lyrics), recipe.labels.lyrics.source
    if recipe.schedule:
        import tomlkit

        yield SCHEDULE, tomlkit.dumps({CHANGE: [change.table() for change in recipe.schedule]})


def _lyrics_file(lyrics: Lyrics) -> str:
    return "lyrics.lrc" if lyrics.format == "lrc" else "lyrics.txt"


def _words(recipe: Recipe, out: str, sample_rate: int | None) -> Iterator[str]:
    if recipe.kind == "encode":
        yield "encode"
        yield from (_source(recipe), "--out", out)
        yield from _prompt(recipe)
        return
    if recipe.kind == "upsample":
        yield from ("upsample", out, *_labels(recipe, recipe.labels), *_settings(recipe))
        return
    if recipe.prefix is not None:
        yield from ("branch", Path(recipe.prefix.source).name, "--at", _number(recipe.prefix.seconds), "--out", out)
        yield from ("--sample", str(recipe.prefix.sample)) if recipe.prefix.sample is not None else ()
    elif recipe.prompt is not None:
        yield from ("continue", _source(recipe), "--out", out, "--prompt-seconds", _number(recipe.prompt.seconds))
        yield from _prompt(recipe)
    else:
        yield from ("sample", "--out", out)
    yield from _labels(recipe, recipe.labels)
    yield from ("--midi", Path(recipe.midi.source).name) if recipe.midi else ()
    yield from _beat(recipe)
    yield from ("--schedule", SCHEDULE) if recipe.schedule else ()
    yield from ("--seconds", _number(recipe.seconds))
    yield from (
        ("--song-seconds", _number(recipe.song_seconds)) if recipe.song_seconds != _made(recipe, sample_rate) else ()
    )
    yield from ("--start-at", _number(recipe.start_at)) if recipe.start_at else ()
    samples = recipe.before_choice().samples
    yield from ("--samples", str(samples)) if samples > 1 else ()
    yield from ("--keep", str(recipe.keep.best)) if recipe.keep else ()
    yield from _settings(recipe)


def _beat(recipe: Recipe) -> Iterator[str]:
    """Options of the beat. One that was tracked in a prompt, or that another song has, needs none."""
    beat = recipe.beat
    if recipe.beat_off:
        yield "--no-beat"
    if beat is None:
        return
    known = (recipe.prompt is not None or recipe.prefix is not None) and beat.start == 0
    if not known:
        yield from ("--tempo", _number(beat.tempo))
    if beat.meter != DEFAULT_METER or (known and beat.bars and recipe.prefix is None):
        yield from ("--meter", beat.meter)


def _tree_words(recipe: TreeRecipe, root: Recipe, out: str) -> Iterator[str]:
    """Yield the words of a tree's command; notes, schedule, place and inherited lyrics come from its song."""
    step, own = recipe.step, recipe.step.labels
    if root.prefix is not None:
        yield from ("tree", Path(root.prefix.source).name, "--out", out, "--at", _number(root.prefix.seconds))
        yield from ("--sample", str(root.prefix.sample)) if root.prefix.sample else ()
        own = replace(own, lyrics=None) if own.lyrics == root.labels.lyrics else own
    else:
        yield from ("tree", _source(root), "--out", out)
        yield from ("--prompt-seconds", _number(root.prompt.seconds)) if root.prompt else ()
        yield from _prompt(root)
    yield from ("--every", _number(step.seconds), "--branch", str(recipe.branches))
    yield from ("--leaf", name_of(recipe.leaf)) if recipe.leaf else ("--depth", str(recipe.depth))
    yield from _labels(step, own)
    made = step.prefix.seconds + recipe.depth * step.seconds if step.prefix else None
    yield from ("--song-seconds", _number(step.song_seconds)) if step.song_seconds != made else ()
    yield from _settings(step)


def _made(recipe: Recipe, sample_rate: int | None) -> float | None:
    """Return the default of --song-seconds; None if that is not known."""
    if recipe.prefix is not None or (recipe.prompt is not None and sample_rate is None):
        return None  # for a branch it follows from the song that it continues
    prompt = recipe.prompt.samples / sample_rate if recipe.prompt and sample_rate else 0.0
    return recipe.start_at + (prompt + recipe.seconds)


def _source(recipe: Recipe) -> str:
    return Path(recipe.prompt.source).name if recipe.prompt else "recording.wav"


def _prompt(recipe: Recipe) -> Iterator[str]:
    if recipe.prompt and recipe.prompt.start:
        yield from ("--start", _number(recipe.prompt.start))


def _labels(recipe: Recipe, labels: Labels) -> Iterator[str]:
    yield from ("--model", recipe.model.name)
    for adapter in dict.fromkeys((Path(one.path).name, one.strength) for one in recipe.adapters):
        yield from ("--adapter", f"{adapter[0]}:{_number(adapter[1])}")
    yield from ("--artist", labels.artist) if labels.artist is not None else ()
    for genre in labels.genres:
        yield from ("--genre", genre)
    if labels.lyrics is not None:
        yield from ("--lyrics", _lyrics_file(labels.lyrics))


def _settings(recipe: Recipe) -> Iterator[str]:
    yield from ("--seed", str(recipe.seed))
    if len(recipe.levels) < len(TOP_DOWN) and recipe.kind != "upsample":
        yield from ("--levels", ",".join(level.label for level in recipe.levels))
    for name, option in OPTIONS.items():
        if values := _per_level(recipe, name):
            yield from (option, values)


def _per_level(recipe: Recipe, name: str) -> str:
    """Return a setting of all levels: "0.98", or "top=0.99,middle=0.98"; "" for the default everywhere."""
    values = {level.label: getattr(one, name) for level, one in recipe.sampling.items()}
    usual = getattr(FALLBACK, name) if name in ("temperature", "advance") else getattr(LevelSampling(), name)
    if name != "temperature" and all(value == usual for value in values.values()):
        return ""
    if len(set(values.values())) == 1:
        return _number(next(iter(values.values())))
    return ",".join(f"{level}={_number(value)}" for level, value in values.items())


def _number(value: float) -> str:
    """Return a number in as few digits as represent it exactly."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
