"""Word lists beside a published model: names of artists and genres, and the characters of lyrics.

There are two sets of names. "v2" has 4,111 artists and 120 genre words, of which a song has up to five; "v3" has 7,898
artists and 604 genres, of which a song has one. The 1b-lyrics top prior has v3, all other priors have v2.
"""

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
from jukectl.tables import read_json

ALL_IN_ONE = "vocab.json"
SEPARATE = {"artists": "artists.json", "genres": "genres.json", "lyrics": "lyrics.json"}
TOKENIZER = "tokenizer_config.json"
SUFFIX = ".v2"
"""Suffix of v2 names in files that hold both sets."""

LARGEST = 32 * 2**20  # bytes; the published files have one or two million

PUBLISHED_SIZES = {(604, 7_898): Style.V3, (120, 4_111): Style.V2}
"""Set of names by its numbers of genres and artists."""

Numbers = dict[str, int]


@dataclass(frozen=True)
class _Lists:
    """Ids of all names of both sets, as in the files."""

    artists: Numbers
    genres: Numbers
    lyrics: Numbers

    def styles(self) -> tuple[Style, ...]:
        """Return the set of each level, top first, judged by the names alone."""
        second = {name.endswith(SUFFIX) for names in (self.artists, self.genres) for name in names}
        if second == {True, False}:  # both sets: those of the published 1b-lyrics
            return (Style.V3, Style.V2, Style.V2)
        return (Style.V2 if second == {True} else Style.V3,) * 3

    def of_the_second_alone(self) -> "_Lists":
        """Return lists of v2 names with their suffix, which files of that set alone lack."""
        named = {name for names in (self.artists, self.genres) for name in names}
        if any(name.endswith(SUFFIX) for name in named):
            return self
        artists, genres = ({name + SUFFIX: one for name, one in names.items()} for names in (self.artists, self.genres))
        return _Lists(artists, genres, self.lyrics)


def read_vocabularies(folder: Path, priors: Mapping[Level, PriorConfig]) -> dict[Level, Vocabulary]:
    """Read the set of names of each level from the files in a model's folder; empty if there are none.

    These are vocab.json, or artists.json, genres.json and lyrics.json. Raise BadModel with the name of a file that is
    damaged, or that has names for which a prior has no embedding.
    """
    lists = _read_lists(folder)
    if lists is None:
        return {}
    # sizes decide for published priors; then the tokenizer's settings, which may be missing; then the names
    stated = _stated_styles(folder) or lists.styles()
    styles = {
        level: PUBLISHED_SIZES.get((config.genres, config.artists), stated[TOP_DOWN.index(level)])
        for level, config in priors.items()
    }
    if set(styles.values()) == {Style.V2}:
        # the upsamplers of a v2-only model: names without a suffix can only be v2
        lists = lists.of_the_second_alone()
    return {level: _vocabulary(folder, lists, level, config, styles[level]) for level, config in priors.items()}


def _read_lists(folder: Path) -> _Lists | None:
    together = folder / ALL_IN_ONE
    if together.exists():
        table = _read(together)
        # tokenizers saved by the port call their tables artists_encoder and so on
        lists = {kind: table.get(kind, table.get(f"{kind}_encoder")) for kind in SEPARATE}
        if all(values is None for values in lists.values()):
            raise BadModel(f"{together} holds no artists, genres and lyrics: remove it to use the model without names")
        return _Lists(**{kind: _numbers(together, kind, {} if one is None else one) for kind, one in lists.items()})
    files = {kind: folder / name for kind, name in SEPARATE.items()}
    found = {kind: _numbers(path, kind, _read(path)) if path.exists() else {} for kind, path in files.items()}
    return _Lists(**found) if any(path.exists() for path in files.values()) else None


def _read(path: Path) -> Any:
    """Read the JSON of a file: a table, or a list in a file of one kind of names."""
    value = read_json(path, BadModel, "list of names", largest=LARGEST)
    if not isinstance(value, dict) and not (isinstance(value, list) and path.name in SEPARATE.values()):
        raise BadModel(f"{path} is not a table of names")
    return value


def _numbers(path: Path, kind: str, names: Any) -> Numbers:
    """Return ids by name, in the order of the ids; names of a plain list are numbered from 0."""
    table = dict(zip(names, range(len(names)), strict=True)) if _are_texts(names) else names
    if not isinstance(table, dict) or not _are_texts(list(table)):
        raise BadModel(f"{path} holds no table of {kind}, with an id for each name")
    for name, number in table.items():
        # `type(...) is`, since True would pass as 1
        if type(number) is not int or number < 0:
            raise BadModel(
                f"{path} gives {name[:60]!r} of the {kind} an invalid id: it must be a whole number, 0 or more"
            )
    return dict(sorted(table.items(), key=lambda item: item[1]))


