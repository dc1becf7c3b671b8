"""Whether a model works as it should: for weights that were fetched or converted, on any recording."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jukectl.audio.mix import Samples
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.evaluation.reference_sound import chords
from jukectl.evaluation.sanity import Finding, check_codec, check_prior
from jukectl.pipeline.encoding import hear
from jukectl.pipeline.evaluating.inputs import rounded
from jukectl.pipeline.machine import Machine, choose
from jukectl.prior.alignment import lyric_window
from jukectl.prior.config import PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.progress import Progress, Report, silent

SECONDS = 24.0  # of a recording that are listened to: a context of the published top priors
CODES = 2_048  # that each prior is asked about, at most: a 5 B prior takes minutes for as many on a laptop

SENTENCES = (
    "In the evening when the lights are low and the street is quiet, "
    "somebody opens a window and begins to sing.\nNobody knows the words, but everybody knows the song,\n"
    "and by the time the moon is over the roofs the whole street is singing along.\n"
)
"""Plain English, to ask a prior with lyrics about."""


def check_model(
    name: str,
    *,
    audio: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    report: Report = silent,
) -> dict[str, Any]:
    """Check every part of a model, one after another in memory, on a recording, or on some chords where none is given.

    The codec must render it well enough, each prior must find its codes likelier than chance and than the same codes in
    disorder, and no logit may be other than a number. Only trained weights that were read rightly do all that.
    """
    folder, machine = catalogue.find(name), choose(device, precision)
    heard = _listen(folder, audio)
    stages = ["vqvae", *(level.label for level in TOP_DOWN if level in folder.card.priors)]
    findings: list[Finding] = []
    codes = {}
    for number, stage in enumerate(stages):
        report(Progress("checking", number, len(stages), stage))
        if stage == "vqvae":
            vqvae = folder.vqvae(machine.device)
            for level in TOP_DOWN:
                finding, codes[level] = check_codec(vqvae, heard, level)
                findings.append(finding)
        else:
            findings += _check_level(folder, machine, Level.parse(stage), codes)
    report(Progress("checking", len(stages), len(stages)))
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


def _listen(folder: ModelFolder, audio: Path | None) -> Samples:
    """Audio (N,) at the model's rate, N a multiple of the top hop."""
    config = folder.card.vqvae
    if audio is not None:
        return hear(audio, folder, start=0.0, seconds=SECONDS)[0]
    sound = chords(SECONDS, config.sample_rate)
    return sound[: len(sound) // config.hop(Level.TOP) * config.hop(Level.TOP)]


def _check_level(folder: ModelFolder, machine: Machine, level: Level, codes: dict[Level, np.ndarray]) -> list[Finding]:
    """A prior's figures over the first codes of the recording."""
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
    )


def _labels(folder: ModelFolder, level: Level, config: PriorConfig) -> LabelBatch:
    """Of no artist and no genre, at the start of a song, and with some English where the prior hears lyrics."""
    shortest = config.timing.min_seconds if config.timing else 0.0
    total = max(2 * config.window_samples, round(shortest * config.sample_rate))
    span = config.window_samples
    labels = LabelBatch.repeat(1, slots=config.genre_slots, total_length=total, sample_length=span)
    if config.lyrics is None:
        return labels
    ids = folder.card.spell(level, SENTENCES).ids
    sung = lyric_window(ids, config.lyrics.characters, total_length=total, offset=0, sample_length=span).ids
    return replace(labels, lyrics=torch.from_numpy(sung)[None])
