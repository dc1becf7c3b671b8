"""Audio to codes: for a song folder, and for a prompt."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from jukectl import __version__
from jukectl.audio import io
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Prompt, Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadAudio, RecipeDiffers
from jukectl.plan.device import Machine, choose, single_thread
from jukectl.plan.prompt import digest, hear
from jukectl.plan.recipes import agreed, reference
from jukectl.progress import Listener, Progress, ignore
from jukectl.vqvae import chunks
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
    listener: Listener = ignore,
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
        new = encode_prompt(song, folder, machine, asked.levels, samples, count=1, listener=listener)
    return Encoded(out, tuple(song.codes_path(level) for level in asked.levels), new)


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
    listener: Listener,
) -> bool:
    """Write the prompt's codes, `count` times, at the levels that have none yet; True where there were any."""
    missing = [level for level in levels if song.codes(level) is None]
    if not missing:
        return False
    vqvae = folder.vqvae(machine.device, tuple(missing))
    fingerprint = folder.fingerprint(VQVAE_PART)
    for level in missing:
        array = codes_of(vqvae, samples, level, machine, listener)
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


def codes_of(vqvae: VQVAE, samples: np.ndarray, level: Level, machine: Machine, listener: Listener) -> np.ndarray:
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
            watch=lambda frames: listener(Progress(stage, frames, total)),
        )
    return codes.numpy()


SAME_PROMPT = 0.5  # share of its codes that two encodings of one prompt have in common, at the least


def _encode_prompt(song: Song, recipe: Recipe, folder: ModelFolder, machine: Machine, listener: Listener) -> bool:
    """Encode the prompt at the levels that begin with it and have no codes; True where there were any."""
    prompt = recipe.prompt
    encoded = recipe.levels if recipe.kind != "encode" else [one for one in recipe.levels if one not in recipe.sampling]
    missing = [level for level in encoded if song.codes(level) is None]
    if prompt is None or not missing:
        return False
    samples, top = _prompt_samples(song, prompt, folder), song.codes(Level.TOP)
    own = recipe.kind != "encode" and recipe.trunk is None
    if own and top is not None and not _begins_with(top, samples, folder, machine):
        return False  # the top level is another song's: what belongs below it has not this prompt
    count = recipe.samples if top is None else top.samples
    return encode_prompt(song, folder, machine, missing, samples, count=count, listener=listener)


def _begins_with(top: Codes, samples: np.ndarray, folder: ModelFolder, machine: Machine) -> bool:
    """Whether a top level begins with a prompt, as this machine or another encoded it: a few codes may then differ."""
    heard = codes_of(folder.vqvae(machine.device, (Level.TOP,)), samples, Level.TOP, machine, ignore)
    return top.prompt == heard.shape[1] and float(np.mean(top.array[:, : top.prompt] == heard)) > SAME_PROMPT


def _prompt_samples(song: Song, prompt: Prompt, folder: ModelFolder) -> np.ndarray:
    """The prompt from prompt.wav, or where that is gone from its source; its hash must be the recipe's."""
    kept = song.prompt_path.exists()
    if kept:
        samples: np.ndarray = io.load(song.prompt_path).samples[0]
    else:
        try:
            samples, _ = hear(Path(prompt.source), folder, start=prompt.start, seconds=prompt.seconds)
        except BadAudio as error:
            raise BadAudio(
                f"{song.path} has no {song.prompt_path.name}, and its source cannot take its place: {error}"
            ) from error
    if digest(samples) != prompt.sha256:
        where = song.prompt_path if kept else Path(prompt.source)
        raise RecipeDiffers(
            f"{where} is not the prompt that the recipe of {song.path} names: it was changed. Put the right one back"
            + (f", or remove it to take {prompt.source} again" if kept else "")
        )
    if not kept:
        keep_prompt(song, samples, folder)
    return samples
