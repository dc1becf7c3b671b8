"""Training of one autoencoder of all levels, to compare the codec's separate ones with; it cannot become a model.

python examples/ablations/hierarchical_task.py RECIPE [KEY=VALUE ...]
"""

import sys
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path

from hierarchical import HierarchicalVQVAE
from torch import Tensor, nn

from jukectl.codes.level import Level
from jukectl.errors import BadRecipe
from jukectl.progress import Event, Listener, Progress
from jukectl.training.codec_task import CodecTask
from jukectl.training.config import VQVAERecipe
from jukectl.training.runs import train_vqvae
from jukectl.vqvae.codebook import Codebook
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.loss import commitment, terms
from jukectl.vqvae.model import Reconstruction


class HierarchicalTask(CodecTask):
    """Trains a hierarchical VQ-VAE with one loss on the audio of all levels.

    A level is evaluated with its codes and those above it, without the ones below. The best weights are those with the
    best audio from all codes.
    """

    def __init__(self, recipe: VQVAERecipe, config: VQVAEConfig, listener: Listener) -> None:
        if not config.codebook_size:
            raise BadRecipe("architecture hierarchical needs codebooks: give model.codebook_size")
        super().__init__(recipe, config, listener)

    def build_model(self) -> nn.Module:
        """Return the autoencoder with random weights."""
        self.hierarchy = HierarchicalVQVAE(self.config)
        return self.hierarchy

    def trained_parts(self) -> Sequence[nn.Module]:
        """Return the autoencoder, the only part with a loss."""
        return [self.hierarchy]

    def codebook(self, level: Level) -> Codebook:
        """Return the codebook of one level."""
        return self.hierarchy.codebook(level)

    def loss(self, batch: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the loss on clips (B, N), of the one audio and of the commitment of each level, and its terms."""
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
            if level is not Level.BOTTOM:  # whose commitment is in the weighted terms already
                total = total + weights.commitment * distance
        return total, figures

    def evaluate(self) -> Mapping[str, float]:
        """Return metrics of held-out songs by level; the objective is that of all levels together."""
        figures = super().evaluate()
        return {**figures, self.objective: inf if self._wait() else figures["bottom_convergence_db"]}

    def latents(self, audio: Tensor, level: Level) -> Tensor:
        """Return the latents (B, T, D), float32, that a level quantizes for audio (B, N)."""
        return self._results(audio, quantize=False)[level].latents

    def reconstruct(self, audio: Tensor, level: Level) -> Reconstruction:
        """Encode and decode audio (B, N) with the codes of this level and those above it, zeros for those below."""
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
        """Return True until the codebooks have started, which they all do at the same step."""
        return any(map(self.awaits_codebook, self.levels))


def show(event: Event) -> None:
    """Print progress, a line each."""
    if isinstance(event, Progress):
        print(f"{event.stage} {event.done}/{event.total} {event.note}", file=sys.stderr)


def main() -> None:
    recipe, *overrides = sys.argv[1:]
    print(train_vqvae(Path(recipe), overrides, show, tasks={"hierarchical": HierarchicalTask}))


if __name__ == "__main__":
    main()
