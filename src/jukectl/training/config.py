"""Training recipes: TOML in, frozen dataclasses out, every mistake named with its file and key."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jukectl.codes.level import Level
from jukectl.errors import BadRecipe
from jukectl.prior.config import AdapterConfig
from jukectl.tables import T, build, parse_toml, read_text

LEVELS = tuple(level.label for level in Level)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The loop: how long, how fast, how often saved. Defaults are the paper's where it gives them (Jukebox, B)."""

    steps: int
    batch: int  # clips or segments a step, of all processes together
    accumulate: int = 1  # parts that a process lets pass one after another, where its share of a batch is too large
    learning_rate: float = 1.5e-4
    weight_decay: float = 0.002
    betas: tuple[float, ...] = (0.9, 0.99)
    warmup: int = 100  # steps of linear rise
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_norm: float = 1.0
    average: float = 0.0  # decay of the moving average of the weights; 0 keeps none
    patience: int = 0  # evaluations without a gain after which training stops early; 0 never stops
    precision: Literal["fp32", "bf16"] = "fp32"
    checkpoint_activations: bool = False  # less memory for a third more computing: blocks are passed twice
    compile: bool = False  # the blocks, by torch.compile: faster steps after a slow first one
    seed: int = 0
    log_every: int = 20  # steps
    evaluate_every: int = 500
    checkpoint_every: int = 250
    threads: int | None = None  # None leaves it to torch

    def __post_init__(self) -> None:
        _check_least(
            self, 1, "steps", "batch", "accumulate", "log_every", "evaluate_every", "checkpoint_every", "threads"
        )
        _check_least(self, 0, "weight_decay", "warmup", "patience", "seed")
        _check_positive(self, "learning_rate", "clip_norm")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas are two numbers from 0 up to 1, got {list(self.betas)}")
        if not 0 <= self.average < 1:
            raise ValueError(f"average is a decay from 0 up to 1, got {self.average}")


@dataclass(frozen=True, kw_only=True)
class AudioData:
    """Waveforms to learn a codec from."""

    manifest: Path
    held_out: tuple[str, ...] = ()  # paths or globs: songs for validation; none means as the scan split them
    clip_samples: int = 16_384  # audio samples a clip
    validation_seconds: float = 8.0  # taken from the middle of each held-out song
    validation_songs: int = 24  # at most, spread evenly over the held-out ones

    def __post_init__(self) -> None:
        _check_least(self, 1, "clip_samples", "validation_songs")
        _check_positive(self, "validation_seconds")


@dataclass(frozen=True, kw_only=True)
class CodeData:
    """Code folders to learn a prior from, as `jukectl data encode` writes them."""

    codes: Path | tuple[Path, ...]  # a folder, or several: their songs are learnt from together
    held_out: tuple[str, ...] = ()  # as for audio
    validation_segments: int = 48  # spread evenly over the held-out songs

    def __post_init__(self) -> None:
        _check_least(self, 1, "validation_segments")
        if not self.folders:
            raise ValueError("codes must name a folder or more, got none")

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders, be it one or several."""
        return self.codes if isinstance(self.codes, tuple) else (self.codes,)


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the codec's loss terms (Jukebox, section 3 and appendix B)."""

    spectral: float = 1.0
    waveform: float = 1.0
    worst: float = 0.02  # the L-infinity-like term
    worst_samples: int = 2_048  # over so many of the worst samples of a clip
    mel: float = 0.0  # the distance of log mel bands, which words need; not in the paper
    attack: float = 0.0  # the distance of their change in time, so that attacks stay sharp; not in the paper
    peaks: float = 0.0  # their squared distance by loudness, so that partials of notes are kept; not in the paper
    commitment: float = 0.02

    def __post_init__(self) -> None:
        _check_least(self, 0, "spectral", "waveform", "worst", "mel", "attack", "peaks", "commitment")
        _check_least(self, 1, "worst_samples")