def _are_texts(values: Any) -> bool:
    """Return True for a list of texts that can be encoded as UTF-8."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return False
    # JSON can express half of a surrogate pair, which no file or terminal can
    return not any("\ud800" <= letter <= "\udfff" for value in values for letter in value)


def _stated_styles(folder: Path) -> tuple[Style, ...]:
    """Return the set of each level, top first, by the tokenizer's settings; empty if there are none."""
    path = folder / TOKENIZER
    version = _read(path).get("version") if path.exists() else None
    if version is None:
        return ()
    # the port's setting is one for each level, top first; a single text stands for all three
    named = [version] * 3 if isinstance(version, str) else version
    if not isinstance(named, list) or len(named) != 3 or not all(one in ("v2", "v3") for one in named):
        raise BadModel(f"version in {path} is v2 or v3 for each of three levels, got {str(version)[:60]}")
    return tuple(map(Style, named))


def _vocabulary(folder: Path, lists: _Lists, level: Level, config: PriorConfig, style: Style) -> Vocabulary:
    """Return the names of one level. Raise BadModel if its prior has no embedding for one of them."""
    fields: dict[str, Any] = {}
    for kind, numbers, count in (("artist", lists.artists, config.artists), ("genre", lists.genres, config.genres)):
        chosen = _of_style(numbers, style)
        # the largest id stands for all: lists of another model often differ in their length alone
        if (last := max(chosen.values(), default=0)) >= count:
            # the message has a name, by which the user finds the place in a list of thousands
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
    """Return the names of one set, without the suffix."""
    if style is Style.V2:
        return {name.removesuffix(SUFFIX): number for name, number in numbers.items() if name.endswith(SUFFIX)}
    return {name: number for name, number in numbers.items() if not name.endswith(SUFFIX)}


def _characters(folder: Path, numbers: Numbers, style: Style, size: int) -> Numbers:
    """Return a prior's alphabet unless it is a published one, which needs no list.

    The file's alphabet is used if it has the prior's size: one file may serve priors of both published alphabets.
    """
    published = published_alphabet(size)
    if not published and not numbers:
        return {}
    # entries of more than one character are the tokenizer's own, such as <unk>
    found = {character: number for character, number in numbers.items() if len(character) == 1}
    last = max(numbers.values(), default=0)
    # 80 characters with the v2 set and 79 with v3, which lacks the plus sign; the id 0 stands for all other characters
    if published and (last != size - 1 or style is Style.V2 or found == published):
        return {}
    if last >= size:
        raise BadModel(f"the lyrics in {folder} have characters up to the id {last}, and its prior up to {size - 1}")
    return found


def _unless_places(numbers: Numbers, first: int) -> tuple[int, ...]:
    """Return the ids of names; empty if they are consecutive from `first` on, which is the default of a vocabulary."""
    ids = tuple(numbers.values())
    return () if ids == tuple(range(first, first + len(ids))) else ids


def vocabulary_files(card: ModelCard) -> dict[str, object]:
    """Return artists.json, genres.json, lyrics.json and the tokenizer's settings; none if the model has no names.

    Raise BadModel if two levels have different ids for one name of one set, which such lists cannot express.
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
            with suppress(BadModel):  # an alphabet of unknown characters has no list
                _join(lists["lyrics"], names.alphabet(lyrics.alphabet), "lyrics")
    files: dict[str, object] = {SEPARATE[kind]: numbers for kind, numbers in lists.items()}
    styles = [names.style for names in sets.values()]
    # the port supports v2 and v3 only, one for each of three levels
    if Style.PLAIN not in styles and len(styles) == len(TOP_DOWN):
        files[TOKENIZER] = {"version": [str(style) for style in styles]}
    return files


def _ids(names: Vocabulary, kind: str) -> Numbers:
    """Return the ids of a set's names, spelled as in the lists."""
    listed, numbers = getattr(names, f"{kind}s"), getattr(names, f"{kind}_numbers")
    suffix = SUFFIX if names.style is Style.V2 else ""
    # the port looks names up in lower case
    written = [name.lower() if names.style is Style.PLAIN else name + suffix for name in listed]
    return dict(zip(written, numbers or range(len(written)), strict=True))


def _join(numbers: Numbers, more: Numbers, kind: str) -> None:
    for name, number in more.items():
        # v2 and v3 names differ by their suffix, so only two levels of one set can collide
        if numbers.setdefault(name, number) != number:
            raise BadModel(f"two levels have {name!r} of the {kind} with two ids, which one list cannot express")
