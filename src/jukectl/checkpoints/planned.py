"""Published models that are not on this machine, as their shapes describe them: for estimates, before any download."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from jukectl.checkpoints.card import ModelCard
from jukectl.checkpoints.configurations import ADVANCE, CODEC, published_priors
from jukectl.checkpoints.published import LICENCE, PUBLISHED, PublishedModel
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.errors import BadModel
from jukectl.prior.config import LyricsConfig, PriorConfig
from jukectl.prior.model import Prior
from jukectl.vqvae.model import VQVAE

LAYERS = 6  # of a prior that is timed in place of the whole; attention patterns repeat every three


@dataclass(frozen=True)
class PlannedModel(ModelFolder):
    """A published model without its weights. What needs them raises BadModel, which says how to get them."""

    @classmethod
    def called(cls, name: str) -> "PlannedModel":
        """Return the published model of a name."""
        return cls(Path(PUBLISHED[name].name))

    @property
    def published(self) -> PublishedModel:
        """Facts about the model."""
        return PUBLISHED[self.path.name]

    @cached_property
    def card(self) -> ModelCard:
        """Description of the model, without names of artists and genres."""
        advance = {level.label: {"advance": share} for level, share in ADVANCE.items()}
        name = self.published.name
        return ModelCard(name=name, licence=LICENCE, vqvae=CODEC, priors=published_priors(name), sampling=advance)

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts that the model has."""
        return tuple(self.published.parameters)

    def has(self, name: str) -> bool:
        """Return True if the model has a part."""
        return name in self.published.parameters

    def fingerprint(self, name: str) -> str:
        """Return no fingerprint: it is unknown."""
        return ""

    def parameters(self) -> int:
        """Return the number of parameters in all parts."""
        return sum(self.published.parameters.values())

    def vqvae(self, device: torch.device, levels: tuple[Level, ...] = tuple(Level)) -> VQVAE:
        """Return a codec of random weights, to be timed."""
        return VQVAE(CODEC, levels).to(device).requires_grad_(False).eval()

    def prior(self, level: Level, device: torch.device, dtype: torch.dtype = torch.float32) -> Prior:
        """Raise BadModel."""
        raise BadModel(f"{self.published.name} is not here. {self.published.how_to_get}")

    def prior_to_time(self, level: Level, device: torch.device, dtype: torch.dtype) -> tuple[Prior, float]:
        """Return a prior of LAYERS layers with random weights, and the number of times that it fits the whole one."""
        config = self.card.priors[level]
        with torch.device("meta"):
            prior = Prior(_shallow(config))
        weights: Mapping[str, torch.Tensor] = {
            name: torch.empty(one.shape, dtype=dtype, device=device).normal_(std=0.02)
            for name, one in prior.state_dict().items()
        }
        prior.load_state_dict(weights, strict=True, assign=True)
        return prior.requires_grad_(False).eval(), config.depth / LAYERS


def _shallow(config: PriorConfig) -> PriorConfig:
    """Return a prior with LAYERS of the layers, and as many of the lyrics' encoder in proportion."""
    lyrics: LyricsConfig | None = config.lyrics
    if lyrics is not None:
        lyrics = replace(lyrics, alignment_layer=None)
        if lyrics.encoder is not None:
            depth = max(1, round(lyrics.encoder.depth * LAYERS / config.depth))
            lyrics = replace(lyrics, encoder=replace(lyrics.encoder, depth=depth))
    return replace(config, depth=LAYERS, lyrics=lyrics)
