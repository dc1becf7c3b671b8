"""Check that a model works, such as weights that were fetched or converted, on any recording."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from jukectl.audio.mix import Samples
from jukectl.audio.spectral import spectral_convergence_db
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.evaluation.inputs import rounded
from jukectl.evaluation.reconstruction import render
from jukectl.lyrics.value import Lyrics
from jukectl.lyrics.window import lyric_window
from jukectl.plan.device import Machine, choose
from jukectl.plan.prompt import Recording, load_samples
from jukectl.prior.config import PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.progress import Listener, Progress, ignore, warn
from jukectl.vqvae.model import VQVAE

SECONDS = 24.0  # of the recording: a context of the published top priors
CODES = 2_048  # per prior at most: with 5 B parameters they take minutes on a laptop

RECONSTRUCTION_DB = {Level.BOTTOM: -9.0, Level.MIDDLE: -5.0, Level.TOP: -3.0}
"""Spectral convergence that a level must reach: the paper's codec has -23, -12.4 and -8.3 (section 5.4)."""

LOG_MEL_DB = (
    -1.5
)  # that a level of log-mel spectra must reach, whose audio has other phases; untrained it has 0 or more

LEARNED = 0.9  # share of log2 of the codebook's size below which the bits per code show learning
LEARNED_LYRICS = 0.7  # share of log2 of the alphabet's size: the letters of English are far from even

SENTENCES = (
    "In the evening when the lights are low and the street is quiet, "
    "somebody opens a window and begins to sing.\nNobody knows the words, but everybody knows the song,\n"
    "and by the time the moon is over the roofs the whole street is singing along.\n"
)
"""Plain English to condition a prior with lyrics on."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One figure of one part, and its bound."""

    part: str  # vqvae, top, middle or bottom
    what: str
    value: float
    bound: float
    unit: Literal["dB", "bits", "share"]

    @property
    def good(self) -> bool:
        """The figure is within the bound; nan never is."""
        return self.value <= self.bound


