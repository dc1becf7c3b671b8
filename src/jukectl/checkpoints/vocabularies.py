"""The word lists beside a published model: names of artists and genres, and the characters of lyrics."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jukectl.checkpoints.card import ModelCard
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadModel
from jukectl.lyrics.tokens import published_alphabet
from jukectl.prior.config import PriorConfig
from jukectl.prior.vocabulary import Style, Vocabulary

ALL_IN_ONE = "vocab.json"
SEPARATE = {"artists": "artists.json", "genres": "genres.json", "lyrics": "lyrics.json"}
TOKENIZER = "tokenizer_config.json"
SUFFIX = ".v2"
"""What names of the second set end in, where both sets are in one file."""

LARGEST = 32 * 2**20  # bytes; the published files have one or two million

PUBLISHED_SIZES = {(604, 7_898): Style.V3, (120, 4_111): Style.V2}
"""The set of names by its genres and artists."""

Numbers = dict[str, int]


@dataclass(frozen=True)
class _Lists:
    """What the files say: the id of every name, of both sets."""

    artists: Numbers
    genres: Numbers
    lyrics: Numbers

    def styles(self) -> tuple[Style, ...]:
        """The set of each level, top first, as the names alone tell."""
        second = {name.endswith(SUFFIX) for names in (self.artists, self.genres) for name in names}
        if second == {True, False}:  # both sets: those of the published 1b-lyrics
            return (Style.V3, Style.V2, Style.V2)
        return (Style.V2 if second == {True} else Style.V3,) * 3

    def of_the_second_alone(self) -> "_Lists":
        """The same lists, where they have no suffix since they are of the second set alone."""
        named = {name for names in (self.artists, self.genres) for name in names}
        if any(name.endswith(SUFFIX) for name in named):
            return self
        artists, genres = ({name + SUFFIX: one for name, one in names.items()} for names in (self.artists, self.genres))
        return _Lists(artists, genres, self.lyrics)


def read_vocabularies(folder: Path, priors: Mapping[Level, PriorConfig]) -> dict[Level, Vocabulary]:
    """The sets of names of each level, from the files in a model's folder; empty where it has none.

    These are vocab.json, or artists.json, genres.json and lyrics.json. BadModel names the file that is damaged, or that
    has names for which a prior has no embedding.
    """
    lists = _read_lists(folder)
    if lists is None:
        return {}
    told = _told_styles(folder) or lists.styles()
    styles = {
        level: PUBLISHED_SIZES.get((config.genres, config.artists), told[TOP_DOWN.index(level)])
        for level, config in priors.items()
    }
    if set(styles.values()) == {Style.V2}:
        lists = lists.of_the_second_alone()
    return {level: _vocabulary(folder, lists, level, config, styles[level]) for level, config in priors.items()}


def _read_lists(folder: Path) -> _Lists | None:
    together = folder / ALL_IN_ONE
    if together.exists():
        table = _read(together)
        lists = {kind: table.get(kind, table.get(f"{kind}_encoder")) for kind in SEPARATE}
        if all(values is None for values in lists.values()):
            raise BadModel(f"{together} holds no artists, genres and lyrics: take it away to do without names")
        return _Lists(**{kind: _numbers(together, kind, {} if one is None else one) for kind, one in lists.items()})
    files = {kind: folder / name for kind, name in SEPARATE.items()}
    found = {kind: _numbers(path, kind, _read(path)) if path.exists() else {} for kind, path in files.items()}
    return _Lists(**found) if any(path.exists() for path in files.values()) else None


def _read(path: Path) -> Any:
    """The JSON of a file, a table or for a list of names a list."""
    try:
        if not path.is_file():
            raise BadModel(f"{path} is no file")
        if path.stat().st_size > LARGEST:
            raise BadModel(f"{path} is larger than any list of names: {path.stat().st_size} bytes")
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadModel(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, no JSON, a number of ten thousand digits, a deep nest
        raise BadModel(f"{path} is no JSON: {' '.join(str(error).split())[:100]}") from error
    if not isinstance(value, dict) and not (isinstance(value, list) and path.name in SEPARATE.values()):
        raise BadModel(f"{path} is no table of names")
    return value


def _numbers(path: Path, kind: str, names: Any) -> Numbers:
    """A table of ids by name, in the order of the ids; a plain list of names is numbered from 0."""
    table = dict(zip(names, range(len(names)), strict=True)) if _are_texts(names) else names
    if not isinstance(table, dict) or not _are_texts(list(table)):
        raise BadModel(f"{path} holds no table of {kind}: it takes the id of each name")
    for name, number in table.items():
        if type(number) is not int or number < 0:
            raise BadModel(f"{path} gives {name[:60]!r} of the {kind} no id: it is a whole number, 0 or more")
    return dict(sorted(table.items(), key=lambda item: item[1]))


def _are_texts(values: Any) -> bool:
    """Whether it is a list of texts that UTF-8 can hold."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return False
    return not any("\ud800" <= letter <= "\udfff" for value in values for letter in value)


