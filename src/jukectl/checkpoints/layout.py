"""How a folder holds a model: what every format of them has in common, and our own."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import torch

from jukectl.checkpoints.card import CARD, ModelCard
from jukectl.checkpoints.tensorfile import SafetensorsFile
from jukectl.checkpoints.weights import Place, Shape, Weights, matched
from jukectl.codes.level import Level
from jukectl.errors import BadModel
from jukectl.prior.config import PriorConfig
from jukectl.prior.model import Prior
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.model import VQVAE

VQVAE_PART = "vqvae"
PARTS = (VQVAE_PART, *(level.label for level in Level))


class Layout(ABC):
    """A folder with a model in one of the formats. Nothing is read before it is asked for."""

    path: Path

    @property
    @abstractmethod
    def card(self) -> ModelCard:
        """What the model is; BadModel where the folder does not tell."""

    @abstractmethod
    def has(self, part: str) -> bool:
        """Whether the model has a part: vqvae, top, middle or bottom."""

    @abstractmethod
    def files(self, part: str) -> tuple[Path, ...]:
        """The files that a part is made of, those that describe it among them."""

    @abstractmethod
    def weights(self, part: str, wanted: Mapping[str, Shape], others: Collection[str] = ()) -> Weights:
        """The wanted tensors of a part, by our names, strictly: BadModel where one is missing, or misshapen.

        `others` are tensors that may be there besides. Any more than these is BadModel too.
        """


@dataclass(frozen=True)
class NativeLayout(Layout):
    """`model.toml` and one safetensors file a part, with our own names."""

    path: Path

    @cached_property
    def card(self) -> ModelCard:
        """What model.toml says; BadModel where there is none."""
        file = self.path / CARD
        try:
            return ModelCard.parse(file.read_text(encoding="utf-8"), file)
        except (OSError, UnicodeDecodeError) as error:
            raise BadModel(
                f"{self.path} is no model folder: {CARD} cannot be read. See: jukectl models list"
            ) from error

    def has(self, part: str) -> bool:
        """Whether its file is there."""
        return self.file(part).exists()

    def file(self, part: str) -> Path:
        """The weight file of a part."""
        return self.path / f"{part}.safetensors"

    def files(self, part: str) -> tuple[Path, ...]:
        """That file alone: the names in it are our own."""
        return (self.file(part),)

    def weights(self, part: str, wanted: Mapping[str, Shape], others: Collection[str] = ()) -> Weights:
        """As they are."""
        file = SafetensorsFile(self.file(part))
        left_out = set(others)
        found = {name: Place(file, name, one) for name, one in file.describe().items() if name not in left_out}
        return matched(wanted, found, lambda name: (name,), f"{file.path} does not fit its {CARD}")


@lru_cache(maxsize=64)
def shapes_of(config: VQVAEConfig | PriorConfig) -> Mapping[str, Shape]:
    """The tensors of a part, by our names, from its config alone."""
    with torch.device("meta"):
        module = VQVAE(config) if isinstance(config, VQVAEConfig) else Prior(config)
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def config_of(card: ModelCard, part: str) -> VQVAEConfig | PriorConfig:
    """The config of a part."""
    if part == VQVAE_PART:
        return card.vqvae
    level = Level.parse(part)
    if level not in card.priors:
        raise BadModel(f"the model {card.name} has no {part} prior")
    return card.priors[level]


def part_weights(layout: Layout, part: str) -> Weights:
    """All tensors of a part, unread, all seen to fit."""
    return layout.weights(part, shapes_of(config_of(layout.card, part)))


def first_rows_of(config: VQVAEConfig | PriorConfig) -> dict[str, int]:
    """Of the tensors whose rows are in another order in foreign formats, the row there that is our first.

    Where lyrics and codes share a table of ids, characters are the first there, and codes are here.
    """
    if isinstance(config, VQVAEConfig) or not config.lead or config.lyrics is None:
        return {}
    return dict.fromkeys(("codes.weight", "head"), config.lyrics.alphabet)
