"""What a command would take, told without doing it: nothing is written, no folder made, no lock taken."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Prompt, Recipe
from jukectl.codes.song import Song, audio_paths
from jukectl.errors import BadInput
from jukectl.plan.beats import with_beat
from jukectl.plan.calibration import saving_seconds
from jukectl.plan.device import choose
from jukectl.plan.eta import LevelWork, Speed
from jukectl.plan.forecast import decoding_seconds, encoding_seconds, song_work, work_speed
from jukectl.plan.memory import SongPlan, plan_song
from jukectl.plan.notes import with_notes
from jukectl.plan.prompt import hear
from jukectl.plan.recipes import agreed, dressed, recipe_of, recipe_to_resume, recipe_to_upsample
from jukectl.plan.request import Request
from jukectl.progress import Listener, ignore


@dataclass(frozen=True)
class LevelEstimate:
    """What one level would take, that is not finished."""

    windows: int
    codes: int  # to make, of all samples
    known: int  # to read before, of all samples and windows
    seconds: float  # loading included
    memory_bytes: int
    precision: str
    rows: int  # samples, or where a level is made in spans all their spans
    at_a_time: int  # rows
    chunk: int | None  # known codes that are read at a time; None: all of them
    ms_a_code: float  # made, for all rows that are made at a time
    ms_a_known_code: float  # read

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in vars(self).items()}


@dataclass(frozen=True)
class Estimate:
    """What a song would take here, from what is there of it."""

    song: Path
    model: str
    device: str
    samples: int
    levels: Mapping[Level, LevelEstimate]
    encoding_seconds: float  # of the prompt, where it is not encoded yet
    decoding_seconds: float  # of the audio
    memory_free_bytes: int  # to be had by models

    @property
    def seconds(self) -> float:
        """All of it, from when the command has started."""
        levels = sum(level.seconds for level in self.levels.values())
        return self.encoding_seconds + levels + self.decoding_seconds

    @property
    def memory_bytes(self) -> int:
        """The most that models take at any time."""
        return max((level.memory_bytes for level in self.levels.values()), default=0)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "song": str(self.song),
            "model": self.model,
            "device": self.device,
            "samples": self.samples,
            "seconds": round(self.seconds, 3),
            "memory_bytes": self.memory_bytes,
            "memory_free_bytes": self.memory_free_bytes,
            "levels": {level.label: one.to_dict() for level, one in self.levels.items()},
            "encoding_seconds": round(self.encoding_seconds, 3),
            "decoding_seconds": round(self.decoding_seconds, 3),
        }


def estimate_sample(out: Path, request: Request, *, listener: Listener = ignore) -> Estimate:
    """What `sample` would take. Raises what it would raise before its first code, but for a folder that is at work."""
    folder = dressed(catalogue.find(request.model or catalogue.EMBEDDED), request.adapters)
    return _estimate_new(out, folder, request, None, listener)


def estimate_continue(
    audio: Path,
    out: Path,
    request: Request,
    *,
    start: float = 0.0,
    prompt_seconds: float | None = None,
    listener: Listener = ignore,
) -> Estimate:
    """What `continue_` would take."""
    folder = dressed(catalogue.find(request.model or catalogue.EMBEDDED), request.adapters)
    heard = hear(audio, folder, start=start, seconds=prompt_seconds)
    return _estimate_new(out, folder, request, heard, listener)


def estimate_upsample(path: Path, request: Request, *, listener: Listener = ignore) -> Estimate:
    """What `upsample` would take."""
    song = Song.open(path)
    folder, recipe = recipe_to_upsample(song, request)
    found = _found(song)
    if request.overwrite:
        found = {level: codes for level, codes in found.items() if level is Level.TOP}
    return _estimate(song, recipe, folder, found, request, listener)


def estimate_resume(path: Path, request: Request | None = None, *, listener: Listener = ignore) -> Estimate:
    """What `resume` would take."""
    song, request = Song.open(path), request or Request()
    folder, recipe = recipe_to_resume(song, request)
    return _estimate(song, recipe, folder, _found(song), request, listener)


def _estimate_new(
    out: Path,
    folder: ModelFolder,
    request: Request,
    heard: tuple[npt.NDArray[np.float32], Prompt] | None,
    listener: Listener,
) -> Estimate:
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} cannot become a song folder, since a file is in its place. Give another name with --out")
    song = Song(out)
    existing = None if request.overwrite else song.recipe()
    prompt = heard[1] if heard else None
    request, notes = with_notes(request, folder)
    request, beat = with_beat(request, folder.card, heard[0] if heard else None, listener)
    recipe = recipe_of(folder, request, prompt, existing.seed if existing else None, notes, beat)
    if request.overwrite:
        return _estimate(song, recipe, folder, {}, request, listener)
    return _estimate(song, agreed(song, recipe, existing), folder, _found(song), request, listener)


def _found(song: Song) -> dict[Level, Codes]:
    return {level: codes for level in TOP_DOWN if (codes := song.codes(level)) is not None}


def _estimate(
    song: Song, recipe: Recipe, folder: ModelFolder, found: Mapping[Level, Codes], request: Request, listener: Listener
) -> Estimate:
    saving = saving_seconds(song.path)
    plan, levels = to_be_made(recipe, folder, found, request, saving, listener)
    prompt = recipe.prompt.samples / folder.card.vqvae.sample_rate if recipe.prompt else 0.0
    lacking = [level for level in recipe.levels if level not in found]
    samples = found[Level.TOP].samples if Level.TOP in found else recipe.samples
    decoding = 0.0
    if levels or _undecoded(song, recipe):
        decoding = decoding_seconds(recipe, folder, plan, found, saving)
    return Estimate(
        song=song.path,
        model=folder.card.name,
        device=str(plan.machine.device),
        samples=samples,
        levels=levels,
        encoding_seconds=encoding_seconds(folder, plan.machine, lacking, prompt),
        decoding_seconds=decoding,
        memory_free_bytes=plan.memory,
    )


def to_be_made(
    recipe: Recipe,
    folder: ModelFolder,
    found: Mapping[Level, Codes],
    request: Request,
    saving: float,
    listener: Listener,
) -> tuple[SongPlan, dict[Level, LevelEstimate]]:
    """The plan for what a song lacks beside the codes `found`, and what each level of that would take.

    `saving` are the seconds that it takes to save a window.
    """
    plan = plan_song(found, recipe, folder, choose(request.device, request.precision), request, listener)
    work = song_work(recipe, folder, plan, found, saving, request.until)
    speeds = {one.level: work_speed(one, recipe.sampling[one.level], folder, plan) for one in work}
    return plan, {one.level: _level(one, speeds[one.level], plan) for one in work}


def _level(work: LevelWork, speed: Speed, plan: SongPlan) -> LevelEstimate:
    memory = plan.levels[work.level]
    return LevelEstimate(
        windows=len(work.rounds),
        codes=work.new,
        known=work.known,
        seconds=speed.load + work.seconds(speed),
        memory_bytes=memory.bytes,
        precision=memory.precision,
        rows=work.rows,
        at_a_time=work.at_a_time,
        chunk=memory.batch.chunk,
        ms_a_code=1000 * speed.new,
        ms_a_known_code=1000 * speed.known,
    )


def _undecoded(song: Song, recipe: Recipe) -> bool:
    """Whether audio that a recipe asks for is not there."""
    if recipe.kind == "encode" and not recipe.sampling:
        return False
    return not all(path.exists() for path in audio_paths(song, recipe.levels[-1], range(recipe.samples)).values())
