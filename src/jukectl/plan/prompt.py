"""Prompts: recordings at a model's sample rate, and their entries in a recipe."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from jukectl.audio import io, mix
from jukectl.audio.recordings import faults, offset
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.codes.prefix import Codeset
from jukectl.codes.recipe import Prompt
from jukectl.codes.song import Song
from jukectl.errors import BadAudio
from jukectl.progress import Event, Listener, Remark, ignore, warn
from jukectl.vqvae.config import VQVAEConfig


@dataclass(frozen=True)
class Recording:
    """A part of a recording that a song continues."""

    path: Path
    start: float = 0.0  # seconds
    seconds: float | None = None  # None: up to its end


@dataclass(frozen=True, eq=False)
class PromptAudio:
    """A prompt's recipe entry, and its audio if that is at hand."""

    entry: Prompt
    samples: np.ndarray | None  # (n,) float32
    sample_rate: int = 0  # Hz

    def cut(self, codes: Codeset) -> "PromptAudio | None":
        """Return the prompt as far as codes reach; None if only a part of it is left, and its audio is not at hand."""
        top = codes[Level.TOP]
        length = top.done * top.hop
        if self.entry.samples <= length:
            return self
        if self.samples is None:
            return None
        samples = self.samples[:length]
        entry = replace(self.entry, seconds=length / self.sample_rate, samples=length, sha256=digest(samples))
        return PromptAudio(entry, samples, self.sample_rate)

    def save(self, song: Song) -> None:
        """Write prompt.wav, exactly the samples that the model encodes, if they are at hand. Raises CannotWrite."""
        if self.samples is not None:
            io.save(song.prompt_path, self.samples, self.sample_rate, subtype="float")


def load_mono(
    recording: Recording, sample_rate: int, *, keep_offset: bool = False, listener: Listener = ignore
) -> tuple[np.ndarray, float]:
    """Return a recording as mono samples (n,) at `sample_rate` Hz, and the seconds read.

    A material constant offset (DC), which would make a thump where the recording ends, is removed unless `keep_offset`.
    Other faults, and what is missing of the file, are warnings.
    """
    span = io.load(recording.path, start=recording.start, seconds=recording.seconds)
    mono = mix.to_mono(span.samples)
    if not keep_offset and (constant := offset(mono, span.sample_rate)):
        mono = mono - np.float32(constant)
        listener(Remark("prompt", f"a constant offset of {constant:.3f} was removed from {recording.path}"))
    for remark in span.remarks:
        warn(listener, remark)
    for fault in faults(span.samples, mono):
        warn(listener, f"{recording.path} {fault}")
    return mix.resample(mono, span.sample_rate, sample_rate), span.seconds


def load_samples(
    recording: Recording, folder: ModelFolder, *, keep_offset: bool = False, listener: Listener = ignore
) -> tuple[np.ndarray, float]:
    """Return a recording as the model encodes it: mono (n,), at its rate, in whole top codes; and the seconds read."""
    config = folder.card.vqvae
    found: list[Event] = []
    mono, seconds = load_mono(recording, config.sample_rate, keep_offset=keep_offset, listener=found.append)
    hop = config.hop(Level.TOP)
    length = len(mono) // hop * hop
    if length == 0:
        raise too_short(recording.path, seconds, config)
    for event in found:  # about a recording that is of use
        listener(event)
    return np.ascontiguousarray(mono[:length], dtype=np.float32), seconds


def load_prompt(recording: Recording, folder: ModelFolder, *, listener: Listener = ignore) -> PromptAudio:
    """Load a recording as a prompt. The entry's start and seconds give the same samples again."""
    samples, seconds = load_samples(recording, folder, listener=listener)
    entry = Prompt(
        source=str(recording.path.absolute()),
        start=recording.start,
        seconds=seconds,
        sha256=digest(samples),
        samples=len(samples),
    )
    return PromptAudio(entry, samples, folder.card.vqvae.sample_rate)


def prompt_of(song: Song, entry: Prompt | None) -> PromptAudio | None:
    """Return a song's prompt, with its audio if the file is there and is the one that the recipe names."""
    if entry is None:
        return None
    if song.prompt_path.exists():
        audio = io.load(song.prompt_path)
        if digest(audio.samples[0]) == entry.sha256:
            return PromptAudio(entry, audio.samples[0], audio.sample_rate)
    return PromptAudio(entry, None)


def too_short(audio: Path, seconds: float, config: VQVAEConfig) -> BadAudio:
    """Return the error for a recording that is shorter than one top code."""
    shortest = config.hop(Level.TOP) / config.sample_rate
    return BadAudio(f"{audio} is too short: {seconds:.3f} s, and one top code spans {shortest:.3f} s")


def digest(samples: np.ndarray) -> str:
    """Return the SHA-256 of float32 samples, in hex."""
    return hashlib.sha256(np.ascontiguousarray(samples, dtype="<f4").tobytes()).hexdigest()
