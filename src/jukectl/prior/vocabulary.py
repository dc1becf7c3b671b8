"""Artist and genre names, and the ids a prior knows them by."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Self

from jukectl.errors import BadInput, UnknownName

UNLABELLED = 0
"""The id of no artist and of no genre: what a model is given where the user names none."""

NEAREST = 5
"""Names offered in place of an unknown one."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Names in the order of their ids. `#12` stands for the id 12, for models whose word lists are not at hand."""

    artists: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    artist_ids: int = 0  # how many ids the model has; 0: as many as names
    genre_ids: int = 0
    genre_slots: int = 1  # genres one song may have at once

    def labels(self, artist: str | None = None, genres: Sequence[str] = ()) -> tuple[int, tuple[int, ...]]:
        """The ids of an artist and of genres, without regard to case.

        Each genre is one name of the vocabulary, or several with spaces or commas between. None and () are unlabelled.
        Raises UnknownName with the nearest names, BadInput for more genres than a song may have.
        """
        artist_id = UNLABELLED if artist is None else self._artist(artist)
        found = tuple(dict.fromkeys(found for genre in genres for found in self._genres(genre))) or (UNLABELLED,)
        if len(found) > self.genre_slots:
            raise BadInput(f"{len(found)} genres given, but this model takes up to {self.genre_slots} a song")
        return artist_id, found

    def named(self, artists: int = 0, genres: int = 0) -> Self:
        """With a name for each of so many ids: `#12` for one that has no other."""
        return replace(self, artists=_numbered(self.artists, artists), genres=_numbered(self.genres, genres))

    def grown(self, artists: Sequence[str], genres: Sequence[str]) -> Self:
        """With those names at the end that are not known yet, without regard to case."""
        return replace(self, artists=_with_new(self.artists, artists), genres=_with_new(self.genres, genres))

    def _artist(self, name: str) -> int:
        return _find(name, self.artists, self.artist_ids, "artist")

    def _genres(self, name: str) -> list[int]:
        """The ids of genre names between commas; a part that is no name is taken for several, with spaces between."""
        found = []
        for part in filter(None, map(str.strip, name.split(","))):
            try:
                found.append(_find(part, self.genres, self.genre_ids, "genre"))
            except UnknownName:
                words = part.split()
                if len(words) == 1:
                    raise
                found.extend(_find(word, self.genres, self.genre_ids, "genre") for word in words)
        return found


def place_of(name: str, names: Sequence[str]) -> int:
    """Where a name stands, without regard to case; ValueError where it does not."""
    return [known.casefold() for known in names].index(name.casefold())


def _numbered(names: Sequence[str], count: int) -> tuple[str, ...]:
    return (*names, *(f"#{number}" for number in range(len(names), count)))


def _with_new(names: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    known = {name.casefold(): name for name in names}
    for name in new:
        known.setdefault(name.casefold(), name)
    return (*names, *list(known.values())[len({name.casefold() for name in names}) :])


def _find(name: str, names: Sequence[str], ids: int, what: str) -> int:
    """The id of a name or of `#id`. Raises UnknownName."""
    wanted = name.strip().casefold()
    count = ids or len(names)
    if re.fullmatch(r"#\d+", wanted):
        number = int(wanted[1:])
        if number >= count:
            raise UnknownName(f"no {what} has the id {name.strip()}: this model's go from #0 to #{count - 1}")
        return number
    folded = [known.casefold() for known in names]
    if wanted in folded:
        return folded.index(wanted)
    if not names:
        raise UnknownName(f"no {what} is called {name!r}: this model has no word list. Give an id, such as {what} '#1'")
    near = get_close_matches(wanted, folded, n=NEAREST, cutoff=0) or folded[:NEAREST]
    listed = ", ".join(names[folded.index(one)] for one in near)
    raise UnknownName(f"no {what} is called {name!r}. The nearest: {listed}")
