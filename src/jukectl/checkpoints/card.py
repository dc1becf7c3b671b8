"""A model's description: model.toml."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jukectl.codes.level import Level
from jukectl.errors import BadModel, UnknownName
from jukectl.prior.config import PriorConfig
from jukectl.prior.vocabulary import UNLABELLED, Vocabulary
from jukectl.vqvae.config import VQVAEConfig

FORMAT = 1
CARD = "model.toml"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What model.toml says."""

    name: str
    version: str = ""
    licence: str = ""
    summary: str = ""
    vqvae: VQVAEConfig
    priors: Mapping[Level, PriorConfig] = field(default_factory=dict)
    vocabulary: Vocabulary = field(default_factory=lambda: Vocabulary(artists=(), genres=()))
    sampling: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # what sounds best, level by level
    fingerprints: Mapping[str, str] = field(default_factory=dict)  # of the parts
    sources: tuple[Mapping[str, str], ...] = ()  # the music it was trained on: artist, title, licence

    def labels(self, level: Level, artist: str | None, genres: tuple[str, ...]) -> tuple[int, tuple[int, ...]]:
        """The ids of names at one level; UnknownName lists the nearest.

        A level whose prior learned before a name was added does not know it: there the song goes without.
        """
        config = self._prior(level)
        artist_id, genre_ids = self._ids(level, artist, genres)
        known = tuple(one for one in genre_ids if one < config.genres)
        return artist_id if artist_id < config.artists else UNLABELLED, known or (UNLABELLED,)

    def unknown_at(self, level: Level, artist: str | None, genres: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the model's names that one level's prior does not know."""
        config = self._prior(level)
        artist_id, genre_ids = self._ids(level, artist, genres)
        artists, styles = self.vocabulary.artists[artist_id:], self.vocabulary.genres
        return (*artists[: artist_id >= config.artists], *(styles[one] for one in genre_ids if one >= config.genres))

    def vocabulary_at(self, level: Level) -> Vocabulary:
        """The names that one level's prior knows: the first of the model's, as names are only ever added."""
        config = self._prior(level)
        return Vocabulary(
            artists=self.vocabulary.artists[: config.artists],
            genres=self.vocabulary.genres[: config.genres],
            artist_ids=config.artists,
            genre_ids=config.genres,
            genre_slots=config.genre_slots,
        )

    def _prior(self, level: Level) -> PriorConfig:
        config = self.priors.get(level)
        if config is None:
            raise BadModel(f"the model {self.name} has no {level.label} prior")
        return config

    def _ids(self, level: Level, artist: str | None, genres: tuple[str, ...]) -> tuple[int, tuple[int, ...]]:
        """The ids of names in the whole model, as many genres as a level takes."""
        names = replace(
            self.vocabulary,
            artist_ids=max(prior.artists for prior in self.priors.values()),
            genre_ids=max(prior.genres for prior in self.priors.values()),
            genre_slots=self._prior(level).genre_slots,
        )
        return names.labels(artist, genres)

    @classmethod
    def parse(cls, text: str, where: Path) -> "ModelCard":
        """Read the TOML; BadModel names what is wrong."""
        try:
            return cls.from_dict(tomllib.loads(text), where)
        except tomllib.TOMLDecodeError as error:
            raise BadModel(f"{where} is no TOML: {error}") from error

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], where: Path) -> "ModelCard":
        """Read the table that is in model.toml; BadModel names what is wrong."""
        try:
            if table["format"] > FORMAT:
                raise BadModel(
                    f"{where} is of format {table['format']}, newer than this jukectl reads ({FORMAT}): update jukectl"
                )
            names = table.get("vocabulary", {})
            return cls(
                name=table["name"],
                version=table.get("version", ""),
                licence=table.get("licence", ""),
                summary=table.get("summary", ""),
                vqvae=vqvae_config(table["vqvae"]),
                priors={
                    Level.parse(label): PriorConfig.from_dict({**values, "level": label})
                    for label, values in table.get("priors", {}).items()
                },
                vocabulary=Vocabulary(artists=_tuple(names.get("artists", [])), genres=_tuple(names.get("genres", []))),
                sampling=table.get("sampling", {}),
                fingerprints=table.get("fingerprints", {}),
                sources=_tuple(table.get("sources", [])),
            )
        except (KeyError, TypeError, ValueError, AttributeError, UnknownName) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise BadModel(f"{where} is no model description: {reason}") from error

    def to_toml(self) -> str:
        """The text of model.toml."""
        import tomlkit

        table: dict[str, Any] = {
            "format": FORMAT,
            "name": self.name,
            "version": self.version,
            "licence": self.licence,
            "summary": self.summary,
            "fingerprints": dict(self.fingerprints),
            "sampling": {label: dict(values) for label, values in self.sampling.items()},
            "vqvae": self.vqvae.to_dict(),
            "priors": {level.label: config.to_dict() for level, config in self.priors.items()},
            "sources": [dict(source) for source in self.sources],
        }
        if self.vocabulary.artists or self.vocabulary.genres:  # a codec alone has none, and priors may join it later
            names = {"artists": list(self.vocabulary.artists), "genres": list(self.vocabulary.genres)}
            table["vocabulary"] = names
        return tomlkit.dumps(table)


def vqvae_config(table: Mapping[str, Any]) -> VQVAEConfig:
    """A codec's shape from plain values. Raises ValueError or TypeError where they do not fit."""
    return VQVAEConfig(**{key: _tuple(value) for key, value in table.items()})


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
