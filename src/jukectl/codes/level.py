"""The three levels of the hierarchy, bottom to top."""

from enum import IntEnum
from typing import Any, Self

from jukectl.errors import BadInput, UnknownName


class Level(IntEnum):
    """A place in the hierarchy: BOTTOM has the finest codes, TOP the coarsest."""

    BOTTOM = 0
    MIDDLE = 1
    TOP = 2

    @property
    def label(self) -> str:
        """Name for users and in files: bottom, middle or top."""
        return self.name.lower()

    @property
    def above(self) -> "Level":
        """Next coarser level; an error for the top, which has none."""
        return Level(self + 1)

    @classmethod
    def from_plain(cls, value: Any) -> Self:
        """Return the level with the name that a file holds; BadInput if it is no name."""
        if not isinstance(value, str):
            raise BadInput(f"a level is called top, middle or bottom, got {value!r}")
        return cls.parse(value)

    @classmethod
    def parse(cls, name: str) -> Self:
        """Return the level called `name` in any case; UnknownName otherwise."""
        try:
            return cls[name.strip().upper()]
        except KeyError:
            raise UnknownName(f"no level is called {name!r}: there are top, middle and bottom") from None


TOP_DOWN = (Level.TOP, Level.MIDDLE, Level.BOTTOM)
"""The order in which a song is made."""
