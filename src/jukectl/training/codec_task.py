"""Learning a codec, however its levels are built: clips of a music folder, codebooks, figures on held-out songs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from math import inf

import numpy as np
import torch
from torch import Tensor, nn

from jukectl.audio.spectral import spectral_convergence_db
from jukectl.codes.archive import entropy_bits
from jukectl.codes.level import Level
from jukectl.data.manifest import Manifest
from jukectl.data.segments import ALL_ROWS
from jukectl.data.waveforms import Waveforms
from jukectl.errors import BadManifest, BadRecipe
from jukectl.nn.dilated import ResidualStack
from jukectl.progress import Listener
from jukectl.training.config import AudioData, VQVAERecipe
from jukectl.training.distributed import ALONE, Ranks, prepare_blocks
from jukectl.vqvae.codebook import Codebook, CodebookLearner
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.loss import Scale, Terms, terms
from jukectl.vqvae.model import VQVAE, Reconstruction

SCALE_CLIPS = 64  # clips that the data's loudness is measured on


class CodecTask(ABC):
    """Trains the levels of a recipe. What they are made of, and what their loss is, subclasses say.

    With `model.codebook_size = 0` there are no codebooks to learn, and the autoencoders are judged as they are.
    """

    unit = "samples"

    def __init__(self, recipe: VQVAERecipe, config: VQVAEConfig, listener: Listener) -> None:
        self.recipe = recipe
        self.config = config
        self.levels = [Level.parse(name) for name in recipe.levels]
        self._check_sizes(config)
        waveform = any(not config.is_log_mel(level) for level in self.levels)
        self.objective = (
            "convergence_db" if waveform else "log_mel"
        )  # what held-out songs are judged by; less is better
        torch.manual_seed(recipe.train.seed)
        self.model: nn.Module = self.make()
        self.parts: Sequence[nn.Module] = self.wholes()
        self.learners = nn.ModuleDict(
            {
                level.label: CodebookLearner(
                    self.codebook(level), decay=recipe.codebook.decay, threshold=self._threshold(level)
                )
                for level in self.levels
                if config.codebook_size
            }
        )
        self.state: nn.Module = self.learners
        self._load_music(recipe.data, config, listener)
        self.units = recipe.train.batch * recipe.data.clip_samples
        self.ranks = ALONE
        self._passed: dict[Level, list[Reconstruction]] = {level: [] for level in self.levels}  # of the step so far
        self._step = 0

    @abstractmethod
    def make(self) -> nn.Module:
        """The model, with weights drawn anew."""

    @abstractmethod
    def wholes(self) -> Sequence[nn.Module]:
        """The parts of the model that have a loss of their own."""

    @abstractmethod
    def codebook(self, level: Level) -> Codebook:
        """The codebook of one level, where the recipe wants any."""

    @abstractmethod
    def loss(self, batch: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss on clips (B, N) and its terms for the log; every level's result goes to `remember`."""

    @abstractmethod
    def latents(self, audio: Tensor, level: Level) -> Tensor:
        """What comes to a level's codebook of audio (B, N), before any codebook has started: (B, T, D), float32."""

    @abstractmethod
    def heard(self, audio: Tensor, level: Level) -> Reconstruction:
        """Audio (B, N) as it is heard from this level's codes."""

    def _load_music(self, data: AudioData, config: VQVAEConfig, listener: Listener) -> None:
        """Songs to learn from, the middles of others to be judged by, and how loud it all is."""
        manifest = Manifest.load(data.manifest)
        kept, held = manifest.split(data.held_out)
        cache = manifest.folder / f"waveforms-{config.sample_rate}"
        self.training = Waveforms.load(manifest.folder, kept, config.sample_rate, cache, listener)
        shown = held[:: max(1, -(-len(held) // data.validation_songs))]
        # Where no song is held out, it is judged by the first that it learns from and that sounds
        validation = (
            Waveforms.load(manifest.folder, shown, config.sample_rate, cache, listener) if shown else self.training
        )
        length = round(data.validation_seconds * config.sample_rate)
        count = min(len(validation.songs), data.validation_songs)
        middles = [validation.middle(index, length) for index in range(count)]
        hop = config.hop(max(self.levels))
        whole = [middle[: len(middle) // hop * hop] for middle in middles]
        self.validation = [middle for middle in whole if middle.any()][: None if shown else 1]
        clips = self.training.clips(SCALE_CLIPS, data.clip_samples, np.random.default_rng(self.recipe.train.seed))
        if not clips.any() or not self.validation:
            raise BadManifest(f"the songs in {manifest.folder} are silent or too short to learn from")
        self.scale = Scale.of(clips)

    def distribute(self, ranks: Ranks) -> None:
        """Give every rank a replica of each part."""
        self.ranks = ranks
        prepare_blocks((one for one in self.model.modules() if isinstance(one, ResidualStack)), self.recipe.train)
        self.learners.to(ranks.device)
        self.parts = [ranks.replicate(part) for part in self.wholes()]

    def batch(self, step: int, rows: slice = ALL_ROWS) -> Tensor:
        """Rows of a step's clips (B, N)."""
        generator = np.random.default_rng((self.recipe.train.seed, step))
        return self.training.clips(self.recipe.train.batch, self.recipe.data.clip_samples, generator, rows)

    def before_step(self, step: int) -> None:
        """Start the codebooks when it is time."""
        self._step = step
        for level in self.levels:
            if step >= self.recipe.codebook.start_step and self.waits(level):
                self._start(level)

    def waits(self, level: Level) -> bool:
        """Whether this level has a codebook that has not started yet."""
        return level.label in self.learners and not self._learner(level).started

    @property
    def mel_rate(self) -> int:
        """The sample rate, where the recipe wants mel bands compared; else 0."""
        loss = self.recipe.loss
        return self.config.sample_rate if loss.mel or loss.attack or loss.peaks else 0

    def weighted(self, parts: Terms) -> Tensor:
        """The sum of the terms of a loss with the recipe's weights, a scalar."""
        weights = self.recipe.loss
        return (
            weights.spectral * parts.spectral
            + weights.waveform * parts.waveform
            + weights.worst * parts.worst
            + self._bands(parts)
            + weights.commitment * parts.commitment
        )

    def _bands(self, parts: Terms) -> Tensor:
        """Return the sum of the terms of log mel bands with the recipe's weights, a scalar."""
        weights = self.recipe.loss
        return weights.mel * parts.mel + weights.attack * parts.attack + weights.peaks * parts.peaks

    def remember(self, level: Level, result: Reconstruction) -> None:
        """Keep what a level made of a part of the batch until the codebook has learned from it, after the step."""
        self._passed[level].append(result)

    def after_step(self) -> Mapping[str, float]:
        """Move each codebook by the step's latents, and tell how it was used."""
        figures = {f"{level.label}_{name}": 0.0 for level in self.levels for name in ("entropy", "used", "restarted")}
        for level, results in self._passed.items():
            codes = torch.cat([result.codes for result in results])
            latents = torch.cat([result.latents.detach() for result in results])
            results.clear()
            if codes.numel():
                usage = self._learner(level).update(
                    self.codebook(level), latents, codes, self._generator(level), self.ranks
                )
                figures[f"{level.label}_entropy"] = usage.entropy
                figures[f"{level.label}_used"] = float(usage.used)
                figures[f"{level.label}_restarted"] = float(usage.restarted)
        return figures

    def evaluate(self) -> Mapping[str, float]:
        """Judge the levels on held-out songs: the objective, a level and together, and how their codes are spread.

        The objective is the mean spectral convergence in dB of the levels that encode waveforms. Where no level does,
        it is the distance of log-mel spectra, with the recipe's weights of mel, attack and peaks. It is infinite as
        long as a codebook has not started: what the levels do without it is no codec yet.
        """
        figures, scores = {}, []
        for level in self.levels:
            measure = "log_mel" if self.config.is_log_mel(level) else "convergence_db"
            score, counts = self._held_out(level)
            figures[f"{level.label}_{measure}"] = score
            if measure == self.objective:
                scores.append(score)
            if self.config.codebook_size:
                figures[f"{level.label}_held_out_entropy"] = entropy_bits(counts.numpy())
                figures[f"{level.label}_held_out_codes"] = float(counts.count_nonzero())
        return {**figures, self.objective: inf if any(map(self.waits, self.levels)) else float(np.mean(scores))}

    @torch.no_grad()
    def _start(self, level: Level) -> None:
        """Fill the codebook with latents of many more clips than a batch has."""
        generator = np.random.default_rng((self.recipe.train.seed, self._step, SCALE_CLIPS))
        clips = self.training.clips(SCALE_CLIPS, self.recipe.data.clip_samples, generator)
        codebook, learner, train = self.codebook(level), self._learner(level), self.recipe.train
        batches = torch.split(clips, max(1, train.batch // self.ranks.world // train.accumulate))
        latents = torch.cat([self.latents(some.to(self.ranks.device), level) for some in batches])
        learner.start(codebook, latents, self._generator(level))
        self.ranks.broadcast([codebook.vectors, learner.sums, learner.counts])

    def _held_out(self, level: Level) -> tuple[float, Tensor]:
        """Return the mean score of the held-out songs, and how often each code came in them (K,)."""
        size = self.config.codebook_size

        def hear(song: Tensor) -> Tensor:
            """A song (n,) to its score and its counts, (1 + K,)."""
            target = song.to(self.ranks.device)
            result = self.heard(target[None], level)
            if result.spectra is not None and result.target_spectra is not None:
                score = float(self._bands(terms(result, target[None], self.scale, 0)))
            else:
                score = spectral_convergence_db(target, result.audio[0].float())
            counts = torch.bincount(result.codes[0], minlength=size).cpu()
            return torch.cat([torch.tensor([score], dtype=torch.float64), counts])

        heard = self.ranks.map(hear, self.validation)
        return float(heard[:, 0].mean()), heard[:, 1:].sum(0)

    def _check_sizes(self, config: VQVAEConfig) -> None:
        """Raise BadRecipe where clips are no whole codes, a level has no loss, or would restart all its vectors."""
        data = self.recipe.data
        for level in self.levels:
            hop = config.hop(level)
            if data.clip_samples % hop:
                raise BadRecipe(
                    f"data.clip_samples must be a multiple of {hop}, the {level.label} hop, got {data.clip_samples}"
                )
            if config.is_log_mel(level) and not (self.recipe.loss.mel or self.recipe.loss.peaks):
                raise BadRecipe("a log-mel front end learns from log mel bands alone: give loss.mel or loss.peaks")
            usage, threshold = self._usage(level), self.recipe.codebook.threshold
            if self.recipe.codebook.relative_threshold is None and threshold > usage:
                raise BadRecipe(
                    f"codebook.threshold {threshold} is over {usage:g}, the mean uses of a {level.label} vector a "
                    "batch, so every vector would be restarted all the time: lower it to a quarter of that"
                )

    def _usage(self, level: Level) -> float:
        """Return the mean uses of a level's vectors a batch."""
        size, data = self.config.codebook_size, self.recipe.data
        return self.recipe.train.batch * data.clip_samples / self.config.hop(level) / size if size else inf

    def _threshold(self, level: Level) -> float:
        """Return the uses a batch under which a vector of this level is restarted."""
        relative = self.recipe.codebook.relative_threshold
        return self.recipe.codebook.threshold if relative is None else relative * self._usage(level)

    def _learner(self, level: Level) -> CodebookLearner:
        learner = self.learners[level.label]
        assert isinstance(learner, CodebookLearner)
        return learner

    def _generator(self, level: Level) -> torch.Generator:
        seed = np.random.SeedSequence((self.recipe.train.seed, self._step, level)).generate_state(1)[0]
        return torch.Generator().manual_seed(int(seed))


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
