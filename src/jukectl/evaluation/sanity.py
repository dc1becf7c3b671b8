"""Whether a model's weights are what they should be: a few figures that only trained weights, rightly read, can reach.

The bounds are wide. They tell music from noise and trained from random, not a good model from a better one.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from jukectl.audio.mix import Samples
from jukectl.audio.spectral import spectral_convergence_db
from jukectl.codes.level import Level
from jukectl.evaluation.reconstruction import render
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.vqvae.model import VQVAE

RECONSTRUCTION_DB = {Level.BOTTOM: -9.0, Level.MIDDLE: -5.0, Level.TOP: -3.0}
"""Spectral convergence that a level must reach: the paper's codec has -23, -12.4 and -8.3 (section 5.4)."""

LEARNED = 0.9  # of log2 of the codebook's size, under which bits a code tell of learning
LEARNED_LYRICS = 0.7  # of log2 of the alphabet's size: letters of English are far from even


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One figure of one part, and whether it is as it should be."""

    part: str  # vqvae, top, middle or bottom
    what: str
    value: float
    bound: float
    unit: Literal["dB", "bits", "share"]

    @property
    def good(self) -> bool:
        """A figure that is no number is never good."""
        return self.value <= self.bound


def check_codec(vqvae: VQVAE, audio: Samples, level: Level) -> tuple[Finding, NDArray[np.int64]]:
    """How well a level renders audio (N,), N a multiple of its hop; and its codes (T,)."""
    codes, rendered = render(vqvae, audio, level)
    reached = spectral_convergence_db(audio, rendered)
    bound = RECONSTRUCTION_DB[level]
    return Finding(part="vqvae", what=f"{level.label} reconstruction", value=reached, bound=bound, unit="dB"), codes


@torch.inference_mode()
def check_prior(
    prior: Prior, codes: torch.Tensor, labels: LabelBatch, upper: torch.Tensor | None, *, seed: int = 0
) -> list[Finding]:
    """What codes (1, T) of a recording cost a prior, against chance and against the same codes in disorder.

    Weights read into the wrong places can cost less than chance on some sound, but do not tell order from disorder.
    """
    part, chance = prior.config.level.label, math.log2(prior.config.codebook_size)
    logits = prior(codes, labels, upper)
    broken = 1 - float(torch.isfinite(logits).double().mean())
    bits = float(prior.bits(codes, labels, upper).mean())
    order = torch.from_numpy(np.random.default_rng(seed).permutation(codes.shape[1])).to(codes.device)
    disorder = float(prior.bits(codes[:, order], labels, upper).mean())
    findings = [
        Finding(part=part, what="logits that are no numbers", value=broken, bound=0.0, unit="share"),
        Finding(part=part, what="a code costs", value=bits, bound=LEARNED * chance, unit="bits"),
        Finding(part=part, what="a code costs, less than in disorder", value=bits, bound=disorder, unit="bits"),
    ]
    if prior.config.lyrics is None or labels.lyrics is None:
        return findings
    sung = float(prior.lyric_bits(labels).mean())
    bound = LEARNED_LYRICS * math.log2(prior.config.lyrics.alphabet)
    return [*findings, Finding(part=part, what="a character of lyrics costs", value=sung, bound=bound, unit="bits")]
