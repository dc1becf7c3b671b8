"""Adapters on disk, and a model with adapters: merged into its priors when they are loaded."""

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
from jukectl.checkpoints.tensorfile import is_finite
from jukectl.codes.level import Level
from jukectl.errors import BadAdapter, UnknownName
from jukectl.files import atomic_write, read_bytes
from jukectl.prior.adapters import ARTISTS, GENRES, merge
from jukectl.prior.config import AdapterConfig
from jukectl.prior.model import Prior
from jukectl.prior.surgery import grow_vocabulary
from jukectl.prior.vocabulary import place_of
from jukectl.tables import parse_json
from jukectl.truncation import cut_short, reason_of

FORMAT = 1
LARGEST = 2**32  # bytes
METADATA = "jukectl.adapter"  # key of the card in the metadata of a safetensors file, as JSON


@dataclass(frozen=True, kw_only=True)
class AdapterCard:
    """Description of an adapter: the prior that it was trained for, and the names that it adds."""

    model: str  # name of the model that was adapted
    level: Level
    base: str  # fingerprint of that level's prior: low-rank terms are meaningless for any other weights
    rank: int
    alpha: float
    artists: tuple[str, ...] = ()  # names that the model lacks, in the order of their embedding rows
    genres: tuple[str, ...] = ()

    @property
    def scale(self) -> float:
        """Factor of the low-rank terms (LoRA, Hu et al. 2021, section 4.1)."""
        return self.alpha / self.rank

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
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
        """Make a card from the result of `to_dict`. Raise KeyError, TypeError, ValueError or UnknownName if invalid."""
        if int(values["format"]) > FORMAT:
            raise ValueError(f"format {values['format']} is newer than this jukectl reads ({FORMAT}): update jukectl")
        # converted, not trusted: a wrong type raises here, and not where it is used
        AdapterConfig(rank=int(values["rank"]), alpha=float(values["alpha"]))
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
    """An adapter file."""

    path: Path
    card: AdapterCard
    tensors: Mapping[str, Tensor]
    fingerprint: str  # SHA-256 of the file, hex

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load an adapter. Raise BadAdapter if the file is damaged or something else."""
        try:
            # once: tensors, card and fingerprint are then those of one state of the file
            content = read_bytes(path, BadAdapter, "adapter", largest=LARGEST)
            tensors = load(content)
            # safetensors: 8 bytes of the header's length, then the header; the library returns no metadata from bytes
            header = parse_json(content[8 : 8 + int.from_bytes(content[:8], "little")])
            card = AdapterCard.from_dict(parse_json(header["__metadata__"][METADATA]))
        except (SafetensorError, KeyError, TypeError, ValueError, OverflowError, UnknownName) as error:
            reason = cut_short(path) or reason_of(error)
            raise BadAdapter(
                f"{path} is damaged, or not an adapter of jukectl train prior --adapter-rank: {reason}"
            ) from error
        for name, tensor in tensors.items():
            if not tensor.is_floating_point():
                raise BadAdapter(f"{path} is damaged: {name} holds no numbers of an adapter")
            if not is_finite(tensor):
                raise BadAdapter(f"{path} is damaged: {name} holds numbers that are infinite or not a number")
        return cls(path, card, tensors, hashlib.sha256(content).hexdigest())


def save_adapter(path: Path, card: AdapterCard, tensors: Mapping[str, Tensor]) -> None:
    """Write an adapter in float32."""
    # a few megabytes at any rank, so precision costs nothing
    kept = {name: tensor.float().contiguous() for name, tensor in tensors.items()}
    with atomic_write(path) as file:
        file.write(save(kept, metadata={METADATA: json.dumps(card.to_dict(), ensure_ascii=False)}))


@dataclass(frozen=True, eq=False)
class AppliedAdapter:
    """An adapter and the strength of its terms: 1 as trained, 0 without effect."""

    adapter: AdapterFile
    strength: float = 1.0


@dataclass(frozen=True, eq=False)
class AdaptedModel(ModelFolder):
    """A model with adapters. Those of one level are added up.

    New names come after the model's own, in the order of the adapters. Where two adapters have the same new name at one
    level, the embedding row of the last one is used.
    """

    adapters: tuple[AppliedAdapter, ...] = ()

    @classmethod
    def with_adapters(cls, folder: ModelFolder, adapters: Sequence[AppliedAdapter]) -> Self:
        """Return `folder` with adapters. Raise BadAdapter for an adapter of another prior than the folder's."""
        for applied in adapters:
            card = applied.adapter.card
            where = (
                f"{applied.adapter.path} was made for the {card.level.label} prior of {card.model} ({card.base[:12]})"
            )
            if card.level not in folder.card.priors:
                raise BadAdapter(f"{where}, and {folder.card.name} has no {card.level.label} prior")
            # by fingerprint, not by name: a model that was trained further keeps its name
            if (here := folder.fingerprint(card.level.label)) != card.base:
                raise BadAdapter(
                    f"{where}, and that of {folder.card.name} in {folder.path} is another ({here[:12]}): "
                    "name the right model with --model, or train the adapter again from this one"
                )
        return cls(folder.path, tuple(adapters))

    @cached_property
    def card(self) -> ModelCard:
        """Card of the folder, with the names that the adapters add."""
        card = ModelFolder(self.path).card  # of a plain folder: this property must not call itself
        if not self.adapters:
            return card  # unchanged, without placeholders for missing names
        priors = dict(card.priors)
        # names without a text get placeholders, so that a new name's place in the list is its embedding row
        names = card.vocabulary.named(
            max((config.artists for config in priors.values()), default=0),
            max((config.genres for config in priors.values()), default=0),
        )
        for new in (applied.adapter.card for applied in self.adapters):
            names = names.grown(new.artists, new.genres)
            config = priors[new.level]
            artists = [place_of(name, names.artists) + 1 for name in new.artists]
            genres = [place_of(name, names.genres) + 1 for name in new.genres]
            # a level without this name keeps its size: its prior learned nothing of it
            priors[new.level] = replace(
                config, artists=max(config.artists, *artists, 0), genres=max(config.genres, *genres, 0)
            )
        return replace(card, vocabulary=names, priors=priors)

    def is_adapted(self, level: Level) -> bool:
        """Return True if an adapter changes the prior of a level."""
        return any(one.adapter.card.level is level for one in self.adapters)

    def prior(self, level: Level, device: torch.device, dtype: torch.dtype = torch.float32) -> Prior:
        """Load one level's prior to `device` with its adapters merged into the weights."""
        # merged, since sampling then costs nothing more, and every decoder works as it does without adapters
        prior = ModelFolder(self.path).prior(level, device, dtype)
        config, names = self.card.priors[level], self.card.vocabulary
        grow_vocabulary(prior, artists=config.artists, genres=config.genres)
        for applied in self.adapters:
            adapter = applied.adapter
            if adapter.card.level is not level:  # an adapter changes one prior
                continue
            try:
                # in the order of the list, since the last row of a name replaces the others
                merge(prior, adapter.tensors, applied.strength * adapter.card.scale)
                _set_rows(prior.artist_genre.artist, adapter.tensors, ARTISTS, names.artists, adapter.card.artists)
                _set_rows(prior.artist_genre.genre, adapter.tensors, GENRES, names.genres, adapter.card.genres)
            except (KeyError, ValueError, RuntimeError) as error:
                raise BadAdapter(f"{adapter.path} does not fit the prior it was made for: {error}") from error
            if not all(is_finite(one.detach()) for one in prior.parameters()):
                raise BadAdapter(f"{adapter.path} is damaged, or its strength too large: it makes weights infinite")
        return prior


@torch.no_grad()
def _set_rows(
    embedding: nn.Embedding, tensors: Mapping[str, Tensor], name: str, known: Sequence[str], new: Sequence[str]
) -> None:
    """Copy the embedding rows that an adapter learned to the places of its names in the model."""
    if new:
        places = [place_of(one, known) for one in new]
        embedding.weight[places] = tensors[f"{name}.rows"].to(embedding.weight)
