"""Training recipes: TOML files parsed into frozen dataclasses, with file and key in every error."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jukectl.codes.level import Level
from jukectl.errors import BadRecipe
from jukectl.prior.config import AdapterConfig
from jukectl.tables import T, build, parse_toml, read_text
from jukectl.training.code_noise import CodeNoise

LEVELS = tuple(level.label for level in Level)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of the training loop. Defaults follow the paper where it gives them (Jukebox, appendix B)."""

    steps: int
    batch: int  # clips or segments per step, over all processes
    accumulate: int = 1  # gradient accumulation steps
    learning_rate: float = 1.5e-4
    weight_decay: float = 0.002
    betas: tuple[float, ...] = (0.9, 0.99)
    warmup: int = 100  # steps of linear warm-up
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_norm: float = 1.0
    average: float = 0.0  # decay of the moving average of the weights; 0 disables it
    patience: int = 0  # evaluations without improvement until early stopping; 0 disables it
    precision: Literal["fp32", "bf16"] = "fp32"
    checkpoint_activations: bool = False  # recompute blocks in the backward pass: less memory, a third more compute
    compile: bool = False  # compile the blocks with torch.compile: faster steps after a slow first one
    seed: int = 0
    log_every: int = 20  # steps
    evaluate_every: int = 500
    checkpoint_every: int = 250
    threads: int | None = None  # None: the default of torch

    def __post_init__(self) -> None:
        _check_least(
            self, 1, "steps", "batch", "accumulate", "log_every", "evaluate_every", "checkpoint_every", "threads"
        )
        _check_least(self, 0, "weight_decay", "warmup", "patience", "seed")
        _check_positive(self, "learning_rate", "clip_norm")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers in [0, 1), got {list(self.betas)}")
        if not 0 <= self.average < 1:
            raise ValueError(f"average must be a decay in [0, 1), got {self.average}")


@dataclass(frozen=True, kw_only=True)
class AudioData:
    """Waveforms for training a codec."""

    manifest: Path
    held_out: tuple[str, ...] = ()  # paths or globs of validation songs; empty: the split of the scan
    clip_samples: int = 16_384  # audio samples per clip
    validation_seconds: float = 8.0  # taken from the middle of each held-out song
    validation_songs: int = 24  # maximum, spread evenly over the held-out songs

    def __post_init__(self) -> None:
        _check_least(self, 1, "clip_samples", "validation_songs")
        _check_positive(self, "validation_seconds")


@dataclass(frozen=True, kw_only=True)
class CodeData:
    """Code folders for training a prior, as written by `jukectl data encode`."""

    codes: Path | tuple[Path, ...]  # one folder, or several, which are combined
    held_out: tuple[str, ...] = ()  # as for audio
    validation_segments: int = 48  # spread evenly over the held-out songs

    def __post_init__(self) -> None:
        _check_least(self, 1, "validation_segments")
        if not self.folders:
            raise ValueError("codes must name at least one folder, got none")

    @property
    def folders(self) -> tuple[Path, ...]:
        """Code folders as a tuple, also if the recipe names a single one."""
        return self.codes if isinstance(self.codes, tuple) else (self.codes,)


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the codec's loss terms (Jukebox, section 3 and appendix B)."""

    spectral: float = 1.0
    waveform: float = 1.0
    worst: float = 0.02  # the L-infinity-like term
    worst_samples: int = 2_048  # number of worst samples of a clip in that term
    mel: float = 0.0  # distance of log mel bands, for intelligible words; not in the paper
    attack: float = 0.0  # distance of their differences in time, for sharp attacks; not in the paper
    peaks: float = 0.0  # their squared distance weighted by loudness, to keep partials of notes; not in the paper
    level: float = 0.0  # distance of the levels of broad bands, so that doubtful spectra stay loud; not in the paper
    commitment: float = 0.02

    def __post_init__(self) -> None:
        _check_least(self, 0, "spectral", "waveform", "worst", "mel", "attack", "peaks", "level", "commitment")
        _check_least(self, 1, "worst_samples")


