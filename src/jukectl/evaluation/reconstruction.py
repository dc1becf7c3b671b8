"""How well one level of a codec renders a recording, and how it uses its codebook (SPEC 7, after the Jukebox paper)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np
import torch
from numpy.typing import NDArray

from jukectl.audio.mix import Samples
from jukectl.audio.spectral import spectral_convergence_db
from jukectl.codes.entropy import entropy_bits
from jukectl.codes.level import Level
from jukectl.evaluation.measures import multi_resolution_stft, si_sdr_db
from jukectl.evaluation.visqol import Rate
from jukectl.vqvae import chunks
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.model import VQVAE


@dataclass(frozen=True, eq=False, kw_only=True)
class ReconstructionScore:
    """One level's reconstruction of one recording, or of several taken together."""

    spectral_convergence_db: float  # lower is better
    multi_resolution_stft: float  # lower is better
    si_sdr_db: float  # higher is better
    visqol_mos: float | None  # 1 to about 4.7, higher is better; None where it was not asked for
    counts: NDArray[np.int64]  # (codebook_size,) how often each code came

    @property
    def entropy_bits(self) -> float:
        """Entropy of the codes; an evenly used codebook has log2(codebook_size)."""
        return entropy_bits(self.counts)

    @property
    def used_codes(self) -> int:
        """How many of the codebook's codes came at all."""
        return int(np.count_nonzero(self.counts))


def score(vqvae: VQVAE, audio: Samples, level: Level, *, rate: Rate | None = None) -> ReconstructionScore:
    """Encode and decode audio (N,), N a multiple of the level's hop, and compare; `rate` gives ViSQOL's opinion."""
    codes, predicted = render(vqvae, audio, level)
    return ReconstructionScore(
        spectral_convergence_db=spectral_convergence_db(audio, predicted),
        multi_resolution_stft=multi_resolution_stft(audio, predicted),
        si_sdr_db=si_sdr_db(audio, predicted),
        visqol_mos=rate(audio, predicted, vqvae.config.sample_rate) if rate else None,
        counts=np.bincount(codes, minlength=vqvae.config.codebook_size),
    )


def render(vqvae: VQVAE, audio: Samples, level: Level) -> tuple[NDArray[np.int64], Samples]:
    """The codes (T,) of audio (N,), N a multiple of the level's hop, and their audio (N,). Long audio in chunks."""
    codes = chunks.encode(vqvae, torch.from_numpy(audio)[None], level)  # (1, T)
    predicted = torch.cat([piece[0] for piece in chunks.decode(vqvae, codes, level)])  # (N,)
    return codes[0].numpy(), predicted.numpy()


def together(scores: Sequence[ReconstructionScore]) -> ReconstructionScore:
    """Several recordings as one: the mean of their figures, the silent ones' left out, and the codes of all."""
    rated = any(one.visqol_mos is not None for one in scores)
    return ReconstructionScore(
        spectral_convergence_db=_mean([one.spectral_convergence_db for one in scores]),
        multi_resolution_stft=_mean([one.multi_resolution_stft for one in scores]),
        si_sdr_db=_mean([one.si_sdr_db for one in scores]),
        visqol_mos=_mean([one.visqol_mos for one in scores if one.visqol_mos is not None]) if rated else None,
        counts=np.sum([one.counts for one in scores], axis=0),
    )


def kbit_per_second(config: VQVAEConfig, level: Level) -> float:
    """What a level's codes take at log2(codebook_size) bits each."""
    return config.codes_per_second(level) * float(np.log2(config.codebook_size)) / 1_000


def _mean(values: Sequence[float]) -> float:
    """The mean of those that are finite; nan where none is."""
    finite = [value for value in values if isfinite(value)]
    return sum(finite) / len(finite) if finite else nan
