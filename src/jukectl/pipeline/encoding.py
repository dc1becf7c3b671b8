"""Audio to codes: for a song folder, and for a prompt."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from jukectl import __version__
from jukectl.audio import io, mix
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Prompt, Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadAudio
from jukectl.pipeline.machine import Machine, choose, single_thread
from jukectl.pipeline.recipes import agreed, reference
from jukectl.progress import Progress, Report, silent
from jukectl.vqvae import chunks
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.model import VQVAE


@dataclass(frozen=True)
class Encoded:
    """A recording in codes."""

    song: Path
    codes: tuple[Path, ...]  # the archives of the levels asked for, top first
    new: bool  # False where everything was there already


def encode(
    audio: Path,
    out: Path,
    *,
    levels: Sequence[Level] = TOP_DOWN,
    start: float = 0.0,
    seconds: float | None = None,
    model: str = catalogue.EMBEDDED,
    device: str = "auto",
    overwrite: bool = False,
    report: Report = silent,
) -> Encoded:
    """Encode a recording into a song folder. Codes that are there already are kept."""
    folder, machine = catalogue.find(model), choose(device)
    samples, prompt = hear(audio, folder, start=start, seconds=seconds)
    asked = Recipe(
        kind="encode",
        version=__version__,
        model=reference(folder),
        seed=0,
        samples=1,
        seconds=0.0,
        song_seconds=prompt.samples / folder.card.vqvae.sample_rate,
        levels=tuple(levels),
        prompt=prompt,
    )
    song = Song.create(out)
    with song.lock():
        if overwrite:
            song.clear()
        existing = song.recipe()
        recipe = agreed(song, asked, existing)
        if existing is None:
            keep_prompt(song, samples, folder)
        if recipe != existing:
            song.write_recipe(recipe)
        new = encode_prompt(song, folder, machine, asked.levels, samples, count=1, report=report)
    return Encoded(out, tuple(song.codes_path(level) for level in asked.levels), new)


def hear(audio: Path, folder: ModelFolder, *, start: float, seconds: float | None) -> tuple[np.ndarray, Prompt]:
    """A recording as the model hears it: mono (n,), at its rate, cut to whole top codes; and its recipe entry.

    The entry's start and seconds give the same samples again.
    """
    config = folder.card.vqvae
    span = io.load(audio, start=start, seconds=seconds)
    mono = mix.resample(mix.to_mono(span.samples), span.sample_rate, config.sample_rate)
    hop = config.hop(Level.TOP)
    length = len(mono) // hop * hop
    if length == 0:
        raise too_short(audio, span.seconds, config)
    heard = np.ascontiguousarray(mono[:length], dtype=np.float32)
    source = str(audio.absolute())
    return heard, Prompt(source=source, start=start, seconds=span.seconds, sha256=digest(heard), samples=length)


def too_short(audio: Path, seconds: float, config: VQVAEConfig) -> BadAudio:
    """For a recording that is shorter than one top code."""
    shortest = config.hop(Level.TOP) / config.sample_rate
    return BadAudio(f"{audio} is too short: {seconds:.3f} s, and one top code spans {shortest:.3f} s")


def digest(samples: np.ndarray) -> str:
    """SHA-256 of float32 samples, hex."""
    return hashlib.sha256(np.ascontiguousarray(samples, dtype="<f4").tobytes()).hexdigest()


def keep_prompt(song: Song, samples: np.ndarray, folder: ModelFolder) -> None:
    """Write prompt.wav: exactly what the model hears."""
    io.save(song.prompt_path, samples, folder.card.vqvae.sample_rate, subtype="float")


def encode_prompt(
    song: Song,
    folder: ModelFolder,
    machine: Machine,
    levels: Sequence[Level],
    samples: np.ndarray,
    *,
    count: int,
    report: Report,
) -> bool:
    """Write the prompt's codes, `count` times, at the levels that have none yet; True where there were any."""
    missing = [level for level in levels if song.codes(level) is None]
    if not missing:
        return False
    vqvae = folder.vqvae(machine.device, tuple(missing))
    fingerprint = folder.fingerprint(VQVAE_PART)
    for level in missing:
        array = codes_of(vqvae, samples, level, machine, report)
        song.save(
            new_codes(folder, level, np.repeat(array, count, axis=0), prompt=array.shape[1], fingerprint=fingerprint)
        )
    return True


def new_codes(folder: ModelFolder, level: Level, array: np.ndarray, *, prompt: int, fingerprint: str) -> Codes:
    """Codes (samples, frames) of a model's codec."""
    config = folder.card.vqvae
    return Codes(
        level=level,
        array=array.astype(np.uint16),
        prompt=prompt,
        hop=config.hop(level),
        sample_rate=config.sample_rate,
        codebook_size=config.codebook_size,
        vqvae=fingerprint,
    )


def codes_of(vqvae: VQVAE, samples: np.ndarray, level: Level, machine: Machine, report: Report) -> np.ndarray:
    """The codes (1, frames) of audio (n,) at one level."""
    total = len(samples) // vqvae.config.hop(level)
    audio = torch.from_numpy(samples)[None].to(machine.device)
    stage = f"encoding {level.label}"
    with single_thread(machine):
        codes = chunks.encode(
            vqvae,
            audio,
            level,
            chunk_seconds=machine.chunk_seconds,
            watch=lambda frames: report(Progress(stage, frames, total)),
        )
    return codes.numpy()
