"""A model's description: model.toml."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadInput, BadModel, UnknownName
from jukectl.lyrics.tokens import LyricTokens, tokens_of
from jukectl.lyrics.value import Lyrics
from jukectl.nn.limits import LARGEST_NUMBER
from jukectl.prior.config import PriorConfig
from jukectl.prior.mixture import Mixture, Term
from jukectl.prior.vocabulary import (
    UNLABELLED,
    Style,
    Vocabulary,
    artist_terms,
    check_known,
    genre_terms,
    mixed_artist,
    mixed_genres,
)
from jukectl.tables import check_format, parse_toml, shown, structure
from jukectl.vqvae.config import VQVAEConfig

_Item = TypeVar("_Item", int, str)

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Content of model.toml."""

    name: str
    version: str = ""
    licence: str = ""
    summary: str = ""
    vqvae: VQVAEConfig
    priors: Mapping[Level, PriorConfig] = field(default_factory=dict)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)  # of levels without their own
    vocabularies: Mapping[Level, Vocabulary] = field(default_factory=dict)
    sampling: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # recommended settings by level
    # share of each prior's training windows without labels: guidance needs a prior that has seen such windows
    label_dropout: Mapping[str, float] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)  # of the parts
    sources: tuple[Mapping[str, str], ...] = ()  # the music it was trained on: artist, title, licence

    @property
    def names(self) -> Vocabulary:
        """Names that a user may give: those of the top prior if the model has one."""
        return self.vocabulary_at(Level.TOP) if Level.TOP in self.priors else self.vocabulary

    def of(self, parts: Collection[str]) -> "ModelCard":
        """Return the card of a model with no other parts than these."""
        if all(level.label in parts for level in self.priors):
            return self
        return replace(
            self,
            priors={level: one for level, one in self.priors.items() if level.label in parts},
            vocabularies={level: one for level, one in self.vocabularies.items() if level.label in parts},
            fingerprints={part: one for part, one in self.fingerprints.items() if part in parts},
        )

    def labels(self, level: Level, artist: str | None, genres: tuple[str, ...]) -> tuple[int, tuple[int, ...]]:
        """Return the ids of an artist and genres at one level. Raise UnknownName if no level has a name.

        A level that lacks a name is not conditioned on it: its prior was trained before the name was added, or has
        another set of names. See `unknown_at`.
        """
        names = self._known(level, artist, genres)
        # checked against all levels first, so that a typing error is an error and not music without the artist
        return names.found_artist(artist).ids[0], names.found_genres(genres, f"the {level.label} prior").ids

    def mixtures(self, level: Level, artist: str | None, genres: tuple[str, ...]) -> tuple[Mixture, Mixture]:
        """Return weighted ids of an artist and genres that may be mixtures, such as "A:0.6+B:0.4"."""
        names, (artists, kinds) = self.vocabulary_at(level), self._terms(artist, genres)
        mixed = mixed_genres(names, kinds, f"the {level.label} prior")
        return mixed_artist(names, artists) if artist is not None else Mixture.of(UNLABELLED), mixed

    def unknown_at(self, level: Level, artist: str | None, genres: tuple[str, ...]) -> tuple[str, ...]:
        """Return the given names that one level's prior lacks."""
        names, (artists, kinds) = self.vocabulary_at(level), self._terms(artist, genres)
        # levels of published models spell names in their own ways: report them as the model's main set does
        spelt = {name.casefold(): name for name in (*self.vocabulary.artists, *self.vocabulary.genres)}
        # of a published model the words of a genre are looked up one by one, so some of them may be unknown
        unknown = [one for name, _ in artists for one in names.found_artist(name).unknown]
        unknown += names.unknown_genres([name for terms in kinds for name, _ in terms])
        return tuple(spelt.get(name.casefold(), name) for name in unknown)

    def spell(self, level: Level, lyrics: Lyrics) -> LyricTokens:
        """Return lyrics in the characters of one level's prior; BadInput if it takes none, or has none of these."""
        config = self._prior(level)
        # at most one level of a model has lyrics, the top one in all published models
        if config.lyrics is None:
            raise BadInput(f"{self.name} takes no lyrics, only artist and genre: leave --lyrics out")
        tokens = tokens_of(lyrics, self.vocabulary_at(level).alphabet(config.lyrics.alphabet), config.sample_rate)
        if not tokens.ids:
            raise BadInput(f"{self.name} has none of the lyrics' characters: {tokens.remark}")
        return tokens

    def vocabulary_at(self, level: Level) -> Vocabulary:
        """Return the names of one level's prior: its own set, or the first ones of the model's."""
        self._prior(level)
        return self._sets[level]

    @cached_property
    def _sets(self) -> dict[Level, Vocabulary]:
        return {level: self._set_of(config, self.vocabularies.get(level)) for level, config in self.priors.items()}

    def _set_of(self, config: PriorConfig, own: Vocabulary | None) -> Vocabulary:
        # names are only ever added, at the end: a prior trained earlier has the first ones, as many as it has rows
        names = own or replace(
            self.vocabulary,
            artists=self.vocabulary.artists[: config.artists],
            genres=self.vocabulary.genres[: config.genres],
        )
        return replace(names, artist_ids=config.artists, genre_ids=config.genres, genre_slots=config.genre_slots)

    def check_numbers(self) -> None:
        """Raise ValueError if a set of names has an id for which its prior has no embedding."""
        characters = Vocabulary(
            characters=self.vocabulary.characters, character_numbers=self.vocabulary.character_numbers
        )
        # the model's own lists of artists and genres are cut to each prior's size, but characters are not
        shared = {level: characters for level, config in self.priors.items() if config.lyrics is not None}
        for level, names in {**shared, **self.vocabularies}.items():
            config = self._prior(level)
            counts = {"artist": config.artists, "genre": config.genres}
            # `last` is the largest id in the set: no smaller one can be out of range
            if config.lyrics is not None:
                counts["character"] = config.lyrics.alphabet
            for kind, count in counts.items():
                if (last := names.last(kind)) >= count:
                    raise ValueError(f"the {level.label} prior has no {kind} #{last}, only #0 to #{count - 1}")

    def _known(self, level: Level, artist: str | None, genres: tuple[str, ...]) -> Vocabulary:
        """Return a level's names. Raise UnknownName for a given name that no level has."""
        names = self.vocabulary_at(level)
        check_known(list(self._sets.values()), () if artist is None else (artist,), genres)
        return names

    def _terms(
        self, artist: str | None, genres: tuple[str, ...]
    ) -> tuple[tuple[Term, ...], tuple[tuple[Term, ...], ...]]:
        """Split an artist and genres into names. Raise UnknownName for a name that no level has."""
        sets = list(self._sets.values())
        # a name may itself contain "+" or ":", so the sets decide where a text is split
        artists = artist_terms(sets, artist) if artist is not None else ()
        kinds = tuple(genre_terms(sets, text) for text in genres)
        check_known(sets, [name for name, _ in artists], [name for terms in kinds for name, _ in terms])
        return artists, kinds

    def _prior(self, level: Level) -> PriorConfig:
        config = self.priors.get(level)
        if config is None:
            raise BadModel(f"the model {self.name} has no {level.label} prior")
        return config

    @classmethod
    def parse(cls, text: str, where: Path) -> "ModelCard":
        """Parse the TOML. Raise BadModel with what is wrong."""
        try:
            table = parse_toml(text)
        except ValueError as error:
            raise BadModel(f"{where} is not TOML: {error}") from error
        return cls.from_dict(table, where)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], where: Path) -> "ModelCard":
        """Make a card from the table in model.toml. Raise BadModel with what is wrong."""
        try:
            # before anything else: other keys may have changed their meaning
            check_format(table["format"], FORMAT, f"{where} is of format", error=BadModel)
            form = structure(_Form, table, strict=False)
            card = cls(
                name=form.name,
                version=form.version,
                licence=form.licence,
                summary=form.summary,
                vqvae=vqvae_config(form.vqvae),
                priors={  # the level is the key of a prior's table, and a field of its configuration
                    Level.parse(label): PriorConfig.from_dict({**values, "level": label})
                    for label, values in form.priors.items()
                },
                vocabulary=plain_names(form.vocabulary),
                vocabularies=_read_sets(form.vocabularies),
                sampling=_settings(form.sampling),
                label_dropout=form.label_dropout,
                fingerprints=form.fingerprints,
                sources=form.sources,
            )
            card.check_numbers()
            return card
        # a table in place of a number, or a text in place of a table, raises any of these where it is used
        except (KeyError, TypeError, ValueError, AttributeError, UnknownName) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise BadModel(f"{where} is not a model description: {reason}") from error

    def to_toml(self) -> str:
        """Return the text of model.toml."""
        import tomlkit  # here, since reading a model does not need it

        table: dict[str, Any] = {
            "format": FORMAT,
            "name": self.name,
            "version": self.version,
            "licence": self.licence,
            "summary": self.summary,
            "fingerprints": dict(self.fingerprints),
            "sampling": {label: dict(values) for label, values in self.sampling.items()},
            **({"label_dropout": dict(self.label_dropout)} if self.label_dropout else {}),
            "vqvae": self.vqvae.to_dict(),
            "priors": {level.label: config.to_dict() for level, config in self.priors.items()},
            # last of the tables, since it is the longest: a reader finds the settings first
            "sources": [dict(source) for source in self.sources],
        }
        if self.vocabulary.artists or self.vocabulary.genres:  # a codec alone has none
            names = self.vocabulary
            table["vocabulary"] = {"artists": list(names.artists), "genres": list(names.genres)}
            if names.characters:
                table["vocabulary"] |= characters_table(names.alphabet(0))
        return tomlkit.dumps(table) + _written_sets(self.vocabularies)


