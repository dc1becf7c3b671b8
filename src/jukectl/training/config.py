"""Training recipes: TOML in, frozen dataclasses out, every mistake named with its key."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from jukectl.errors import BadRecipe


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The loop: how long, how fast, how often saved. Defaults are the paper's where it gives them (Jukebox, appendix B)."""

    steps: int
    batch: int  # clips or segments a step
    learning_rate: float = 1.5e-4
    weight_decay: float = 0.002
    betas: tuple[float, ...] = (0.9, 0.99)
    warmup: int = 100  # steps of linear rise
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_norm: float = 1.0
    average: float = 0.0  # decay of the moving average of the weights; 0 keeps none
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: int = 0
    log_every: int = 20  # steps
    evaluate_every: int = 500
    checkpoint_every: int = 250
    threads: int | None = None  # None leaves it to torch

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "log_every", "evaluate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate must be over 0, got {self.learning_rate}")
        if not 0 <= self.average < 1:
            raise ValueError(f"average is a decay from 0 up to 1, got {self.average}")


@dataclass(frozen=True, kw_only=True)
class AudioData:
    """Waveforms to learn a codec from."""

    manifest: Path
    held_out: tuple[str, ...] = ()  # globs over the manifest's paths: songs kept for validation
    clip_samples: int = 16_384  # audio samples a clip
    validation_seconds: float = 8.0  # taken from the middle of each held-out song
    validation_songs: int = 24  # at most, spread evenly over the held-out ones


@dataclass(frozen=True, kw_only=True)
class CodeData:
    """Code folders to learn a prior from, as `jukectl data encode` writes them."""

    codes: Path
    held_out: tuple[str, ...] = ()
    validation_segments: int = 48  # spread evenly over the held-out songs


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the codec's loss terms (Jukebox, section 3 and appendix B)."""

    spectral: float = 1.0
    waveform: float = 1.0
    worst: float = 0.02  # the L-infinity-like term
    worst_samples: int = 2_048  # over so many of the worst samples of a clip
    commitment: float = 0.02


@dataclass(frozen=True, kw_only=True)
class CodebookConfig:
    """How the codebook learns."""

    decay: float = 0.99
    threshold: float = 1.0  # mean uses a batch under which a vector is restarted; 0 never restarts
    start_step: int = 0  # steps that encoder and decoder learn alone first, which makes a far better first codebook


@dataclass(frozen=True, kw_only=True)
class VQVAERecipe:
    """`jukectl train vqvae`: one or more levels of a VQ-VAE."""

    out: Path
    levels: tuple[str, ...] = ("bottom", "middle", "top")
    model: dict[str, Any] = field(default_factory=dict)  # fields of VQVAEConfig
    data: AudioData
    train: TrainConfig
    loss: LossConfig = field(default_factory=LossConfig)
    codebook: CodebookConfig = field(default_factory=CodebookConfig)


@dataclass(frozen=True, kw_only=True)
class PriorRecipe:
    """`jukectl train prior` and `jukectl train upsampler`: one transformer over one level's codes."""

    out: Path
    level: str = "top"
    model: dict[str, Any] = field(default_factory=dict)  # fields of PriorConfig
    label_dropout: float = 0.1  # share of segments that are trained without artist and genre
    data: CodeData
    train: TrainConfig


RecipeType = TypeVar("RecipeType")


def load_recipe(path: Path, kind: type[RecipeType], overrides: Sequence[str] = ()) -> RecipeType:
    """The recipe in a TOML file, with `overrides` like "train.steps=100" laid over it.

    Paths in it are relative to the working folder. Raises BadRecipe naming the file and the key.
    """
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise BadRecipe(f"cannot read the recipe {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRecipe(f"{path} is not a TOML recipe: {error}") from error
    for override in overrides:
        _lay_over(table, override)
    return build(kind, table, str(path))


def _lay_over(table: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise BadRecipe(f"--set takes key=value, such as train.steps=100; got {override!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is text
    *tables, last = key.strip().split(".")
    for name in tables:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise BadRecipe(f"--set {override}: {name} is a value, not a table")
    table[last] = value


def build(kind: type[RecipeType], table: Mapping[str, Any], where: str) -> RecipeType:
    """A dataclass of `kind` from a TOML table; BadRecipe names what is unknown, missing or of another type."""
    hints = get_type_hints(kind)
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(table) - known)
    if unknown:
        raise BadRecipe(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
    values = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        message = str(error).replace(f"{kind.__name__}.__init__() ", "").replace("keyword-only argument", "key")
        raise BadRecipe(f"{where}: {message}") from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as TOML gives it, in the type that the field wants."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        inner = [one for one in get_args(hint) if one is not type(None)]
        return _convert(inner[0], value, where)
    if origin is Literal:
        if value not in get_args(hint):
            raise BadRecipe(f"{where} must be one of {', '.join(map(str, get_args(hint)))}, got {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise BadRecipe(f"{where} must be a list, got {value!r}")
        return tuple(_convert(get_args(hint)[0], one, where) for one in value)
    if origin is dict:
        return dict(value)
    if hasattr(hint, "__dataclass_fields__"):
        if not isinstance(value, Mapping):
            raise BadRecipe(f"{where} must be a table, got {value!r}")
        return build(hint, value, where)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise BadRecipe(f"{where} must be {hint.__name__}, got {value!r}")
    return value
