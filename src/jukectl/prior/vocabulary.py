"""Artist and genre names, and their ids in a prior."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property
from typing import Self

from jukectl.errors import BadInput, UnknownName
from jukectl.lyrics.tokens import assumed_alphabet
from jukectl.prior.mixture import Mixture, Term, is_mixed, terms_of

UNLABELLED = 0
"""The id of no artist and of no genre, as of a song without labels."""

NEAREST = 5
"""Names suggested for an unknown one."""

FEW = 12
"""Names that are all suggested, if a model has no more."""


class Style(StrEnum):
    """Spelling of names in a set, and the units of genres. V2 and V3 are those of the published models."""

    PLAIN = "plain"  # unchanged; several genres, each a name
    V2 = "v2"  # only a-z, 0-9 and _; each word of a genre has an id
    V3 = "v3"  # lower case; a genre has one id, however many words it has


@dataclass(frozen=True)
class Found:
    """Ids of an artist or of genres, and the names that were not found."""

    ids: tuple[int, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """One set of names, and the characters of lyrics.

    Names are in the order of their ids, or have separate lists of ids, in which ids may be missing or shared by several
    names. `#12` stands for the id 12, for models without word lists.
    """

    artists: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    artist_ids: int = 0  # number of ids in the model; 0: as many as names
    genre_ids: int = 0
    genre_slots: int = 1  # genres one song may have at once
    style: Style = Style.PLAIN
    artist_numbers: tuple[int, ...] = ()  # the id of each artist; empty: its index
    genre_numbers: tuple[int, ...] = ()
    characters: str = ""  # of lyrics, the first with the id 1; empty: those of a published model
    character_numbers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for kind in ("artist", "genre", "character"):
            names, numbers = getattr(self, f"{kind}s"), getattr(self, f"{kind}_numbers")
            if numbers and len(numbers) != len(names):
                raise ValueError(f"{kind}_numbers needs a number for each name, got {len(numbers)} for {len(names)}")
            if any(number < 0 for number in numbers):
                raise ValueError(f"{kind}_numbers are 0 or more, got {min(numbers)}")

    def labels(self, artist: str | None = None, genres: Sequence[str] = ()) -> tuple[int, tuple[int, ...]]:
        """Return the ids of an artist and of genres, ignoring case.

        Each genre is one name of the vocabulary, or several with spaces or commas between. None and () are unlabelled.
        Raises UnknownName with the nearest names, BadInput for more genres than a song may have.
        """
        check_known([self], () if artist is None else (artist,), genres)
        return self.found_artist(artist).ids[0], self.found_genres(genres).ids

    def found_artist(self, name: str | None) -> Found:
        """Return the id of an artist; UNLABELLED for an unknown one, and for None."""
        if name is None:
            return Found((UNLABELLED,))
        known = self._id(name, self._artists, self.artist_ids or len(self.artists))
        return Found((UNLABELLED,), (name.strip(),)) if known is None else Found((known,))

    def found_genres(self, genres: Sequence[str], taker: str = "this model") -> Found:
        """Return the ids of genres, at least one. Raises BadInput for more than the model has slots.

        `taker` is the name of the model in that message.
        """
        # unknown genres are left out in a plain set; in the published models each takes a slot, with id UNLABELLED
        pairs = [(word, self._genre(word)) for text in genres for word in self._words(text)]
        if self.style is Style.PLAIN:
            found = tuple(dict.fromkeys(known for _, known in pairs if known is not None))
        else:
            found = tuple(UNLABELLED if known is None else known for _, known in pairs)
        if len(found) > self.genre_slots:
            what, way_out = "genres", ""
            if self.style is Style.V2:
                what, way_out = "genre words", f": leave out {', '.join(word for word, _ in pairs[self.genre_slots :])}"
            raise BadInput(f"{len(found)} {what} given, but {taker} takes up to {self.genre_slots} a song{way_out}")
        return Found(found or (UNLABELLED,), self.unknown_genres(genres))

    def found_tag(self, genre: str) -> Found:
        """Return the ids of one genre in a recording's tags, which in a plain set is one name, never several."""
        words = [genre] if self.style is Style.PLAIN else self._words(genre)
        pairs = [(word, self._genre(word)) for word in words]
        return Found(tuple(one or UNLABELLED for _, one in pairs), tuple(word for word, one in pairs if one is None))

    def unknown_genres(self, genres: Sequence[str]) -> tuple[str, ...]:
        """Return the genres, or their words, that the set does not have."""
        return tuple(word for text in genres for word in self._words(text) if self._genre(word) is None)

    def alphabet(self, size: int) -> dict[str, int]:
        """Return the ids of the characters of lyrics: of this set, or those assumed for an alphabet of `size` ids."""
        numbers = self.character_numbers or range(1, len(self.characters) + 1)
        return dict(zip(self.characters, numbers, strict=True)) if self.characters else assumed_alphabet(size)

    def last(self, kind: str) -> int:
        """Return the highest id of a name of that kind (artist, genre or character); -1 without names."""
        numbers, names = getattr(self, f"{kind}_numbers"), getattr(self, f"{kind}s")
        # ids of characters start at 1, those of names at 0
        return max(numbers, default=len(names) - (kind != "character" or not names))

    def named(self, artists: int = 0, genres: int = 0) -> Self:
        """Return a plain set with a name for each of that many ids, `#12` for one without a name."""
        return replace(
            self,
            artists=_by_id(self.artists, self.artist_numbers, artists),
            genres=_by_id(self.genres, self.genre_numbers, genres),
            artist_numbers=(),
            genre_numbers=(),
            style=Style.PLAIN,
        )

    def grown(self, artists: Sequence[str], genres: Sequence[str]) -> Self:
        """Return a set with new names appended, ignoring case; known names are left where they are."""
        return replace(self, artists=_with_new(self.artists, artists), genres=_with_new(self.genres, genres))

    @cached_property
    def _artists(self) -> dict[str, int]:
        return self._index(self.artists, self.artist_numbers)

    @cached_property
    def _genres(self) -> dict[str, int]:
        return self._index(self.genres, self.genre_numbers)

    def _index(self, names: Sequence[str], numbers: Sequence[int]) -> dict[str, int]:
        """Return ids by normalised name. A name that is its own normal form precedes others with the same form."""
        # several names of a list may have the same normal form, and different ids
        ids = list(zip(names, numbers or range(len(names)), strict=True))
        index: dict[str, int] = {}
        for exact in (True, False):
            for name, number in ids:
                if (self._normalised(name) == name) is exact:
                    index.setdefault(self._normalised(name), number)
        return index

    def _normalised(self, name: str) -> str:
        """Return a name in the form that it is looked up by."""
        if self.style is Style.V2:
            return re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")
        return name.strip().lower() if self.style is Style.V3 else name.strip().casefold()

    def _id(self, name: str, index: Mapping[str, int], count: int) -> int | None:
        """Return the id of a name or of `#id`; None if the set does not have it."""
        if (number := number_of(name)) is not None:
            return number if number < count else None
        return index.get(self._normalised(name)) if self._normalised(name) else None

    def _genre(self, word: str) -> int | None:
        return self._id(word, self._genres, self.genre_ids or len(self.genres))

    def _words(self, text: str) -> list[str]:
        """Return the names in a user's text: split at commas, and each part by the rules of the style."""
        if self.style is Style.V3 and self._genre(text) is not None:  # a name of this style may contain commas
            return [text.strip()]
        return [word for part in filter(None, map(str.strip, text.split(","))) for word in self._words_of(part)]

    def _words_of(self, part: str) -> list[str]:
        words = part.split()
        if all(number_of(word) is not None for word in words):
            return words
        if self.style is Style.V3:
            return [part]
        if self.style is Style.V2:
            return self._normalised(part).split("_") if self._normalised(part) else [part]
        # a part that is not a name is split at spaces, unless none of its words is one: then it is unknown as a whole
        return [part] if self._genre(part) is not None or all(self._genre(word) is None for word in words) else words


