"""Models whose parts are loaded once for many songs."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import torch

from jukectl.checkpoints.adapters import AdaptedModel
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.prior.model import Prior
from jukectl.vqvae.model import VQVAE

LARGE = 2**28
"""Parameters of a prior that is dropped before another one is loaded."""


@dataclass(frozen=True, eq=False)
class SharedModel(AdaptedModel):
    """A model that keeps what it has loaded; of large priors the last one."""

    _priors: dict[Any, Prior] = field(default_factory=dict)
    _codecs: dict[Any, VQVAE] = field(default_factory=dict)

    @classmethod
    def of(cls, model: ModelFolder) -> "SharedModel":
        """Return a model, with its adapters, that keeps what it loads."""
        return cls(model.path, model.adapters if isinstance(model, AdaptedModel) else ())

    def kept(self, key: Hashable, load: Callable[[], Prior]) -> Prior:
        """Return the prior that was kept under a key; load it if there is none."""
        if key not in self._priors:
            if any(sum(one.numel() for one in prior.parameters()) > LARGE for prior in self._priors.values()):
                self._priors.clear()
            self._priors[key] = load()
        return self._priors[key]

    def prior(self, level: Level, device: torch.device, dtype: torch.dtype = torch.float32) -> Prior:
        """Return one level's prior."""
        load = super().prior
        return self.kept((level, device, dtype), lambda: load(level, device, dtype))

    def vqvae(self, device: torch.device, levels: tuple[Level, ...] = tuple(Level)) -> VQVAE:
        """Return levels of the codec."""
        key = device, tuple(sorted(levels))
        if key not in self._codecs:
            self._codecs[key] = super().vqvae(device, levels)
        return self._codecs[key]