def check_model(
    name: str,
    *,
    audio: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Check every part of a model, one at a time in memory, on a recording, or on some chords for None.

    The codec must reconstruct it well enough, each prior must find its codes likelier than a uniform distribution and
    than the same codes in disorder, and all logits must be finite. Only trained weights that were read correctly pass.
    """
    folder, machine = catalogue.find(name), choose(device, precision)
    folder.need("vqvae")
    samples = _load_audio(folder, audio)
    if shortage := folder.shortage:
        warn(listener, shortage)
    stages = ["vqvae", *(level.label for level in TOP_DOWN if level in folder.card.priors)]
    findings: list[Finding] = []
    codes = {}
    for number, stage in enumerate(stages):
        listener(Progress("checking", number, len(stages), stage))
        folder.fingerprint(stage)  # reads all weights, each of which must be finite
        if stage == "vqvae":
            vqvae = folder.vqvae(machine.device)
            for level in TOP_DOWN:
                finding, codes[level] = check_codec(vqvae, samples, level)
                findings.append(finding)
        else:
            findings += _check_level(folder, machine, Level.parse(stage), codes)
    listener(Progress("checking", len(stages), len(stages)))
    return {
        "model": folder.card.name,
        "recording": str(audio) if audio else None,
        "device": str(machine.device),
        "precision": machine.precision,
        "good": all(finding.good for finding in findings),
        "findings": [
            {
                "part": finding.part,
                "what": finding.what,
                "value": rounded(finding.value),
                "bound": rounded(finding.bound),
                "unit": finding.unit,
                "good": finding.good,
            }
            for finding in findings
        ],
    }


def check_codec(vqvae: VQVAE, audio: Samples, level: Level) -> tuple[Finding, NDArray[np.int64]]:
    """Check the reconstruction of audio (N,) by a level, N a multiple of its hop. Returns its codes (T,) too."""
    codes, rendered = render(vqvae, audio, level)
    reached = spectral_convergence_db(audio, rendered)
    bound = LOG_MEL_DB if vqvae.config.is_log_mel(level) else RECONSTRUCTION_DB[level]
    return Finding(part="vqvae", what=f"{level.label} reconstruction", value=reached, bound=bound, unit="dB"), codes


@torch.inference_mode()
def check_prior(
    prior: Prior, codes: torch.Tensor, labels: LabelBatch, upper: torch.Tensor | None, *, stages: int = 1, seed: int = 0
) -> list[Finding]:
    """Check the bits of codes (1, T) of a recording against a uniform distribution and the same codes in disorder.

    Codes come in groups of the codec's `stages`, each with its share of the codebook; groups stay whole. Weights read
    into the wrong places may beat the uniform distribution by chance, but do not prefer order to disorder.
    """
    part, uniform = prior.config.level.label, math.log2(prior.config.codebook_size / stages)
    logits = prior(codes, labels, upper)
    broken = 1 - float(torch.isfinite(logits).double().mean())
    bits = float(prior.bits(codes, labels, upper).mean())
    groups = codes.reshape(len(codes), -1, stages)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(groups.shape[1])).to(codes.device)
    disorder = float(prior.bits(groups[:, order].flatten(1), labels, upper).mean())
    findings = [
        Finding(part=part, what="logits that are no numbers", value=broken, bound=0.0, unit="share"),
        Finding(part=part, what="bits per code", value=bits, bound=LEARNED * uniform, unit="bits"),
        Finding(part=part, what="bits per code, less than in disorder", value=bits, bound=disorder, unit="bits"),
    ]
    if prior.config.lyrics is None or labels.lyrics is None:
        return findings
    sung = float(prior.lyric_bits(labels).mean())
    bound = LEARNED_LYRICS * math.log2(prior.config.lyrics.alphabet)
    return [*findings, Finding(part=part, what="bits per character of lyrics", value=sung, bound=bound, unit="bits")]


def _check_level(
    folder: ModelFolder, machine: Machine, level: Level, codes: Mapping[Level, np.ndarray]
) -> list[Finding]:
    """Check the prior of a level on the first codes of the recording."""
    prior = folder.prior(level, machine.device, machine.dtype)
    config = prior.config
    ratio = config.ratio
    count = min(len(codes[level]), config.context, CODES) // ratio * ratio
    upper = None
    if config.conditioner:
        upper = torch.from_numpy(codes[level.above][None, : count // ratio]).to(machine.device)
    return check_prior(
        prior,
        torch.from_numpy(codes[level][None, :count]).to(machine.device),
        _labels(folder, level, config).to(machine.device),
        upper,
        stages=folder.card.vqvae.stages(level),
    )


def _labels(folder: ModelFolder, level: Level, config: PriorConfig) -> LabelBatch:
    """Return labels without artist and genre, at the start of a song, with some English for a prior with lyrics."""
    shortest = config.timing.min_seconds if config.timing else 0.0
    total = max(2 * config.window_samples, round(shortest * config.sample_rate))
    span = config.window_samples
    labels = LabelBatch.repeat(1, slots=config.genre_slots, total_length=total, sample_length=span)
    if config.lyrics is None:
        return labels
    ids = folder.card.spell(level, Lyrics(SENTENCES)).ids
    sung = lyric_window(ids, config.lyrics.characters, total_length=total, offset=0, sample_length=span).ids
    return replace(labels, lyrics=torch.from_numpy(sung)[None])


def _load_audio(folder: ModelFolder, audio: Path | None) -> Samples:
    """Load audio (N,) at the model's rate, N a multiple of the top hop."""
    config = folder.card.vqvae
    if audio is not None:
        return load_samples(Recording(audio, seconds=SECONDS), folder)[0]
    sound = chords(SECONDS, config.sample_rate)
    return sound[: len(sound) // config.hop(Level.TOP) * config.hop(Level.TOP)]


BEAT = 0.5  # seconds
CHORDS = ((57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62))  # MIDI notes: A minor, F, C, G
HARMONICS = 8


def chords(seconds: float, sample_rate: int) -> Samples:
    """Return mono audio (N,), float32 in -1..1: a chord over its bass on every beat, each decaying over two."""
    count = round(seconds * sample_rate)
    sound = np.zeros(count + 2 * round(BEAT * sample_rate))
    time = np.arange(round(2 * BEAT * sample_rate)) / sample_rate
    for beat in range(int(seconds / BEAT) + 1):
        start = round(beat * BEAT * sample_rate)
        root, *others = CHORDS[beat // 4 % len(CHORDS)]
        notes = (root - 12, root, *others) if beat % 2 == 0 else (root, others[beat % 4 // 2])
        struck = np.asarray(sum(_pluck(note, time, sample_rate) for note in notes))
        span = sound[start : start + len(time)]
        span += struck[: len(span)]
    samples: Samples = (0.5 * sound / np.abs(sound).max())[:count].astype(np.float32)
    return samples


def _pluck(note: int, time: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return a decaying tone of the harmonics below half the sample rate."""
    frequency = 440 * 2 ** ((note - 69) / 12)
    harmonics = [number for number in range(1, HARMONICS + 1) if number * frequency < sample_rate / 2]
    tones = [
        np.sin(2 * np.pi * number * frequency * time) * np.exp(-3 * number * time) / number for number in harmonics
    ]
    return np.asarray(sum(tones))
