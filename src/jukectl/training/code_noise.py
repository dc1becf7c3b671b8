"""Codes of other segments among those that a prior predicts from.

A prior learns from the codes of recordings, and is sampled from its own, whose mistakes add up. One that was trained on
such noise relies on the level above more than on the codes before, and does not drift away from it.

A quantizer of S stages has a code of each for every latent; stage s has the ids from s K / S on, K the codebook's size.
All codes of a latent are replaced together, and what follows a replaced stage within its latent is not learned from:
the stages of a latent belong to each other in sampling too.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class CodeNoise:
    """Share of a segment's codes that are replaced, different in each segment."""

    least: float = 0.0
    most: float = 0.0  # 0 is off
    stages: int = 1  # of the quantizer of the level

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most <= 1:
            raise ValueError(f"code_noise needs 0 <= least <= most <= 1, got {self.least} and {self.most}")
        if self.stages < 1:
            raise ValueError(f"code_noise.stages must be 1 or more, got {self.stages}")

    def chosen(self, segments: int, length: int, step: int) -> Tensor:
        """Choose the latents of a step's segments to replace: (segments, length + 1) bool, by number in the segment."""
        generator = torch.Generator().manual_seed(step)
        shares = self.least + (self.most - self.least) * torch.rand(segments, 1, generator=generator)
        return torch.rand(segments, length + 1, generator=generator) < shares

    def replace(self, codes: Tensor, others: Tensor, chosen: Tensor, codebook_size: int) -> Tensor:
        """Return codes (B, T) with those of the chosen latents from `others` (B, T), as codes of the same stages."""
        size = codebook_size // self.stages
        same_stage = codes // size * size + others % size
        return torch.where(chosen.gather(1, self._latents(codes, codebook_size)), same_stage, codes)

    def learned(self, codes: Tensor, inputs: Tensor, codebook_size: int) -> Tensor:
        """Return which of the codes (B, T) to learn from: those with no replaced code before them in their latent."""
        wrong = (inputs != codes).long()
        before = wrong.cumsum(1) - wrong  # replaced codes before each of the segment
        # the count at the first code of its latent, carried on to the others: counts never fall
        return before == torch.where(self._first(codes, codebook_size), before, 0).cummax(1).values

    def _latents(self, codes: Tensor, codebook_size: int) -> Tensor:
        """Return the number of the latent of each code (B, T), in the segment; 0 for one that began before it."""
        return self._first(codes, codebook_size).cumsum(1)

    def _first(self, codes: Tensor, codebook_size: int) -> Tensor:
        """Return which of the codes (B, T) are the first of a latent."""
        return codes < codebook_size // self.stages
