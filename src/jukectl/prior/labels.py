"""LabelBatch: what a prior is told about the windows it models, one row a window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor

from jukectl.prior.mixture import Mixture
from jukectl.prior.vocabulary import UNLABELLED

EMPTY_SLOT = -1
"""Stands in a genre slot that holds no genre."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelBatch:
    """Labels of B windows, int64. Times are in audio samples at the model's rate."""

    artist: Tensor  # (B,); or (B, n) with weights
    genres: Tensor  # (B, slots), EMPTY_SLOT where there is none
    total_length: Tensor  # (B,) the whole song
    offset: Tensor  # (B,) where the window starts in it
    sample_length: Tensor  # (B,) a full window, however few codes of it are asked for
    lyrics: Tensor | None = None  # (B, characters) the window of the lyrics; None: nothing is sung
    notes: Tensor | None = None  # (B, T, channels) uint8, piano rolls at the codes' rate; None: no notes are told
    artist_weights: Tensor | None = None  # (B, n) float32, how much of each artist counts; None: the one in full
    genre_weights: Tensor | None = None  # (B, slots) float32; None: each in full

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

    def styled(self, artists: Sequence[Mixture], genres: Sequence[Mixture]) -> Self:
        """The same places in songs, with an artist and genres for each row; mixtures of any length."""
        device, slots = self.artist.device, self.genres.shape[1]
        if all(mixture.pure and len(mixture.ids) <= slots for mixture in genres):
            told, genre_weights = torch.tensor([fill_slots(mixture.ids, slots) for mixture in genres]), None
        else:
            told, genre_weights = _columns(genres, EMPTY_SLOT)
        if all(mixture.pure and len(mixture.ids) == 1 for mixture in artists):
            artist, artist_weights = torch.tensor([mixture.ids[0] for mixture in artists]), None
        else:
            artist, artist_weights = _columns(artists, UNLABELLED)
        styled = replace(self, artist=artist, artist_weights=artist_weights, genres=told, genre_weights=genre_weights)
        return styled.to(device)

    def unlabelled(self) -> Self:
        """The same places in songs, without artist and genre."""
        nobody = [Mixture.of(UNLABELLED)] * len(self)
        return self.styled(nobody, nobody)

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


def _columns(mixtures: Sequence[Mixture], empty: int) -> tuple[Tensor, Tensor]:
    """Ids (B, n) and weights (B, n) float32, n those of the longest; shorter ones are filled up with `empty` at 0."""
    longest = max(1, *(len(mixture.ids) for mixture in mixtures))
    missing = [longest - len(mixture.ids) for mixture in mixtures]
    ids = [[*mixture.ids, *[empty] * more] for mixture, more in zip(mixtures, missing, strict=True)]
    weights = [[*mixture.weights, *[0.0] * more] for mixture, more in zip(mixtures, missing, strict=True)]
    return torch.tensor(ids), torch.tensor(weights)