@dataclass(frozen=True, kw_only=True)
class CodebookConfig:
    """Settings of codebook training."""

    decay: float = 0.99
    threshold: float | None = None  # uses per batch below which a vector is restarted; 0 disables restarts.
    # None: 1, or in small batches a quarter of the mean uses of a vector
    relative_threshold: float | None = None  # replaces threshold: share of the mean uses of all vectors
    start_step: int = 0  # steps without quantization, for a better initial codebook

    def __post_init__(self) -> None:
        _check_least(self, 0, "threshold", "relative_threshold", "start_step")
        if self.relative_threshold is not None and self.relative_threshold > 1:
            raise ValueError(f"relative_threshold must be in [0, 1], got {self.relative_threshold}")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {self.decay}")


@dataclass(frozen=True, kw_only=True)
class VQVAERecipe:
    """Recipe of `jukectl train vqvae`: one or more levels of a VQ-VAE."""

    out: Path
    levels: tuple[str, ...] = LEVELS
    start: str | None = None  # a model, by name or folder, or a training run: its weights are the initial ones
    architecture: Literal["separate", "hierarchical"] = "separate"  # hierarchical is for comparison only
    decoder_only: bool = False  # encoder and codebook stay as in `start`, and with them the codes of any music
    model: dict[str, Any] = field(default_factory=dict)  # fields of VQVAEConfig
    data: AudioData
    train: TrainConfig
    loss: LossConfig = field(default_factory=LossConfig)
    codebook: CodebookConfig = field(default_factory=CodebookConfig)

    def __post_init__(self) -> None:
        if not self.levels or len(set(self.levels)) < len(self.levels) or not set(self.levels) <= set(LEVELS):
            raise ValueError(f"levels must be one or more of {', '.join(LEVELS)}, got {list(self.levels)}")
        if self.architecture == "hierarchical" and set(self.levels) != set(LEVELS):
            raise ValueError(f"architecture hierarchical needs all levels, got {list(self.levels)}: leave levels out")
        if self.architecture == "hierarchical" and self.start is not None:
            raise ValueError("start needs architecture separate, which all models have")
        if self.decoder_only and self.start is None:
            raise ValueError("decoder_only needs a start, whose codes are decoded")

    @property
    def codebook_start(self) -> int:
        """Step at which the codebook starts: `codebook.start_step`, or half way in a run that ends before it.

        No weights are saved before the codebook starts, so that a quick try with few steps has to start it earlier.
        """
        start, steps = self.codebook.start_step, self.train.steps
        return start if start < steps else steps // 2


@dataclass(frozen=True, kw_only=True)
class CopyingConfig:
    """Settings of the check that a fine-tuned prior does not memorize its songs, see `training/copying.py`."""

    samples: int = 4  # continuations at each evaluation; 0 disables the check
    codes: int = 256  # per continuation

    def __post_init__(self) -> None:
        _check_least(self, 0, "samples")
        _check_least(self, 1, "codes")


