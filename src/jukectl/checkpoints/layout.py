"""Layouts of model folders: the interface that all formats share, and the native format."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import takewhile
from pathlib import Path

from jukectl.checkpoints.card import ModelCard
from jukectl.checkpoints.places import CARD
from jukectl.checkpoints.tensorfile import SafetensorsFile
from jukectl.checkpoints.weights import Place, Shape, Weights, matched
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadModel
from jukectl.nn.unallocated import unallocated
from jukectl.prior.config import PriorConfig
from jukectl.prior.model import Prior
from jukectl.tables import read_text_if_any
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.model import VQVAE

VQVAE_PART = "vqvae"
# levels from the bottom up, as files are listed; the codec first, since every command needs it
PARTS = (VQVAE_PART, *(level.label for level in Level))


def abilities(parts: Collection[str]) -> str:
    """Return a sentence on what a model with these parts can do."""
    if not parts:
        return "It has no part that could be used"
    has = f"It has {', '.join(part for part in (VQVAE_PART, *(level.label for level in TOP_DOWN)) if part in parts)}"
    if VQVAE_PART not in parts:
        return f"{has}, which can do nothing without the codec, vqvae"
    songs = [level.label for level in takewhile(lambda level: level.label in parts, TOP_DOWN)]
    upsampled = [level.label for level in TOP_DOWN[1:] if level.label in parts and level.label not in songs]
    can = ["encode and decode"]
    if songs:
        can.append(f"make songs with --levels {','.join(songs)}")
    if upsampled:
        can.append(f"upsample encoded recordings to {' and '.join(upsampled)}")
    return f"{has}, and so can {', '.join(can)}"


class Layout(ABC):
    """A folder with a model in one of the formats. Files are read on request."""

    path: Path

    @property
    @abstractmethod
    def card(self) -> ModelCard:
        """Description of the model. Raises BadModel if the folder has none."""

    @property
    @abstractmethod
    def described(self) -> Collection[str]:
        """Parts that the description names, whether their weights are there or not."""

    @abstractmethod
    def has(self, part: str) -> bool:
        """Return True if a part is described and its weights are there: vqvae, top, middle or bottom."""

    @abstractmethod
    def absence(self, part: str) -> str:
        """Return where the weights of a part are missing, for a message: "top.safetensors is missing"."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts that the model has."""
        return tuple(filter(self.has, PARTS))

    @property
    def missing(self) -> tuple[str, ...]:
        """Parts that are described, and whose weights are not there."""
        return tuple(part for part in PARTS if part in self.described and not self.has(part))

    @property
    def shortage(self) -> str:
        """Return which parts are missing and what the others can do; empty for a complete model."""
        if not self.missing:
            return ""
        gone = ", ".join(map(self.absence, self.missing))
        return f"{self.path} is incomplete: {gone}. {abilities(self.parts)}"

    def need(self, *parts: str) -> None:
        """Raise BadModel, which says what the model can do, unless it has these parts."""
        for part in parts:
            if self.has(part):
                continue
            if part in self.described:
                raise BadModel(self.shortage)
            raise BadModel(f"the model in {self.path} has no {part} prior. {abilities(self.parts)}")

    @abstractmethod
    def files(self, part: str) -> tuple[Path, ...]:
        """Return the files of a part, including those that describe it: its fingerprint depends on all of them."""

    @abstractmethod
    def weights(self, part: str, wanted: Mapping[str, Shape], others: Collection[str] = ()) -> Weights:
        """Return the wanted tensors of a part, by our names. Raise BadModel if one is missing or has another shape.

        `others` are tensors that may also be there; any further one is BadModel too.
        """


@dataclass(frozen=True)
class NativeLayout(Layout):
    """`model.toml` and one safetensors file for each part, with our own names."""

    path: Path

    @cached_property
    def card(self) -> ModelCard:
        """Content of model.toml. Raises BadModel if there is none."""
        file = self.path / CARD
        text = read_text_if_any(file, BadModel, "card")
        if text is None:
            raise BadModel(f"{self.path} is not a model folder: there is no {CARD}. See: jukectl models list")
        return ModelCard.parse(text, file)

    @property
    def described(self) -> tuple[str, ...]:
        """Codec and priors in model.toml."""
        return (VQVAE_PART, *(level.label for level in self.card.priors))

    def has(self, part: str) -> bool:
        """Return True if model.toml has the part, and its file exists."""
        return part in self.described and self.file(part).exists()

    def absence(self, part: str) -> str:
        """Name the part's file."""
        return f"{self.file(part).name} is missing"

    def file(self, part: str) -> Path:
        """Return the weight file of a part."""
        return self.path / f"{part}.safetensors"

    def files(self, part: str) -> tuple[Path, ...]:
        """Return the weight file alone: names and shapes are in it."""
        return (self.file(part),)

    def weights(self, part: str, wanted: Mapping[str, Shape], others: Collection[str] = ()) -> Weights:
        """Return the tensors by the names that they have in the file."""
        file = SafetensorsFile(self.file(part))
        left_out = set(others)  # known tensors that this call does not load, so they do not count as unexpected
        found = {name: Place(file, name, one) for name, one in file.describe().items() if name not in left_out}
        # native files hold one of two tied tensors, under the one name that we have for both
        return matched(wanted, found, lambda name: (name,), f"{file.path} does not fit its {CARD}")


@lru_cache(maxsize=64)
def shapes_of(config: VQVAEConfig | PriorConfig) -> Mapping[str, Shape]:
    """Return the shapes of a part's tensors by our names, from its config alone."""
    with unallocated():  # without memory; cached, since constructing 79 layers takes time all the same
        module = VQVAE(config) if isinstance(config, VQVAEConfig) else Prior(config)
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def config_of(card: ModelCard, part: str) -> VQVAEConfig | PriorConfig:
    """Return the config of a part."""
    if part == VQVAE_PART:
        return card.vqvae
    level = Level.parse(part)  # parts of priors are called by their levels
    if level not in card.priors:
        raise BadModel(f"the model {card.name} has no {part} prior")
    return card.priors[level]


def part_weights(layout: Layout, part: str) -> Weights:
    """Return all tensors of a part, unread, after checking names and shapes."""
    return layout.weights(part, shapes_of(config_of(layout.card, part)))


def first_rows_of(config: VQVAEConfig | PriorConfig) -> dict[str, int]:
    """Return, for tensors whose rows are in another order in foreign formats, the row there that is our first.

    In the published one-stack model lyric tokens and codes share a table of ids. Its lyric tokens come first; ours come
    last, so that codes have the same ids in every prior.
    """
    # a separate encoder has its own table of characters: then there is nothing to reorder
    if isinstance(config, VQVAEConfig) or not config.lyric_tokens or config.lyrics is None:
        return {}
    # the embedding and the head; all other tensors have no rows for ids
    return dict.fromkeys(("codes.weight", "head"), config.lyrics.alphabet)
