"""Learning a codec: the levels of a recipe, side by side, on clips of a music folder."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from jukectl.audio.spectral import spectral_convergence_db
from jukectl.codes.level import Level
from jukectl.progress import Report
from jukectl.training.config import VQVAERecipe
from jukectl.training.manifest import Manifest
from jukectl.training.waveforms import Waveforms
from jukectl.vqvae.codebook import CodebookLearner
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.loss import Scale, terms
from jukectl.vqvae.model import VQVAE, Reconstruction

SCALE_CLIPS = 64  # clips that the data's loudness is measured on


class VQVAETask:
    """Trains the levels of a recipe. Every level has its own loss, so they do not disturb each other."""

    objective = "convergence_db"

    def __init__(self, recipe: VQVAERecipe, config: VQVAEConfig, report: Report) -> None:
        self.recipe = recipe
        self.levels = [Level.parse(name) for name in recipe.levels]
        torch.manual_seed(recipe.train.seed)
        self.vqvae = VQVAE(config, self.levels)
        self.model: nn.Module = self.vqvae
        self.learners = nn.ModuleDict(
            {
                level.label: CodebookLearner(
                    self.vqvae.autoencoder(level).codebook,
                    decay=recipe.codebook.decay,
                    threshold=recipe.codebook.threshold,
                )
                for level in self.levels
            }
        )
        self.state: nn.Module = self.learners
        manifest = Manifest.load(recipe.data.manifest)
        kept, held = manifest.split(recipe.data.held_out)
        cache = manifest.folder / f"waveforms-{config.sample_rate}"
        self.training = Waveforms.load(manifest.folder, kept, config.sample_rate, cache, report)
        shown = held[:: max(1, -(-len(held) // recipe.data.validation_songs))] or kept[:1]
        self.validation = Waveforms.load(manifest.folder, shown, config.sample_rate, cache, report)
        clips = self.training.clips(SCALE_CLIPS, recipe.data.clip_samples, np.random.default_rng(recipe.train.seed))
        self.scale = Scale.of(clips)
        self._passed: dict[Level, Reconstruction] = {}
        self._step = 0

    def loss(self, step: int) -> tuple[Tensor, Mapping[str, float]]:
        """The sum over the levels of a step's loss; see `vqvae.loss.terms`."""
        self._step = step
        generator = np.random.default_rng((self.recipe.train.seed, step))
        target = self.training.clips(self.recipe.train.batch, self.recipe.data.clip_samples, generator)
        weights = self.recipe.loss
        total, figures = torch.zeros(()), {}
        for level in self.levels:
            autoencoder, learner = self.vqvae.autoencoder(level), self._learner(level)
            if step >= self.recipe.codebook.start_step and not learner.started:
                self._start(level)
            self._passed[level] = result = autoencoder(target, quantize=bool(learner.started))
            parts = terms(result, target, self.scale, weights.worst_samples)
            total = (
                total
                + weights.spectral * parts.spectral
                + weights.waveform * parts.waveform
                + weights.worst * parts.worst
                + weights.commitment * parts.commitment
            )
            for name in ("spectral", "waveform", "commitment"):
                figures[f"{level.label}_{name}"] = float(getattr(parts, name).detach())
        return total, figures

    def after_step(self) -> Mapping[str, float]:
        """Move each codebook by the step's latents, and tell how it was used."""
        figures = {f"{level.label}_{name}": 0.0 for level in self.levels for name in ("entropy", "used", "restarted")}
        for level, result in self._passed.items():
            if not result.codes.numel():
                continue
            codebook = self.vqvae.autoencoder(level).codebook
            usage = self._learner(level).update(codebook, result.latents.detach(), result.codes, self._generator(level))
            figures[f"{level.label}_entropy"] = usage.entropy
            figures[f"{level.label}_used"] = float(usage.used)
            figures[f"{level.label}_restarted"] = float(usage.restarted)
        self._passed.clear()
        return figures

    def evaluate(self) -> Mapping[str, float]:
        """Mean spectral convergence in dB of held-out songs, a level, and over the levels."""
        figures = {f"{level.label}_convergence_db": self._convergence(level) for level in self.levels}
        return {**figures, self.objective: float(np.mean(list(figures.values())))}

    @torch.no_grad()
    def _start(self, level: Level) -> None:
        """Fill the codebook with latents of many more clips than a batch has."""
        generator = np.random.default_rng((self.recipe.train.seed, self._step, SCALE_CLIPS))
        clips = self.training.clips(SCALE_CLIPS, self.recipe.data.clip_samples, generator)
        autoencoder = self.vqvae.autoencoder(level)
        latents = torch.cat([autoencoder.encoder(some).float() for some in clips.split(self.recipe.train.batch)])
        self._learner(level).start(autoencoder.codebook, latents, self._generator(level))

    def _convergence(self, level: Level) -> float:
        config = self.vqvae.config
        length = int(self.recipe.data.validation_seconds * config.sample_rate)
        scores = []
        for index in range(len(self.validation.songs)):
            target = self.validation.middle(index, length)
            target = target[: len(target) // config.hop(level) * config.hop(level)]
            quantize = bool(self._learner(level).started)
            predicted = self.vqvae.autoencoder(level)(target[None], quantize=quantize).audio[0].float()
            score = spectral_convergence_db(target, predicted)
            if np.isfinite(score):
                scores.append(score)
        return float(np.mean(scores))

    def _learner(self, level: Level) -> CodebookLearner:
        learner = self.learners[level.label]
        assert isinstance(learner, CodebookLearner)
        return learner

    def _generator(self, level: Level) -> torch.Generator:
        seed = np.random.SeedSequence((self.recipe.train.seed, self._step, level)).generate_state(1)[0]
        return torch.Generator().manual_seed(int(seed))
