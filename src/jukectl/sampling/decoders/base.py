"""What makes the codes of a window, one after another: one small interface, several ways to do it."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from jukectl.codes.recipe import LevelSampling
from jukectl.prior.model import ConditioningTensors, Prior
from jukectl.prior.transformer import KVCache
from jukectl.sampling.draw import draw, guided


class Decoder(ABC):
    """Makes windows of one prior, for up to `rows` samples at once. B of them in a window.

    A window begins with `begin`, which reads the codes that are known; then `decode` goes on from where it stopped.

    With guidance each row is there twice, first all with their labels, then all without: `begin` is given both, and
    `decode` takes and gives those of the first half, which both halves go on from (see `guided`).
    """

    settings: LevelSampling

    def draw_with(self, settings: LevelSampling) -> None:
        """Take other settings, from the next `begin` on."""
        self.settings = settings

    @abstractmethod
    def begin(self, known: Tensor, conditioning: ConditioningTensors, chunk: int | None = None) -> None:
        """Read the known codes (B, n), `chunk` positions at a time or all at once."""

    @abstractmethod
    def decode(self, uniform: Tensor) -> Tensor:
        """The next ids (B, n), on the CPU, each drawn by its uniform number (B, n), float64 on the CPU.

        Ids of the codebook's size and up are characters of the lyrics, see `LyricsConfig.drawable`.
        """


class EagerDecoder(Decoder):
    """Operator by operator, with a static cache: works everywhere."""

    def __init__(self, prior: Prior, rows: int, settings: LevelSampling) -> None:
        self.prior = prior
        self.settings = settings
        self.cache = prior.new_cache(rows)
        self.device = prior.device

    @torch.inference_mode()
    def begin(self, known: Tensor, conditioning: ConditioningTensors, chunk: int | None = None) -> None:
        """Read the known codes (B, n)."""
        self._conditioning = conditioning
        self._part = KVCache([layer[: len(known)] for layer in self.cache.layers])
        self._position = known.shape[1]  # of the code that the logits are of
        self._logits = self.prior.prefill(known.to(self.device), conditioning, self._part, chunk=chunk)
        self._drawn: Tensor | None = None  # the last code, where the logits after it are not there yet

    @torch.inference_mode()
    def decode(self, uniform: Tensor) -> Tensor:
        """The next ids (B, n)."""
        if self.device.type != "mps":  # which has no float64, so there the CPU draws
            uniform = uniform.to(self.device)
        drawn: list[Tensor] = []
        for index in range(uniform.shape[1]):
            if self._drawn is not None:
                self._position += 1
                self._logits = self.prior.step(self._drawn, self._position, self._conditioning, self._part)
            code = draw(
                guided(self._logits, self.settings.guidance).to(uniform.device),
                uniform[:, index],
                temperature=self.settings.temperature,
                top_k=self.settings.top_k,
                top_p=self.settings.top_p,
            ).to(self.device)
            self._drawn = code.repeat(self.settings.rows)
            drawn.append(code)
        return torch.stack(drawn, dim=1).cpu() if drawn else torch.empty(uniform.shape, dtype=torch.int64)
