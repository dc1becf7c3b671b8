"""LabelBatch: what a prior is told about the windows it models, one row a window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

EMPTY_SLOT = -1
"""Stands in a genre slot that holds no genre."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelBatch:
    """Labels of B windows, int64. Times are in audio samples at the model's rate."""

    artist: Tensor  # (B,)
    genres: Tensor  # (B, slots), EMPTY_SLOT where there is none
    total_length: Tensor  # (B,) the whole song
    offset: Tensor  # (B,) where the window starts in it
    sample_length: Tensor  # (B,) a full window, however few codes of it are asked for
    lyrics: Tensor | None = None  # (B, characters) the window of the lyrics; None: nothing is sung

    @classmethod
    def repeat(
        cls,
        batch: int,
        *,
        artist: int = 0,
        genres: Sequence[int] = (0,),
        slots: int = 1,
        total_length: int = 1,
        offset: int = 0,
        sample_length: int = 1,
        device: torch.device | str = "cpu",
    ) -> Self:
        """The same labels for every row of a batch."""

        def column(value: int) -> Tensor:
            return torch.full((batch,), value, dtype=torch.int64, device=device)

        return cls(
            artist=column(artist),
            genres=torch.tensor([fill_slots(genres, slots)] * batch, dtype=torch.int64, device=device),
            total_length=column(total_length),
            offset=column(offset),
            sample_length=column(sample_length),
        )

    def __len__(self) -> int:
        return len(self.artist)

    def row(self, index: int) -> Self:
        """A batch of that row alone."""
        return self._each(lambda values: values[index : index + 1])

    def to(self, device: torch.device | str) -> Self:
        """The same labels on another device."""
        return self._each(lambda values: values.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return type(self)(**{name: change(value) for name, value in values.items() if value is not None})


def fill_slots(genres: Sequence[int], slots: int) -> list[int]:
    """Genre ids and EMPTY_SLOT after them, `slots` in all."""
    if len(genres) > slots:
        raise ValueError(f"{len(genres)} genres do not fit in {slots} slots")
    return [*genres, *[EMPTY_SLOT] * (slots - len(genres))]
