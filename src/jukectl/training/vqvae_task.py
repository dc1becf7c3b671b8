"""Learning the product's codec: separate autoencoders, side by side."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from jukectl.codes.level import Level
from jukectl.training.codec_task import CodecTask
from jukectl.vqvae.codebook import Codebook
from jukectl.vqvae.loss import terms
from jukectl.vqvae.model import VQVAE, Reconstruction


class VQVAETask(CodecTask):
    """Trains a VQ-VAE. Every level has its own loss, so they do not disturb each other."""

    def make(self) -> nn.Module:
        """The levels of the recipe."""
        self.vqvae = VQVAE(self.config, self.levels)
        return self.vqvae

    def wholes(self) -> Sequence[nn.Module]:
        """An autoencoder a level."""
        return [self.vqvae.autoencoder(level) for level in self.levels]

    def codebook(self, level: Level) -> Codebook:
        """The codebook of one level, where the recipe wants any."""
        return self.vqvae.codebook(level)

    def loss(self, batch: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The sum over the levels of the loss on clips (B, N); see `vqvae.loss.terms`."""
        weights = self.recipe.loss
        total, figures = torch.zeros((), device=batch.device), {}
        for level, autoencoder in zip(self.levels, self.parts, strict=True):
            result: Reconstruction = autoencoder(batch, quantize=not self.waits(level))
            self.remember(level, result)
            parts = terms(result, batch, self.scale, weights.worst_samples, self.mel_rate)
            total = total + self.weighted(parts)
            waveform = () if result.spectra is not None else ("spectral", "waveform")
            bands = [name for name in ("mel", "attack", "peaks") if getattr(weights, name)]
            for name in (*waveform, *bands, "commitment"):
                figures[f"{level.label}_{name}"] = getattr(parts, name).detach()
        return total, figures

    def latents(self, audio: Tensor, level: Level) -> Tensor:
        """What a level's encoder makes of audio (B, N): (B, T, D), float32."""
        latents: Tensor = self.vqvae.autoencoder(level).encoder(audio)
        return latents.float()

    def heard(self, audio: Tensor, level: Level) -> Reconstruction:
        """Audio (B, N) there and back through one level."""
        result: Reconstruction = self.vqvae.autoencoder(level)(audio, quantize=not self.waits(level))
        return result
