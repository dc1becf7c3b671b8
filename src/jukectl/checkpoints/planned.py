"""Published models that are not on this machine, as their shapes describe them: for estimates, before any download."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from jukectl.checkpoints.card import ModelCard
from jukectl.checkpoints.configurations import ADVANCE, CODEC, published_priors
from jukectl.checkpoints.published import LICENCE, PUBLISHED, PublishedModel
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.errors import BadModel
from jukectl.prior.model import Prior
from jukectl.vqvae.model import VQVAE


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

    @property
    def shortage(self) -> str:
        """Empty: the model is planned with all its parts."""
        return ""

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
