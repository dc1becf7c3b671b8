"""Audio to codes: for a song folder, and for a prompt."""

import hashlib
from pathlib import Path

import numpy as np

from jukectl.audio import io, mix
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.codes.recipe import Prompt
from jukectl.errors import BadAudio
from jukectl.vqvae.config import VQVAEConfig


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
