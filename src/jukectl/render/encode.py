"""Audio to codes: of a recording into a song folder, and of a song's prompt."""

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
from jukectl.plan.job import Given, Job, begun
from jukectl.plan.models import model_ref
from jukectl.plan.prompt import PromptAudio, Recording, digest, load_prompt, load_samples
from jukectl.plan.request import Request
from jukectl.progress import Listener, Progress, ignore
from jukectl.vqvae import chunks
from jukectl.vqvae.model import VQVAE

SAME_PROMPT = 0.5
"""Least share of codes that two encodings of the same prompt have in common."""


@dataclass(frozen=True)
class Encoded:
    """A recording in codes."""

    song: Path
    codes: tuple[Path, ...]  # the archives of the requested levels, top first
    new: bool  # False if everything existed already


def encode(
    audio: Path,
    out: Path,
    request: Request | None = None,
    *,
    levels: Sequence[Level] = TOP_DOWN,
    start: float = 0.0,
    seconds: float | None = None,
    listener: Listener = ignore,
) -> Encoded:
    """Encode a recording into a song folder. Codes that exist already are kept.

    Of the request, model, device and overwrite count.
    """
    request = request or Request()
    model, machine = catalogue.find(request.model or catalogue.EMBEDDED), choose(request.device)
    prompt = load_prompt(Recording(audio, start, seconds), model, listener=listener)
    assert prompt.samples is not None
    asked = Recipe(
        kind="encode",
        version=__version__,
        model=model_ref(model),
        seed=0,
        samples=1,
        seconds=0.0,
        song_seconds=prompt.entry.samples / prompt.sample_rate,
        levels=tuple(levels),
        prompt=prompt.entry,
    )
    song = Song.create(out)
    draft = Job(song=song, recipe=asked, model=model, machine=machine, codes={}, request=request, listener=listener)
    with song.lock():
        job = begun(draft, Given(prompt=prompt))
        job.start.write(song)
        missing = [level for level in asked.levels if level not in job.codes]
        if missing:
            _encode_levels(job, missing, prompt.samples, count=1)
    return Encoded(out, tuple(song.codes_path(level) for level in asked.levels), bool(missing))


def encode_prompt(job: Job) -> Job:
    """Encode the prompt at the levels that begin with it and have no codes; return the job with those."""
    missing, top = job.to_encode, job.codes.get(Level.TOP)
    if not missing:
        return job
    samples = _prompt_samples(job)
    own = job.recipe.kind != "encode" and job.recipe.prefix is None
    if own and top is not None and not _begins_with(top, samples, job):
        return job  # the top level is of another song, so the levels below it do not begin with this prompt
    return _encode_levels(job, missing, samples, count=job.samples)


def _encode_levels(job: Job, levels: Sequence[Level], samples: np.ndarray, *, count: int) -> Job:
    """Encode and save audio (n,) at some levels, the same codes for `count` samples."""
    vqvae = job.model.vqvae(job.machine.device, tuple(levels))
    fingerprint = job.model.fingerprint(VQVAE_PART)
    for level in levels:
        array = codes_of(vqvae, samples, level, job.machine, job.listener)
        codes = new_codes(
            job.model, level, np.repeat(array, count, axis=0), prompt=array.shape[1], fingerprint=fingerprint
        )
        job.song.save(codes)
        job = job.with_codes(codes)
    return job


def new_codes(folder: ModelFolder, level: Level, array: np.ndarray, *, prompt: int, fingerprint: str) -> Codes:
    """Return codes (samples, frames) of a model's codec."""
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
    """Encode audio (n,) at one level; return its codes (1, frames)."""
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


def _from_source(entry: Prompt, model: ModelFolder) -> np.ndarray:
    """Load a prompt (n,) from its source; with its constant offset if earlier versions made it so."""
    recording = Recording(Path(entry.source), entry.start, entry.seconds)
    samples, _ = load_samples(recording, model)
    if digest(samples) != entry.sha256:
        kept, _ = load_samples(recording, model, keep_offset=True)
        samples = kept if digest(kept) == entry.sha256 else samples
    return samples


def _begins_with(top: Codes, samples: np.ndarray, job: Job) -> bool:
    """Return True if a top level begins with a prompt; encoded on another machine, a few codes may differ."""
    vqvae = job.model.vqvae(job.machine.device, (Level.TOP,))
    encoded = codes_of(vqvae, samples, Level.TOP, job.machine, ignore)
    return top.prompt == encoded.shape[1] and float(np.mean(top.array[:, : top.prompt] == encoded)) > SAME_PROMPT


def _prompt_samples(job: Job) -> np.ndarray:
    """Load the prompt (n,) from prompt.wav, or from its source if that is gone; its hash must be the recipe's."""
    song, entry = job.song, job.recipe.prompt
    assert entry is not None
    kept = song.prompt_path.exists()
    if kept:
        samples: np.ndarray = io.load(song.prompt_path).samples[0]
    else:
        try:
            samples = _from_source(entry, job.model)
        except BadAudio as error:
            raise BadAudio(
                f"{song.path} has no {song.prompt_path.name}, and its source cannot take its place: {error}"
            ) from error
    if digest(samples) != entry.sha256:
        where = song.prompt_path if kept else Path(entry.source)
        raise RecipeDiffers(
            f"{where} is not the prompt that the recipe of {song.path} names: it was changed. Put the right one back"
            + (f", or remove it to take {entry.source} again" if kept else "")
        )
    if not kept:
        PromptAudio(entry, samples, job.model.card.vqvae.sample_rate).save(song)
    return samples