def check_known(sets: Sequence[Vocabulary], artists: Sequence[str], genres: Sequence[str]) -> None:
    """Raise UnknownName for all names that none of the sets has, with the nearest ones that they have."""
    # levels of one model may have different sets: a name that one of them has is accepted
    wrong = []
    known = [name for one in sets for name in one.artists]
    count = max(one.artist_ids or len(one.artists) for one in sets)
    for artist in artists:
        unknown = min((one.found_artist(artist).unknown for one in sets), key=len)
        wrong += [_unknown(name, known, count, "artist") for name in unknown]
    known = [name for one in sets for name in one.genres]
    count = max(one.genre_ids or len(one.genres) for one in sets)
    for text in genres:
        unknown = min((one.unknown_genres([text]) for one in sets), key=len)
        wrong += [_unknown(name, known, count, "genre") for name in unknown]
    if wrong:
        raise UnknownName(". ".join(wrong))


def artist_terms(sets: Sequence[Vocabulary], artist: str) -> tuple[Term, ...]:
    """Return the artists in a text such as "A:0.6+B:0.4"; a name of one of the sets may contain + and :."""
    return terms_of(artist, lambda name: any(not one.found_artist(name).unknown for one in sets))


def genre_terms(sets: Sequence[Vocabulary], text: str) -> tuple[Term, ...]:
    """Return the genres in a text such as "A:0.6+B:0.4"; each term may be several words, as without weights."""
    return terms_of(text, lambda name: any(not one.unknown_genres([name]) for one in sets))