def _told_styles(folder: Path) -> tuple[Style, ...]:
    """The set of each level, top first, as the tokenizer's settings tell; empty where there are none."""
    path = folder / TOKENIZER
    version = _read(path).get("version") if path.exists() else None
    if version is None:
        return ()
    named = [version] * 3 if isinstance(version, str) else version
    if not isinstance(named, list) or len(named) != 3 or not all(one in ("v2", "v3") for one in named):
        raise BadModel(f"version in {path} is v2 or v3 for each of three levels, got {str(version)[:60]}")
    return tuple(map(Style, named))


def _vocabulary(folder: Path, lists: _Lists, level: Level, config: PriorConfig, style: Style) -> Vocabulary:
    """The names of one level, BadModel where its prior has not all of them."""
    fields: dict[str, Any] = {}
    for kind, numbers, count in (("artist", lists.artists, config.artists), ("genre", lists.genres, config.genres)):
        chosen = _of_style(numbers, style)
        if (last := max(chosen.values(), default=0)) >= count:
            name = next(name for name, number in chosen.items() if number == last)
            raise BadModel(
                f"the {kind}s in {folder} are not those of its {level.label} prior: it has ids up to {count - 1}, and "
                f"{name[:60]!r} has {last}"
            )
        fields |= {f"{kind}s": tuple(chosen), f"{kind}_numbers": _unless_places(chosen, 0)}
    if config.lyrics is not None:
        characters = _characters(folder, lists.lyrics, style, config.lyrics.alphabet)
        fields |= {"characters": "".join(characters), "character_numbers": _unless_places(characters, 1)}
    return Vocabulary(style=style, **fields)


def _of_style(numbers: Numbers, style: Style) -> Numbers:
    """The names of one of the two sets, without the suffix."""
    if style is Style.V2:
        return {name.removesuffix(SUFFIX): number for name, number in numbers.items() if name.endswith(SUFFIX)}
    return {name: number for name, number in numbers.items() if not name.endswith(SUFFIX)}


def _characters(folder: Path, numbers: Numbers, style: Style, size: int) -> Numbers:
    """A prior's alphabet where it is no published one, or else empty.

    The file's, if it is of the prior's size: one file may go with priors of both alphabets.
    """
    published = published_alphabet(size)
    if not published and not numbers:
        return {}
    found = {character: number for character, number in numbers.items() if len(character) == 1}
    last = max(numbers.values(), default=0)
    if published and (last != size - 1 or style is Style.V2 or found == published):
        return {}
    if last >= size:
        raise BadModel(f"the lyrics in {folder} have characters up to the id {last}, and its prior up to {size - 1}")
    return found


def _unless_places(numbers: Numbers, first: int) -> tuple[int, ...]:
    """The ids of names, unless they are one after another from `first` on."""
    ids = tuple(numbers.values())
    return () if ids == tuple(range(first, first + len(ids))) else ids


def vocabulary_files(card: ModelCard) -> dict[str, object]:
    """artists.json, genres.json, lyrics.json and the tokenizer's settings; none where the model has no names.

    BadModel where two levels know one name of one set by two ids: such lists have no room for that.
    """
    sets = {level: card.vocabulary_at(level) for level in TOP_DOWN if level in card.priors}
    if not any(names.artists or names.genres or names.characters for names in sets.values()):
        return {}
    lists: dict[str, Numbers] = {kind: {} for kind in SEPARATE}
    for level, names in sets.items():
        lyrics = card.priors[level].lyrics
        for kind, found in (("artists", _ids(names, "artist")), ("genres", _ids(names, "genre"))):
            _join(lists[kind], found, kind)
        if lyrics is not None:
            with suppress(BadModel):  # characters that are not known have no list
                _join(lists["lyrics"], names.alphabet(lyrics.alphabet), "lyrics")
    files: dict[str, object] = {SEPARATE[kind]: numbers for kind, numbers in lists.items()}
    styles = [names.style for names in sets.values()]
    if Style.PLAIN not in styles and len(styles) == len(TOP_DOWN):
        files[TOKENIZER] = {"version": [str(style) for style in styles]}
    return files


def _ids(names: Vocabulary, kind: str) -> Numbers:
    """Names of a set as the lists have them, and their ids."""
    listed, numbers = getattr(names, f"{kind}s"), getattr(names, f"{kind}_numbers")
    suffix = SUFFIX if names.style is Style.V2 else ""
    written = [name.lower() if names.style is Style.PLAIN else name + suffix for name in listed]  # as the port asks
    return dict(zip(written, numbers or range(len(written)), strict=True))


def _join(numbers: Numbers, more: Numbers, kind: str) -> None:
    for name, number in more.items():
        if numbers.setdefault(name, number) != number:
            raise BadModel(f"two levels have {name!r} of the {kind} by two ids, which one list cannot tell")