@dataclass(frozen=True, kw_only=True)
class PriorRecipe:
    """Recipe of `jukectl train prior` and `jukectl train upsampler`: a transformer over the codes of one level."""

    out: Path
    level: str = "top"
    model: dict[str, Any] = field(default_factory=dict)  # fields of PriorConfig
    label_dropout: float = 0.1  # share of segments without artist and genre
    lyrics_dropout: float = 0.1  # share of segments without lyrics, for a prior with lyrics
    midi_dropout: float = 0.2  # share of segments without notes, for a prior with notes
    beat_dropout: float = 0.2  # share of segments without beats, for a prior with beats
    bar_dropout: float = 0.1  # share of the other segments with beats but without bars
    code_noise: CodeNoise = field(default_factory=CodeNoise)  # codes of other segments that it predicts from
    add_beats: bool = False  # add conditioning on beats, set by model.beats, to the start model
    add_midi: bool = False  # add conditioning on notes, set by model.midi, to the start model
    add_lyrics: bool = False  # add conditioning on lyrics, set by model.lyrics, and blocks to the start model
    lyrics_blocks: int = 3  # number of new blocks for add_lyrics
    lyrics_guide: float = 0.0  # weight of the guided-attention loss, which needs timed words
    lyrics_letters: float = 0.0  # weight of the loss for predicting the sung character from the states of codes
    codec: Path | None = None  # a model folder: initialize code embeddings from its codebooks
    start: str | None = (
        None  # a model, by name or folder, or a training run: its weights and names are the initial ones
    )
    other_codec: bool = False  # start even if the codes are of another VQ-VAE
    adapter: AdapterConfig | None = None  # train a low-rank adapter of the start model instead of all its weights
    copying: CopyingConfig = field(default_factory=CopyingConfig)
    data: CodeData
    train: TrainConfig

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {self.level!r}")
        for name in ("label_dropout", "lyrics_dropout", "midi_dropout", "beat_dropout", "bar_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        self._check_lyrics()
        if self.add_midi and self.start is None:
            raise ValueError("add_midi needs a model to add conditioning on notes to: give it with --from or as start")
        if self.add_midi and self.level != Level.TOP.label:
            raise ValueError(f"add_midi is for level top, the only one conditioned on notes, got {self.level}")
        if self.add_midi and self.adapter is not None:
            raise ValueError("add_midi adds layers, which an adapter cannot hold: leave adapter out")
        self._check_add_beats()
        if self.adapter is not None and self.start is None:
            raise ValueError("adapter needs a model to adapt: give it with --from or as start")
        if self.codec is not None and self.start is not None:
            raise ValueError("codec is for a prior with random weights: leave out codec or start")

    def _check_add_beats(self) -> None:
        """Raise ValueError if add_beats contradicts other settings."""
        if not self.add_beats:
            return
        if self.start is None:
            raise ValueError("add_beats needs a model to add conditioning on beats to: give it with --from or as start")
        if self.level != Level.TOP.label:
            raise ValueError(f"add_beats is for level top, the only one conditioned on beats, got {self.level}")
        if self.adapter is not None:
            raise ValueError("add_beats adds layers, which an adapter cannot hold: leave adapter out")

    def _check_lyrics(self) -> None:
        """Raise ValueError if the settings for lyrics contradict each other."""
        _check_least(self, 1, "lyrics_blocks")
        _check_least(self, 0, "lyrics_guide", "lyrics_letters")
        if self.lyrics_letters and not self.lyrics_guide:
            raise ValueError("lyrics_letters needs lyrics_guide: set that too")
        if self.lyrics_guide and (self.train.compile or self.train.checkpoint_activations):
            raise ValueError(
                "lyrics_guide reads attention inside a block: leave out train.compile and checkpoint_activations"
            )
        if self.add_lyrics and self.start is None:
            raise ValueError(
                "add_lyrics needs a model to add conditioning on lyrics to: give it with --from or as start"
            )
        if self.add_lyrics and self.level != Level.TOP.label:
            raise ValueError(f"add_lyrics is for level top, the only one conditioned on lyrics, got {self.level}")
        if self.add_lyrics and self.adapter is not None:
            raise ValueError("add_lyrics adds blocks, which an adapter cannot hold: leave adapter out")
        if self.add_lyrics and "lyrics" not in self.model:
            raise ValueError(
                "add_lyrics needs a table [model.lyrics], such as: characters = 512 and apart = true; "
                "see examples/singing"
            )


def _check_least(config: object, least: int, *names: str) -> None:
    """Raise ValueError for the first of these fields that is below `least` or NaN; None is allowed."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not value >= least:
            raise ValueError(f"{name} must be at least {least}, got {value}")


def _check_positive(config: object, *names: str) -> None:
    """Raise ValueError for the first of these fields that is not positive."""
    for name in names:
        if not getattr(config, name) > 0:
            raise ValueError(f"{name} must be positive, got {getattr(config, name)}")


def load_recipe(path: Path, kind: type[T], overrides: Sequence[str] = ()) -> T:
    """Load the recipe in a TOML file, with `overrides` such as "train.steps=100" applied.

    Paths in it are relative to the working directory. Raise BadRecipe with the file and the key if it is invalid.
    """
    text = read_text(path, BadRecipe, "recipe")
    try:
        table = parse_toml(text)
    except ValueError as error:
        raise BadRecipe(f"{path} is not a TOML recipe: {error}") from error
    for override in overrides:
        _apply_override(table, override)
    return build(kind, table, str(path))


def _apply_override(table: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise BadRecipe(f"--set takes key=value, such as train.steps=100; got {override!r}")
    try:
        value = parse_toml(f"value = {text}")["value"]
    except ValueError:
        value = text.strip()  # a bare word is text
    *tables, last = (name.strip() for name in key.split("."))
    for name in tables:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise BadRecipe(f"--set {override}: {name} is a value, not a table")
    table[last] = value