@dataclass(frozen=True, kw_only=True)
class _Form:
    """Layout of model.toml. All keys but three have defaults: models of earlier versions lack some."""

    format: int
    name: str
    version: str = ""
    licence: str = ""
    summary: str = ""
    fingerprints: dict[str, str] = field(default_factory=dict)
    sampling: dict[str, dict[str, Any]] = field(default_factory=dict)
    label_dropout: dict[str, float] = field(default_factory=dict)
    vqvae: dict[str, Any]
    priors: dict[str, dict[str, Any]] = field(default_factory=dict)
    vocabulary: dict[str, Any] = field(default_factory=dict)
    vocabularies: tuple[dict[str, Any], ...] = ()
    sources: tuple[dict[str, Any], ...] = ()


def _settings(tables: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, float]]:
    """Return the recommended settings of each level. Raise ValueError for one that is not a finite number."""
    for label, values in tables.items():
        for key, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST_NUMBER:
                raise ValueError(f"sampling.{label}.{key} must be a number, got {shown(value)}")
    return tables


def vqvae_config(table: Mapping[str, Any]) -> VQVAEConfig:
    """Make a codec's configuration from plain values. Raise ValueError for wrong ones."""
    return structure(VQVAEConfig, table, "vqvae")


def plain_names(table: Mapping[str, Any]) -> Vocabulary:
    """Return the names and characters of a [vocabulary] table of a native model or a training run."""
    return Vocabulary(
        artists=_list_of(str, "artists", table),
        genres=_list_of(str, "genres", table),
        characters=_characters(table),
        character_numbers=_list_of(int, "character_numbers", table),
    )