def mixed_artist(names: Vocabulary, terms: Sequence[Term]) -> Mixture:
    """Return the ids of artists in one set; UNLABELLED, with the same weight, for one that it does not have."""
    return Mixture.sum((names.found_artist(name).ids[0], weight) for name, weight in terms)


def mixed_genres(names: Vocabulary, texts: Sequence[Sequence[Term]], taker: str) -> Mixture:
    """Return the ids and weights of the genres of several texts in one set.

    Raises BadInput for more genres than the model, called `taker`, has slots. A mixture takes as many slots as its
    longest term: its terms are alternatives, of which weights make one.
    """
    plain = [terms[0].name for terms in texts if not is_mixed(terms)]
    mixed = [terms for terms in texts if is_mixed(terms)]
    if not mixed:
        return Mixture.of(*names.found_genres(plain, taker).ids)
    ids = {name: names.found_genres([name], taker).ids for terms in mixed for name, _ in terms}
    longest = [max((name for name, _ in terms), key=lambda name: len(ids[name])) for terms in mixed]
    names.found_genres([*plain, *longest], taker)
    parts = [(number, 1.0) for number in (names.found_genres(plain, taker).ids if plain else ())]
    return Mixture.sum([*parts, *((one, weight) for terms in mixed for name, weight in terms for one in ids[name])])


def place_of(name: str, names: Sequence[str]) -> int:
    """Return the index of a name, ignoring case. Raises ValueError for an unknown one."""
    return [known.casefold() for known in names].index(name.casefold())


def number_of(name: str) -> int | None:
    """Return 12 for `#12`; None for a name."""
    # up to nine digits: any id of a model, and never an integer too long to convert
    return int(name.strip()[1:]) if re.fullmatch(r"#\d{1,9}", name.strip()) else None


def _by_id(names: Sequence[str], numbers: Sequence[int], count: int) -> tuple[str, ...]:
    """Return a name for each id up to `count`: the first in the list that has it, or `#id`."""
    first: dict[int, str] = {}
    for name, number in zip(names, numbers or range(len(names)), strict=True):
        first.setdefault(number, name)
    return tuple(first.get(number, f"#{number}") for number in range(max(count, *(number + 1 for number in first), 0)))


def _with_new(names: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    known = {name.casefold(): name for name in names}
    for name in new:
        known.setdefault(name.casefold(), name)
    return (*names, *list(known.values())[len({name.casefold() for name in names}) :])


def _unknown(name: str, names: Sequence[str], count: int, what: str) -> str:
    """Return what is wrong with a name, or an `#id`, that is not among the names."""
    if number_of(name) is not None:
        return f"no {what} has the id {name.strip()}: this model's go from #0 to #{count - 1}"
    if not names:
        return f"no {what} is called {name!r}: this model has no word list. Give an id, such as {what} '#1'"
    spelt = {known.casefold(): known for known in reversed(names)}
    near = get_close_matches(name.strip().casefold(), spelt, n=NEAREST, cutoff=0)  # 0: always suggest some
    rest = [one for one in spelt if one not in near] if len(spelt) <= FEW else []
    shown = [*(spelt[one] for one in near), *(spelt[one] for one in rest)]
    return f"no {what} is called {name!r}. The nearest: {', '.join(shown)}"