@dataclass(frozen=True, kw_only=True)
class CodebookConfig:
    """How the codebook learns."""

    decay: float = 0.99
    threshold: float = 1.0  # mean uses a batch under which a vector is restarted; 0 never restarts
    relative_threshold: float | None = None  # takes its place: share of the mean uses of all vectors
    start_step: int = 0  # steps that encoder and decoder learn alone first, which makes a far better first codebook

    def __post_init__(self) -> None:
        _check_least(self, 0, "threshold", "relative_threshold", "start_step")
        if self.relative_threshold is not None and self.relative_threshold > 1:
            raise ValueError(f"relative_threshold is a share from 0 to 1, got {self.relative_threshold}")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay is a number from 0 up to 1, got {self.decay}")


@dataclass(frozen=True, kw_only=True)
class VQVAERecipe:
    """`jukectl train vqvae`: one or more levels of a VQ-VAE."""

    out: Path
    levels: tuple[str, ...] = LEVELS
    start: str | None = None  # a model, by name or folder, or a training run: its weights are begun with
    architecture: Literal["separate", "hierarchical"] = "separate"  # of the levels; hierarchical is for comparison only
    model: dict[str, Any] = field(default_factory=dict)  # fields of VQVAEConfig
    data: AudioData
    train: TrainConfig
    loss: LossConfig = field(default_factory=LossConfig)
    codebook: CodebookConfig = field(default_factory=CodebookConfig)

    def __post_init__(self) -> None:
        if not self.levels or len(set(self.levels)) < len(self.levels) or not set(self.levels) <= set(LEVELS):
            raise ValueError(f"levels are one or more of {', '.join(LEVELS)}, got {list(self.levels)}")
        if self.architecture == "hierarchical" and set(self.levels) != set(LEVELS):
            raise ValueError(f"architecture hierarchical has all levels, got {list(self.levels)}: leave levels out")
        if self.architecture == "hierarchical" and self.start is not None:
            raise ValueError("start is for separate levels: models have no others")
        if self.codebook.start_step >= self.train.steps:
            raise ValueError(
                f"codebook.start_step {self.codebook.start_step} must come before train.steps {self.train.steps}: "
                "without a codebook there is nothing to keep"
            )


@dataclass(frozen=True, kw_only=True)
class CopyingConfig:
    """How a run that starts from a model is watched for learning its songs by heart, see `training/copying.py`."""

    samples: int = 4  # continuations at each evaluation; 0 does not look
    codes: int = 256  # of each

    def __post_init__(self) -> None:
        _check_least(self, 0, "samples")
        _check_least(self, 1, "codes")


