"""The three levels of the hierarchy, bottom to top."""

from enum import IntEnum
from typing import Self

from jukectl.errors import UnknownName


class Level(IntEnum):
    """A place in the hierarchy: BOTTOM has the finest codes, TOP the coarsest."""

    BOTTOM = 0
    MIDDLE = 1
    TOP = 2

    @property
    def label(self) -> str:
        """The name users and files know: bottom, middle or top."""
        return self.name.lower()

    @property
    def above(self) -> "Level":
        """The next coarser level; asking it of the top is a mistake of ours."""
        return Level(self + 1)

    @classmethod
    def parse(cls, name: str) -> Self:
        """The level called `name` in any case; UnknownName otherwise."""
        try:
            return cls[name.strip().upper()]
        except KeyError:
            raise UnknownName(f"no level is called {name!r}: there are top, middle and bottom") from None


TOP_DOWN = (Level.TOP, Level.MIDDLE, Level.BOTTOM)
"""The order in which a song is made."""
