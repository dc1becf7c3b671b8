"""Training task of a codec of any architecture: clips of a music folder, codebooks, metrics of held-out songs."""

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
from jukectl.progress import Listener, Remark, warn
from jukectl.training.config import AudioData, VQVAERecipe
from jukectl.training.distributed import ALONE, Ranks, prepare_blocks
from jukectl.training.monitor import EvaluationProgress
from jukectl.vqvae.codebook import Codebook, CodebookLearner
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.loss import Scale, Terms, terms
from jukectl.vqvae.model import VQVAE, Reconstruction

BAND_TERMS = ("mel", "attack", "peaks", "level")  # of the loss, on log-mel spectra
SCALE_CLIPS = 64  # clips for measuring the loudness of the data
PAPER_THRESHOLD = 1.0  # uses of a vector per batch below which it is restarted (Jukebox, appendix B)


class CodecTask(ABC):
    """Trains the levels of a recipe. Subclasses define the modules and the loss.

    With `model.codebook_size = 0` there are no codebooks, and the autoencoders are evaluated without quantization.
    """

    unit = "samples"

    def __init__(self, recipe: VQVAERecipe, config: VQVAEConfig, listener: Listener) -> None:
        self.recipe = recipe
        self.config = config
        self._listener = listener
        self.levels = [Level.parse(name) for name in recipe.levels]
        self._check_sizes(config)
        if recipe.codebook_start < recipe.codebook.start_step:
            warn(
                listener,
                f"codebook.start_step {recipe.codebook.start_step} does not come before train.steps "
                f"{recipe.train.steps}: the codebook starts at step {recipe.codebook_start}",
            )
        waveform = any(not config.is_log_mel(level) for level in self.levels)
        self.objective = "convergence_db" if waveform else "log_mel"  # metric of held-out songs, lower is better
        torch.manual_seed(recipe.train.seed)
        self.model: nn.Module = self.build_model()
        self.parts: Sequence[nn.Module] = self.trained_parts()
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
        self._passed: dict[Level, list[Reconstruction]] = {level: [] for level in self.levels}  # in this step
        self._step = 0

    @abstractmethod
    def build_model(self) -> nn.Module:
        """Return the model with random weights."""

    @abstractmethod
    def trained_parts(self) -> Sequence[nn.Module]:
        """Return the parts of the model that have separate losses."""

    @abstractmethod
    def codebook(self, level: Level) -> Codebook:
        """Return the codebook of one level. Only called if the recipe has codebooks."""

    @abstractmethod
    def loss(self, batch: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the loss on clips (B, N) and its terms for the log, and pass each level's result to `remember`."""

    @abstractmethod
    def latents(self, audio: Tensor, level: Level) -> Tensor:
        """Return the latents (B, T, D), float32, that a level quantizes for audio (B, N), without any codebook."""

    @abstractmethod
    def reconstruct(self, audio: Tensor, level: Level) -> Reconstruction:
        """Encode audio (B, N) and decode it from the codes of this level."""

    def _load_music(self, data: AudioData, config: VQVAEConfig, listener: Listener) -> None:
        """Load the training songs and the middles of the validation songs, and measure the loudness scale."""
        manifest = Manifest.load(data.manifest)
        kept, held = manifest.split(data.held_out)
        cache = manifest.folder / f"waveforms-{config.sample_rate}"
        self.training = Waveforms.load(manifest.folder, kept, config.sample_rate, cache, listener)
        chosen = held[:: max(1, -(-len(held) // data.validation_songs))]
        # Without held-out songs, the first training song that is not silent is used for validation
        validation = (
            Waveforms.load(manifest.folder, chosen, config.sample_rate, cache, listener) if chosen else self.training
        )
        length = round(data.validation_seconds * config.sample_rate)
        count = min(len(validation.songs), data.validation_songs)
        middles = [validation.middle(index, length) for index in range(count)]
        hop = max(config.hop(level) * config.stages(level) for level in self.levels)
        whole = [middle[: len(middle) // hop * hop] for middle in middles]
        self.validation = [middle for middle in whole if middle.any()][: None if chosen else 1]
        clips = self.training.clips(SCALE_CLIPS, data.clip_samples, np.random.default_rng(self.recipe.train.seed))
        if not clips.any() or not self.validation:
            raise BadManifest(f"the songs in {manifest.folder} are silent or too short to train on")
        self.scale = Scale.of(clips)
        unread = len(kept) - len(self.training.songs)
        minutes = sum(song.shape[-1] for song in self.training.songs) / config.sample_rate / 60
        left_out = f", {unread} left out as unreadable" if unread else ""
        measured = f"{len(self.validation)} measured" if chosen else "the first of the training songs is measured"
        to_train_on = f"{len(self.training.songs)} to train on ({minutes:.3g} min{left_out})"
        listener(Remark("songs", f"{to_train_on}, {len(held)} held out, {measured}"))
        error = "error of spectra in dB" if self.objective == "convergence_db" else "error of log-mel spectra"
        songs = "held-out" if chosen else "training"
        listener(Remark("progress", f"{self.objective}, the {error} of {songs} songs, should fall"))

    def distribute(self, ranks: Ranks) -> None:
        """Place a replica of each part on every rank."""
        self.ranks = ranks
        prepare_blocks((one for one in self.model.modules() if isinstance(one, ResidualStack)), self.recipe.train)
        self.learners.to(ranks.device)
        self.parts = [ranks.replicate(part) for part in self.trained_parts()]

    def batch(self, step: int, rows: slice = ALL_ROWS) -> Tensor:
        """Return these rows of the clips (B, N) of a step."""
        # Seeded by the step, so that a resumed run trains on the same clips
        generator = np.random.default_rng((self.recipe.train.seed, step))
        return self.training.clips(self.recipe.train.batch, self.recipe.data.clip_samples, generator, rows)

    def before_step(self, step: int) -> None:
        """Initialize the codebooks at the start step."""
        self._step = step
        for level in self.levels:
            if step >= self.recipe.codebook_start and self.awaits_codebook(level):
                self._start(level)

    def awaits_codebook(self, level: Level) -> bool:
        """Return whether this level has a codebook that is not initialized yet."""
        return level.label in self.learners and not self._learner(level).started

    @property
    def mel_rate(self) -> int:
        """Sample rate for the log mel loss terms; 0 if the recipe has none."""
        loss = self.recipe.loss
        return self.config.sample_rate if any(getattr(loss, name) for name in BAND_TERMS) else 0

    def weighted(self, parts: Terms) -> Tensor:
        """Return the sum of the loss terms with the weights of the recipe, a scalar."""
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
        weighted = [getattr(self.recipe.loss, name) * getattr(parts, name) for name in BAND_TERMS]
        return torch.stack(weighted).sum()

    def remember(self, level: Level, result: Reconstruction) -> None:
        """Keep the result of a level for a part of the batch, if a codebook is updated with it after the step."""
        if not self.recipe.decoder_only:
            self._passed[level].append(result)

    def after_step(self) -> Mapping[str, float]:
        """Update each codebook with the latents of the step, unless only decoders learn, and return its usage."""
        if self.recipe.decoder_only:
            return {}
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
        """Evaluate the levels on held-out songs: the objective, per level and in total, and the usage of their codes.

        The objective is the mean spectral convergence in dB of the levels that encode waveforms. If no level does, it
        is the distance of log-mel spectra, with the weights of its terms in the recipe. It is infinite until all
        codebooks are initialized, since a model without codes must not be saved as the best.
        """
        figures, scores = {}, []
        turns = -(-len(self.validation) // self.ranks.world)
        progress = EvaluationProgress(self._listener, turns * len(self.levels))
        for level in self.levels:
            measure = "log_mel" if self.config.is_log_mel(level) else "convergence_db"
            score, counts = self._held_out(level, progress)
            figures[f"{level.label}_{measure}"] = score
            if measure == self.objective:
                scores.append(score)
            if self.config.codebook_size:
                figures[f"{level.label}_held_out_entropy"] = entropy_bits(counts.numpy())
                figures[f"{level.label}_held_out_codes"] = float(counts.count_nonzero())
        return {
            **figures,
            self.objective: inf if any(map(self.awaits_codebook, self.levels)) else float(np.mean(scores)),
        }

    @torch.no_grad()
    def _start(self, level: Level) -> None:
        """Initialize the codebook with latents of more clips than a batch has."""
        generator = np.random.default_rng((self.recipe.train.seed, self._step, SCALE_CLIPS))
        clips = self.training.clips(SCALE_CLIPS, self.recipe.data.clip_samples, generator)
        codebook, learner, train = self.codebook(level), self._learner(level), self.recipe.train
        batches = torch.split(clips, max(1, train.batch // self.ranks.world // train.accumulate))
        latents = torch.cat([self.latents(some.to(self.ranks.device), level) for some in batches])
        learner.start(codebook, latents, self._generator(level))
        self.ranks.broadcast([codebook.vectors, learner.sums, learner.counts])

    def _held_out(self, level: Level, progress: EvaluationProgress) -> tuple[float, Tensor]:
        """Return the mean score of the held-out songs, and the counts of the codes in them (K,)."""
        size = self.config.codebook_size

        def score_and_counts(song: Tensor) -> Tensor:
            """Return the score of a song (n,) and its code counts in one tensor (1 + K,)."""
            target = song.to(self.ranks.device)
            result = self.reconstruct(target[None], level)
            if result.spectra is not None and result.target_spectra is not None:
                score = float(self._bands(terms(result, target[None], self.scale, 0)))
            else:
                score = spectral_convergence_db(target, result.audio[0].float())
            counts = torch.bincount(result.codes[0], minlength=size).cpu()
            scores = torch.cat([torch.tensor([score], dtype=torch.float64), counts])
            progress.tick()
            return scores

        rows = self.ranks.map(score_and_counts, self.validation)
        return float(rows[:, 0].mean()), rows[:, 1:].sum(0)

    def _check_sizes(self, config: VQVAEConfig) -> None:
        """Raise BadRecipe if clips are not whole codes, a level has no loss, or all its vectors would restart."""
        data = self.recipe.data
        for level in self.levels:
            span = config.hop(level) * config.stages(level)  # of a latent
            if data.clip_samples % span:
                name = "hop" if config.stages(level) == 1 else "latent"
                raise BadRecipe(
                    f"data.clip_samples must be a multiple of {span}, the {level.label} {name}, got {data.clip_samples}"
                )
            if config.is_log_mel(level) and not (self.recipe.loss.mel or self.recipe.loss.peaks):
                raise BadRecipe("a log-mel front end has only the loss of log mel bands: give loss.mel or loss.peaks")
            usage, threshold = self._usage(level), self.recipe.codebook.threshold
            if self.recipe.codebook.relative_threshold is None and threshold is not None and threshold > usage:
                raise BadRecipe(
                    f"codebook.threshold {threshold} is over {usage:g}, the mean uses of a {level.label} vector per "
                    "batch, so every vector would be restarted at each step: lower it to a quarter of that"
                )

    def _usage(self, level: Level) -> float:
        """Return the mean uses of a codebook vector of a level per batch."""
        size, data = self.config.codebook_size, self.recipe.data
        return self.recipe.train.batch * data.clip_samples / self.config.hop(level) / size if size else inf

    def _threshold(self, level: Level) -> float:
        """Return the uses per batch below which a vector of this level is restarted."""
        codebook, usage = self.recipe.codebook, self._usage(level)
        if codebook.relative_threshold is not None:
            return codebook.relative_threshold * usage
        if codebook.threshold is not None:
            return codebook.threshold
        # the paper's threshold, where batches are as large as the paper's; a small batch would restart every vector
        return PAPER_THRESHOLD if usage >= PAPER_THRESHOLD else usage / 4

    def _learner(self, level: Level) -> CodebookLearner:
        learner = self.learners[level.label]
        assert isinstance(learner, CodebookLearner)
        return learner

    def _generator(self, level: Level) -> torch.Generator:
        seed = np.random.SeedSequence((self.recipe.train.seed, self._step, level)).generate_state(1)[0]
        return torch.Generator().manual_seed(int(seed))


class VQVAETask(CodecTask):
    """Trains a VQ-VAE with an independent loss for each level (Jukebox, section 3.2)."""

    def build_model(self) -> nn.Module:
        """Return a VQ-VAE with the levels of the recipe."""
        self.vqvae = VQVAE(self.config, self.levels)
        if self.recipe.decoder_only:
            for level in self.levels:
                self.vqvae.autoencoder(level).encoder.requires_grad_(False)
        return self.vqvae

    def trained_parts(self) -> Sequence[nn.Module]:
        """Return the autoencoder of each level."""
        return [self.vqvae.autoencoder(level) for level in self.levels]

    def codebook(self, level: Level) -> Codebook:
        """Return the codebook of one level."""
        return self.vqvae.codebook(level)

    def loss(self, batch: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the sum over the levels of the loss on clips (B, N), and its terms; see `vqvae.loss.terms`."""
        weights = self.recipe.loss
        total, figures = torch.zeros((), device=batch.device), {}
        for level, autoencoder in zip(self.levels, self.parts, strict=True):
            result: Reconstruction = autoencoder(batch, quantize=not self.awaits_codebook(level))
            self.remember(level, result)
            parts = terms(result, batch, self.scale, weights.worst_samples, self.mel_rate)
            total = total + self.weighted(parts)
            waveform = () if result.spectra is not None else ("spectral", "waveform")
            bands = [name for name in BAND_TERMS if getattr(weights, name)]
            for name in (*waveform, *bands, "commitment"):
                figures[f"{level.label}_{name}"] = getattr(parts, name).detach()
        return total, figures

    def latents(self, audio: Tensor, level: Level) -> Tensor:
        """Return the encoder output (B, T, D), float32, of a level for audio (B, N)."""
        latents: Tensor = self.vqvae.autoencoder(level).encoder(audio)
        return latents.float()

    def reconstruct(self, audio: Tensor, level: Level) -> Reconstruction:
        """Encode and decode audio (B, N) with one level."""
        result: Reconstruction = self.vqvae.autoencoder(level)(audio, quantize=not self.awaits_codebook(level))
        return result