@dataclass(frozen=True, kw_only=True)
class PriorRecipe:
    """`jukectl train prior` and `jukectl train upsampler`: one transformer over one level's codes."""

    out: Path
    level: str = "top"
    model: dict[str, Any] = field(default_factory=dict)  # fields of PriorConfig
    label_dropout: float = 0.1  # share of segments that are trained without artist and genre
    lyrics_dropout: float = 0.1  # share of segments that are trained without lyrics, of a prior that takes them
    midi_dropout: float = 0.2  # share of segments that are trained without notes, of a prior that takes them
    beat_dropout: float = 0.2  # share of segments that are trained without beats, of a prior that takes them
    bar_dropout: float = 0.1  # share of the others that are trained with beats alone, without bars
    add_beats: bool = False  # add conditioning on beats, by model.beats, to the model that is started from
    add_midi: bool = False  # what is started from knows no notes: it learns them, by model.midi
    add_lyrics: bool = False  # what is started from knows no lyrics: it learns them, by model.lyrics and new blocks
    lyrics_blocks: int = 3  # new blocks for them
    lyrics_guide: float = 0.0  # weight of a loss that has one head look at what is sung, by the times of words
    lyrics_letters: float = 0.0  # weight beside it of one that has the codes' states tell which character that is
    codec: Path | None = None  # a model folder: the embeddings of codes begin as images of its codebooks' vectors
    start: str | None = None  # a model, by name or folder, or a training run: its weights and names are begun with
    other_codec: bool = False  # start although another VQ-VAE gave the codes their meaning
    adapter: AdapterConfig | None = None  # learn a low-rank adapter of what is started from, not all of its weights
    copying: CopyingConfig = field(default_factory=CopyingConfig)
    data: CodeData
    train: TrainConfig

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"level is one of {', '.join(LEVELS)}, got {self.level!r}")
        for name in ("label_dropout", "lyrics_dropout", "midi_dropout", "beat_dropout", "bar_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, got {getattr(self, name)}")
        self._check_lyrics()
        if self.add_midi and self.start is None:
            raise ValueError("add_midi needs a model that learns to follow notes: give it with --from or as start")
        if self.add_midi and self.level != Level.TOP.label:
            raise ValueError(f"add_midi is for level top, which alone is told notes, got {self.level}")
        if self.add_midi and self.adapter is not None:
            raise ValueError("add_midi gives a prior new layers, which an adapter cannot hold: leave adapter out")
        self._check_add_beats()
        if self.adapter is not None and self.start is None:
            raise ValueError("adapter needs a model that it adapts: give it with --from or as start")
        if self.codec is not None and self.start is not None:
            raise ValueError("codec is for a prior that starts from random weights: leave it out beside start")

    def _check_add_beats(self) -> None:
        """Raise ValueError where add_beats cannot be done."""
        if not self.add_beats:
            return
        if self.start is None:
            raise ValueError("add_beats needs a model that learns to follow beats: give it with --from or as start")
        if self.level != Level.TOP.label:
            raise ValueError(f"add_beats is for level top, which alone is conditioned on beats, got {self.level}")
        if self.adapter is not None:
            raise ValueError("add_beats gives a prior new layers, which an adapter cannot hold: leave adapter out")

    def _check_lyrics(self) -> None:
        """ValueError where what is asked of lyrics does not go together."""
        _check_least(self, 1, "lyrics_blocks")
        _check_least(self, 0, "lyrics_guide", "lyrics_letters")
        if self.lyrics_letters and not self.lyrics_guide:
            raise ValueError("lyrics_letters goes with lyrics_guide: give that too")
        if self.lyrics_guide and (self.train.compile or self.train.checkpoint_activations):
            raise ValueError("lyrics_guide looks into a block: leave train.compile and checkpoint_activations out")
        if self.add_lyrics and self.start is None:
            raise ValueError("add_lyrics needs a model that learns to hear them: give it with --from or as start")
        if self.add_lyrics and self.level != Level.TOP.label:
            raise ValueError(f"add_lyrics is for level top, which alone is told lyrics, got {self.level}")
        if self.add_lyrics and self.adapter is not None:
            raise ValueError("add_lyrics gives a prior new blocks, which an adapter cannot hold: leave adapter out")
        if self.add_lyrics and "lyrics" not in self.model:
            raise ValueError(
                "add_lyrics needs a table [model.lyrics], such as: characters = 512 and apart = true; "
                "see examples/singing"
            )


def _check_least(config: object, least: int, *names: str) -> None:
    """ValueError for the first of the named fields that is under `least`, or not a number; None passes."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not value >= least:
            raise ValueError(f"{name} must be at least {least}, got {value}")


def _check_positive(config: object, *names: str) -> None:
    """ValueError for the first of the named fields that is not over 0."""
    for name in names:
        if not getattr(config, name) > 0:
            raise ValueError(f"{name} must be over 0, got {getattr(config, name)}")


def load_recipe(path: Path, kind: type[T], overrides: Sequence[str] = ()) -> T:
    """The recipe in a TOML file, with `overrides` like "train.steps=100" laid over it.

    Paths in it are relative to the working folder. Raises BadRecipe naming the file and the key.
    """
    text = read_text(path, BadRecipe, "recipe")
    try:
        table = parse_toml(text)
    except ValueError as error:
        raise BadRecipe(f"{path} is not a TOML recipe: {error}") from error
    for override in overrides:
        _lay_over(table, override)
    return build(kind, table, str(path))


def _lay_over(table: dict[str, Any], override: str) -> None:
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
