"""Tiny priors, which sample a window in milliseconds, with weights large enough for mistakes to show."""

from typing import Any

import torch

from jukectl.codes.level import Level
from jukectl.prior.config import ConditionerConfig, PriorConfig, TimingConfig
from jukectl.prior.model import Prior


def tiny_config(level: Level = Level.TOP, **changes: Any) -> PriorConfig:
    """Return the configuration of a tiny prior, with timing at the top and upper codes below; `changes` are fields."""
    size = changes.get("codebook_size", 24)
    fields: dict[str, Any] = {
        "level": level,
        "context": 16,
        "width": 32,
        "depth": 3,
        "heads": 2,
        "blocks": 4,
        "hop": 8 * 4**level,
        "sample_rate": 1_000,
        "codebook_size": size,
        "init_scale": 5.0,  # of a new prior the logits would be nearly equal
    }
    if level is Level.TOP:
        fields["timing"] = TimingConfig(bins=8, min_seconds=0.1, max_seconds=60)
    else:
        fields["conditioner"] = ConditionerConfig(width=16, depth=2, downs=2, codebook_size=size)
    return PriorConfig(**fields | changes)


def tiny_prior(level: Level = Level.TOP, *, seed: int | None = None, label_scale: float = 1.0, **changes: Any) -> Prior:
    """Return a tiny prior with random weights; `seed` is the level's number by default.

    Embeddings of artists and genres are scaled by `label_scale`: they are input at one position of the window only.
    """
    torch.manual_seed(int(level) if seed is None else seed)
    prior = Prior(tiny_config(level, **changes)).eval().requires_grad_(False)
    for parameter in prior.artist_genre.parameters():
        parameter.mul_(label_scale)
    return prior
