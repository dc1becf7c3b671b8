"""Spans of a level while they are made: what a run that stopped goes on from, beside the level's own archive."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from jukectl.errors import NotCodes
from jukectl.files import atomic_write

FORMAT = 1
"""Version of the file's layout; another one is not read."""


@dataclass(frozen=True, eq=False)
class SpanCodes:
    """All codes of a level's spans so far, lead-ins included. A level's archive holds only those without a gap."""

    key: str  # of what the spans are made from and how: with another key they are another song's
    begun: int  # codes that the level had before
    array: npt.NDArray[np.uint16]  # (spans, samples, made)

    @property
    def made(self) -> int:
        """Codes that each row has."""
        return int(self.array.shape[2])

    def append(self, new: npt.NDArray[Any]) -> Self:
        """These with `new` codes (spans, samples, n) behind them."""
        array = np.concatenate([self.array, new.astype(np.uint16)], axis=2)
        return type(self)(self.key, self.begun, array)

    def save(self, path: Path) -> None:
        """Write the file in one step. Raises CannotWrite."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            codes=self.array.astype("<u2"),
            begun=np.int64(self.begun),
            key=np.str_(self.key),
            format=np.int64(FORMAT),
        )
        with atomic_write(path) as file:
            file.write(buffer.getbuffer())

    @classmethod
    def load(cls, path: Path) -> Self:
        """The spans in `path`; NotCodes where they cannot be used."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as npz:
                damaged = npz.zip.testzip()
                array, begun, key, version = (npz[name] for name in ("codes", "begun", "key", "format"))
            if damaged or int(version) != FORMAT or array.ndim != 3 or array.dtype != np.uint16 or int(begun) < 0:
                raise ValueError("not of this format")
            return cls(str(key), int(begun), array)
        except Exception as error:  # damage makes zipfile and numpy raise half a dozen kinds
            raise NotCodes(f"{path} holds no spans in progress, or is damaged") from error
