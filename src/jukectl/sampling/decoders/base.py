"""The decoder interface, and the eager decoder, which runs anywhere."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from jukectl.codes.recipe import LevelSampling
from jukectl.errors import BadModel
from jukectl.prior.model import ConditioningTensors, Prior
from jukectl.prior.transformer import KVCache
from jukectl.sampling.draw import NOT_FINITE, draw_by, guided


class Decoder(ABC):
    """Samples windows of codes from one prior, for up to `rows` rows at once; B rows in a window.

    `begin` reads the prefix of a window; each `decode` then continues where the last one stopped.

    Under classifier-free guidance the batch is doubled: conditional rows, then unconditional ones. `begin` takes 2B
    rows; `decode` takes and returns B, and both halves continue with the sampled codes (see `guided`).
    """

    settings: LevelSampling

    def use_settings(self, settings: LevelSampling) -> None:
        """Change the settings, from the next `begin` on."""
        self.settings = settings

    @abstractmethod
    def begin(self, prefix: Tensor, conditioning: ConditioningTensors, chunk: int | None = None) -> None:
        """Read the prefix (B, n) of a window, `chunk` positions at a time or all at once."""

    @abstractmethod
    def decode(self, uniform: Tensor) -> Tensor:
        """Sample the next ids (B, n) with uniform random numbers (B, n), float64; both are on the CPU.

        Ids of the codebook's size and up are characters of the lyrics, see `LyricsConfig.drawable`.
        BadModel where the logits are not finite.
        """


class EagerDecoder(Decoder):
    """Runs operator by operator with a static cache, on any device."""

    def __init__(self, prior: Prior, rows: int, settings: LevelSampling) -> None:
        self.prior = prior
        self.settings = settings
        self.cache = prior.new_cache(rows)
        self.device = prior.device

    @torch.inference_mode()
    def begin(self, prefix: Tensor, conditioning: ConditioningTensors, chunk: int | None = None) -> None:
        """Read the prefix (B, n)."""
        self._conditioning = conditioning
        self._part = KVCache([layer[: len(prefix)] for layer in self.cache.layers])
        self._position = prefix.shape[1]  # of the code that the logits are for
        self._logits = self.prior.prefill(prefix.to(self.device), conditioning, self._part, chunk=chunk)
        # The last code while the logits after it are not computed: they are computed when another code is requested,
        # so that the last code of a window costs no step
        self._sampled: Tensor | None = None

    @torch.inference_mode()
    def decode(self, uniform: Tensor) -> Tensor:
        """Sample the next ids (B, n)."""
        if self.device.type != "mps":  # which has no float64: there the CPU samples
            uniform = uniform.to(self.device)
        sampled: list[Tensor] = []
        for index in range(uniform.shape[1]):
            if self._sampled is not None:
                self._position += 1
                self._logits = self.prior.step(self._sampled, self._position, self._conditioning, self._part)
            logits = guided(self._logits, self.settings.guidance).to(uniform.device)
            code = draw_by(self.settings, logits, uniform[:, index], self.prior.stage_vectors).to(self.device)
            self._sampled = code.clamp(min=0).repeat(self.settings.rows)
            sampled.append(code)
        made = torch.stack(sampled, dim=1).cpu() if sampled else torch.empty(uniform.shape, dtype=torch.int64)
        check_finite(bool((made != NOT_FINITE).all()), self.prior)
        return made


def check_finite(finite: bool, prior: Prior) -> None:
    """Raise BadModel unless the logits of a prior are finite."""
    if not finite:
        raise BadModel(
            f"the logits of the {prior.config.level.label} prior are not finite numbers: its weights are damaged, or "
            f"too large for {str(prior.dtype).removeprefix('torch.')}. Check the model with: jukectl models check MODEL"
        )
