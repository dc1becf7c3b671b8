"""Songs: begun from nothing, from a recording or from codes, filled level by level, resumed where they stopped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Prompt, Recipe
from jukectl.codes.song import Song
from jukectl.codes.trunk import lay_trunk
from jukectl.plan.beats import with_beat
from jukectl.plan.device import Machine, choose, single_thread
from jukectl.plan.forecast import foresee
from jukectl.plan.memory import plan_song
from jukectl.plan.notes import keep_notes, with_notes
from jukectl.plan.prompt import hear
from jukectl.plan.recipes import (
    agreed,
    check_codecs,
    dressed,
    recipe_of,
    recipe_to_resume,
    recipe_to_upsample,
)
from jukectl.plan.request import Request
from jukectl.plots.style import Theme
from jukectl.progress import Listener, ignore
from jukectl.render.decode import Preview, write_audio
from jukectl.render.encode import _encode_prompt, keep_prompt
from jukectl.render.karaoke import follow_lyrics
from jukectl.render.level import _fill_level, _job
from jukectl.sampling.level import LevelJob


@dataclass(frozen=True)
class Rendered:
    """A song whose recipe is fulfilled."""

    song: Path
    audio: tuple[Path, ...]  # final audio, or previews where the bottom level was not asked for
    new: bool  # False where everything was there already
    plots: tuple[Path, ...] = ()  # pictures and karaoke files, where they were asked for


def sample(out: Path, request: Request, *, listener: Listener = ignore) -> Rendered:
    """A new song from nothing, in the folder `out`; resumed where it was begun before."""
    folder = dressed(catalogue.find(request.model or catalogue.EMBEDDED), request.adapters)
    return _render(out, folder, request, None, listener)


def continue_(
    audio: Path,
    out: Path,
    request: Request,
    *,
    start: float = 0.0,
    prompt_seconds: float | None = None,
    listener: Listener = ignore,
) -> Rendered:
    """A recording and what a model makes of it: `prompt_seconds` of `audio`, from `start` on, begin the song."""
    folder = dressed(catalogue.find(request.model or catalogue.EMBEDDED), request.adapters)
    heard = hear(audio, folder, start=start, seconds=prompt_seconds)
    return _render(out, folder, request, heard, listener)


def _render(
    out: Path,
    folder: ModelFolder,
    request: Request,
    heard: tuple[np.ndarray, Prompt] | None,
    listener: Listener,
) -> Rendered:
    machine = choose(request.device, request.precision)
    prompt = heard[1] if heard else None
    request, notes = with_notes(request, folder)
    request, beat = with_beat(request, folder.card, heard[0] if heard else None, listener)
    # what is wrong with the request is found before anything is touched
    recipe = recipe_of(folder, request, prompt, notes=notes, beat=beat)
    song = Song.create(out)
    with song.lock():
        if request.overwrite:
            song.clear()
        existing = song.recipe()
        if existing is not None:
            recipe = recipe_of(folder, request, prompt, existing.seed, notes, beat)
        recipe = agreed(song, recipe, existing)
        check_codecs(song, TOP_DOWN, folder, request)
        if existing is None and heard is not None:
            keep_prompt(song, heard[0], folder)
        if existing is None:
            keep_notes(song, notes)
        if recipe != existing:
            song.write_recipe(recipe)
        return _fulfil(song, recipe, folder, machine, request, listener)


def resume(path: Path, request: Request | None = None, *, listener: Listener = ignore) -> Rendered:
    """Finish whatever a song's recipe says is unfinished."""
    request = request or Request()
    machine = choose(request.device, request.precision)
    song = Song.open(path)
    with song.lock():
        folder, recipe = recipe_to_resume(song, request)
        if recipe.kind == "encode" and not recipe.sampling:  # it asks for codes alone
            return Rendered(path, (), _encode_prompt(song, recipe, folder, machine, listener))
        return _fulfil(song, recipe, folder, machine, request, listener)


def make_codes(
    path: Path,
    request: Request,
    hearing: Callable[..., Preview] = Preview,
    *,
    listener: Listener = ignore,
) -> Recipe:
    """As `resume`, but no audio is made of the codes; the recipe with a record of what they were made on.

    Where the request wants to hear a level while it is made, `hearing` makes its files.
    """
    machine = choose(request.device, request.precision)
    song = Song.open(path)
    with song.lock():
        folder, recipe = recipe_to_resume(song, request)
        _fill(song, recipe, folder, machine, request, listener, hearing)
        return song.recipe() or recipe


def upsample(path: Path, request: Request, *, listener: Listener = ignore) -> Rendered:
    """Fill in the levels of a song that are missing or unfinished, then decode.

    A folder with codes alone gets a recipe of its own. With `request.overwrite` the levels below the top are made anew.
    """
    machine = choose(request.device, request.precision)
    song = Song.open(path)
    with song.lock():
        folder, recipe = recipe_to_upsample(song, request)
        if request.overwrite:
            for level in reversed(TOP_DOWN[1:]):
                song.forget_spans(level)
                song.codes_path(level).unlink(missing_ok=True)
        if recipe != song.recipe():
            song.write_recipe(recipe)
        return _fulfil(song, recipe, folder, machine, request, listener)


def _fulfil(
    song: Song, recipe: Recipe, folder: ModelFolder, machine: Machine, request: Request, listener: Listener
) -> Rendered:
    """Do what a recipe asks and the folder lacks."""
    machine, new = _fill(song, recipe, folder, machine, request, listener)
    for level in request.preview:
        write_audio(song, folder, machine, level, listener=listener)
    audio, decoded = write_audio(
        song, folder, machine, recipe.levels[-1], loudness=request.loudness, fade=request.fade, listener=listener
    )
    plots: tuple[Path, ...] = ()
    if request.plots:
        plots = karaoke_of(song, recipe, folder, machine, listener=listener)
    return Rendered(song.path, tuple(audio), new or decoded, plots)


def karaoke_of(
    song: Song,
    recipe: Recipe,
    folder: ModelFolder,
    machine: Machine,
    *,
    samples: Sequence[int] | None = None,
    theme: Theme | None = None,
    listener: Listener,
) -> tuple[Path, ...]:
    """What tells when the words of a song are sung, see `follow_lyrics`; its top prior is loaded where that is due."""

    def job(total: int) -> LevelJob:
        return _job(song, recipe, folder, machine, Level.TOP, total, None, ignore)

    with single_thread(machine):
        return follow_lyrics(song, recipe, folder.card, job, samples=samples, theme=theme, listener=listener)


def _fill(
    song: Song,
    recipe: Recipe,
    folder: ModelFolder,
    machine: Machine,
    request: Request,
    listener: Listener,
    hearing: Callable[..., Preview] = Preview,
) -> tuple[Machine, bool]:
    """The codes that a recipe asks for and the folder lacks: whether there were any, and the machine as planned."""
    lay_trunk(song, recipe)
    found = {level: codes for level in TOP_DOWN if (codes := song.codes(level)) is not None}
    plan = plan_song(found, recipe, folder, machine, request, listener)
    machine = plan.machine
    new = _encode_prompt(song, recipe, folder, machine, listener)
    pace = foresee(song, recipe, folder, plan, listener, request.until)
    for level in recipe.levels:
        if level in recipe.sampling:
            recipe, filled = _fill_level(song, recipe, folder, plan, pace, level, request, listener, hearing)
            new = new or filled
    return machine, new
