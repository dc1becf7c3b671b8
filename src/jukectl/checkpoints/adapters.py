"""Adapters on disk, and a model folder that wears some: merged into its priors as they are loaded."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from jukectl.checkpoints.card import ModelCard
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.errors import BadAdapter, UnknownName
from jukectl.files import atomic_write
from jukectl.prior.adapters import ARTISTS, GENRES, merge
from jukectl.prior.model import Prior
from jukectl.prior.surgery import grow_vocabulary
from jukectl.prior.vocabulary import place_of

FORMAT = 1
METADATA = "jukectl.adapter"  # where in a safetensors file the card is, as JSON


@dataclass(frozen=True, kw_only=True)
class AdapterCard:
    """What an adapter is made for, and what it adds."""

    model: str  # name of the model that was adapted
    level: Level
    base: str  # fingerprint of that level's prior
    rank: int
    alpha: float
    artists: tuple[str, ...] = ()  # names that are new to the model, in the order of their rows
    genres: tuple[str, ...] = ()

    @property
    def scale(self) -> float:
        """What the low-rank terms are multiplied by."""
        return self.alpha / self.rank

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON takes them."""
        return {
            "format": FORMAT,
            "model": self.model,
            "level": self.level.label,
            "base": self.base,
            "rank": self.rank,
            "alpha": self.alpha,
            "artists": list(self.artists),
            "genres": list(self.genres),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`. Raises KeyError, TypeError, ValueError or UnknownName where they are none."""
        if int(values["format"]) > FORMAT:
            raise ValueError(f"format {values['format']} is newer than this jukectl reads ({FORMAT}): update jukectl")
        return cls(
            model=str(values["model"]),
            level=Level.parse(values["level"]),
            base=str(values["base"]),
            rank=int(values["rank"]),
            alpha=float(values["alpha"]),
            artists=tuple(map(str, values["artists"])),
            genres=tuple(map(str, values["genres"])),
        )


@dataclass(frozen=True, eq=False)
class AdapterFile:
    """An adapter as it lies on disk."""

    path: Path
    card: AdapterCard
    tensors: Mapping[str, Tensor]
    fingerprint: str  # SHA-256 of the file, hex

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read one; BadAdapter where the file is none, or damaged."""
        try:
            content = path.read_bytes()
            tensors = load(content)
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])  # as safetensors lays it out
            card = AdapterCard.from_dict(json.loads(header["__metadata__"][METADATA]))
        except OSError as error:
            raise BadAdapter(f"cannot read the adapter {path}: {error.strerror or error}") from error
        except (SafetensorError, KeyError, TypeError, ValueError, UnknownName) as error:
            raise BadAdapter(
                f"{path} is damaged, or no adapter as jukectl train prior --adapter-rank writes it: {error}"
            ) from error
        return cls(path, card, tensors, hashlib.sha256(content).hexdigest())


def save_adapter(path: Path, card: AdapterCard, tensors: Mapping[str, Tensor]) -> None:
    """Write an adapter, in float32."""
    kept = {name: tensor.float().contiguous() for name, tensor in tensors.items()}
    with atomic_write(path) as file:
        file.write(save(kept, metadata={METADATA: json.dumps(card.to_dict(), ensure_ascii=False)}))


@dataclass(frozen=True, eq=False)
class AppliedAdapter:
    """An adapter, and how strongly it changes the layers: 1 as it was trained, 0 not at all."""

    adapter: AdapterFile
    strength: float = 1.0


@dataclass(frozen=True, eq=False)
class AdaptedModel(ModelFolder):
    """A model folder whose priors wear adapters, several on top of each other where there are several for a level.

    Names that they add come after the model's own, in the order of the adapters. Where two of them teach one level
    the same name, the row of the last one holds.
    """

    adapters: tuple[AppliedAdapter, ...] = ()

    @classmethod
    def with_adapters(cls, folder: ModelFolder, adapters: Sequence[AppliedAdapter]) -> Self:
        """`folder` with these adapters; BadAdapter where one was made for another prior than it has."""
        for applied in adapters:
            card = applied.adapter.card
            where = (
                f"{applied.adapter.path} was made for the {card.level.label} prior of {card.model} ({card.base[:12]})"
            )
            if card.level not in folder.card.priors:
                raise BadAdapter(f"{where}, and {folder.card.name} has no {card.level.label} prior")
            if (here := folder.fingerprint(card.level.label)) != card.base:
                raise BadAdapter(
                    f"{where}, and that of {folder.card.name} in {folder.path} is another ({here[:12]}): "
                    "name the right model with --model, or train the adapter again from this one"
                )
        return cls(folder.path, tuple(adapters))

    @cached_property
    def card(self) -> ModelCard:
        """The folder's own, with the names that the adapters add."""
        card = ModelFolder(self.path).card
        if not self.adapters:
            return card
        priors = dict(card.priors)
        names = card.vocabulary.named(
            max((config.artists for config in priors.values()), default=0),
            max((config.genres for config in priors.values()), default=0),
        )
        for new in (applied.adapter.card for applied in self.adapters):
            names = names.grown(new.artists, new.genres)
            config = priors[new.level]
            artists = [place_of(name, names.artists) + 1 for name in new.artists]
            genres = [place_of(name, names.genres) + 1 for name in new.genres]
            priors[new.level] = replace(
                config, artists=max(config.artists, *artists, 0), genres=max(config.genres, *genres, 0)
            )
        return replace(card, vocabulary=names, priors=priors)

    def prior(self, level: Level, device: torch.device, dtype: torch.dtype = torch.float32) -> Prior:
        """One level's prior on `device`, with its adapters merged into the weights."""
        prior = ModelFolder(self.path).prior(level, device, dtype)
        config, names = self.card.priors[level], self.card.vocabulary
        grow_vocabulary(prior, artists=config.artists, genres=config.genres)
        for applied in self.adapters:
            adapter = applied.adapter
            if adapter.card.level is not level:
                continue
            try:
                merge(prior, adapter.tensors, applied.strength * adapter.card.scale)
                _set_rows(prior.artist_genre.artist, adapter.tensors, ARTISTS, names.artists, adapter.card.artists)
                _set_rows(prior.artist_genre.genre, adapter.tensors, GENRES, names.genres, adapter.card.genres)
            except (KeyError, ValueError, RuntimeError) as error:
                raise BadAdapter(f"{adapter.path} does not fit the prior it was made for: {error}") from error
        return prior


@torch.no_grad()
def _set_rows(
    embedding: nn.Embedding, tensors: Mapping[str, Tensor], name: str, known: Sequence[str], new: Sequence[str]
) -> None:
    """Put the rows that an adapter learned for its names where the model has these names."""
    if new:
        places = [place_of(one, known) for one in new]
        embedding.weight[places] = tensors[f"{name}.rows"].to(embedding.weight)
