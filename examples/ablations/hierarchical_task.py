"""Learning one autoencoder of all levels, which no model comes of: what separate ones are compared with."""

from collections.abc import Mapping, Sequence
from math import inf

from torch import Tensor, nn

from jukectl.codes.level import Level
from jukectl.errors import BadRecipe
from jukectl.progress import Report
from jukectl.training.codec_task import CodecTask
from jukectl.training.config import VQVAERecipe
from jukectl.vqvae.codebook import Codebook
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.hierarchical import HierarchicalVQVAE
from jukectl.vqvae.loss import commitment, terms
from jukectl.vqvae.model import Reconstruction


class HierarchicalTask(CodecTask):
    """Trains a hierarchical VQ-VAE by one loss on the audio of all levels.

    The figures of a level are of its codes and those above it, without the ones below; the best weights are those that
    sound best with all of them.
    """

    def __init__(self, recipe: VQVAERecipe, config: VQVAEConfig, report: Report) -> None:
        if not config.codebook_size:
            raise BadRecipe("architecture hierarchical needs codebooks: give model.codebook_size")
        super().__init__(recipe, config, report)

    def make(self) -> nn.Module:
        """One autoencoder."""
        self.hierarchy = HierarchicalVQVAE(self.config)
        return self.hierarchy

    def wholes(self) -> Sequence[nn.Module]:
        """The one autoencoder."""
        return [self.hierarchy]

    def codebook(self, level: Level) -> Codebook:
        """The codebook of one level."""
        return self.hierarchy.codebook(level)

    def loss(self, batch: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss on clips (B, N): of the one audio, and of how far each level's latents are from its codebook."""
        weights = self.recipe.loss
        (hierarchy,) = self.parts
        results: Mapping[Level, Reconstruction] = hierarchy(batch, quantize=not self._wait())
        parts = terms(results[Level.BOTTOM], batch, self.scale, weights.worst_samples, self.mel_rate)
        total = self.weighted(parts)
        figures = {"spectral": parts.spectral.detach(), "waveform": parts.waveform.detach()}
        for level, result in results.items():
            self.remember(level, result)
            distance = commitment(result)
            figures[f"{level.label}_commitment"] = distance.detach()
            if level is not Level.BOTTOM:
                total = total + weights.commitment * distance
        return total, figures

    def evaluate(self) -> Mapping[str, float]:
        """Figures of held-out songs, level by level; what counts is all levels together."""
        figures = super().evaluate()
        return {**figures, self.objective: inf if self._wait() else figures["bottom_convergence_db"]}

    def latents(self, audio: Tensor, level: Level) -> Tensor:
        """What comes to a level's codebook of audio (B, N): (B, T, D), float32."""
        return self._results(audio, quantize=False)[level].latents

    def heard(self, audio: Tensor, level: Level) -> Reconstruction:
        """Audio (B, N) as this level's codes and those above it have it, nothing standing for those below."""
        results = self._results(audio, quantize=not self._wait())
        result = results[level]
        if self._wait():
            return result
        alone = self.hierarchy.decode({one: results[one].codes for one in Level if one >= level})
        return Reconstruction(alone, result.latents, result.quantized, result.codes)

    def _results(self, audio: Tensor, *, quantize: bool) -> Mapping[Level, Reconstruction]:
        results: Mapping[Level, Reconstruction] = self.hierarchy(audio, quantize=quantize)
        return results

    def _wait(self) -> bool:
        """Whether codebooks have not started yet; they all do at the same step."""
        return any(map(self.waits, self.levels))