def _characters(table: Mapping[str, Any]) -> str:
    if not isinstance(characters := table.get("characters", ""), str):
        raise ValueError(f"characters must be text, got {shown(characters)}")
    return characters


def _list_of(kind: type[_Item], key: str, table: Mapping[str, Any]) -> tuple[_Item, ...]:
    """Return the list of a key; empty without one. Raise ValueError if it is none of `kind`."""
    values = table.get(key, [])
    # `type(...) is`, since True would pass as the number 1; a wrong id would select another artist
    if not isinstance(values, list | tuple) or any(type(value) is not kind for value in values):
        raise ValueError(f"{key} must be a list of {'whole numbers' if kind is int else 'names'}, got {shown(values)}")
    return tuple(values)


def characters_table(alphabet: Mapping[str, int]) -> dict[str, Any]:
    """Return the entries of a [vocabulary] table for lyric characters, with their ids unless these are 1, 2, 3 ..."""
    numbers = list(alphabet.values())
    # id 0 stands for characters outside of the alphabet
    in_order = numbers == list(range(1, len(numbers) + 1))
    return {"characters": "".join(alphabet), **({} if in_order else {"character_numbers": numbers})}


LISTS = ("artists", "artist_numbers", "genres", "genre_numbers", "character_numbers")
"""Lists in a set of names."""


def _written_sets(sets: Mapping[Level, Vocabulary]) -> str:
    """Return sets of names as TOML, each once for all levels that share it."""
    # by hand: tomlkit takes seconds for the 12,000 names of a published model
    lines = []
    for names in dict.fromkeys(sets.values()):
        # 1b-lyrics has one set at the top and one for both upsamplers
        levels = [level.label for level in TOP_DOWN if sets.get(level) == names]
        values: dict[str, Any] = {"levels": levels, "style": str(names.style), "characters": names.characters}
        values |= {key: list(getattr(names, key)) for key in LISTS}
        lines += ["", "[[vocabularies]]", *(f"{key} = {_toml(value)}" for key, value in values.items() if value)]
    return "".join(f"{line}\n" for line in lines)


def _toml(value: str | int | list[Any]) -> str:
    """Format a text, a number or a list of them as TOML."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    # a TOML text is a JSON text, except that TOML forbids a raw DEL
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _read_sets(tables: Any) -> dict[Level, Vocabulary]:
    """Return the sets of names by level. Raise KeyError, TypeError, ValueError or UnknownName if invalid."""
    sets: dict[Level, Vocabulary] = {}
    for table in tables:
        lists: dict[str, Any] = {key: _list_of(int if key.endswith("numbers") else str, key, table) for key in LISTS}
        names = Vocabulary(style=Style(table.get("style", "plain")), characters=_characters(table), **lists)
        sets |= {Level.parse(label): names for label in _list_of(str, "levels", {"levels": table["levels"]})}
    return sets
