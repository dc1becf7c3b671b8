"""Artist and genre as the vector that stands in place of the code before the first (paper, section 2.4)."""

import torch
from torch import Tensor, nn

from jukectl.prior.conditioners.base import Conditioner
from jukectl.prior.labels import LabelBatch


class ArtistGenre(Conditioner):
    """The artist's embedding plus the sum of the genres'; of mixtures, sums by weight (see mixture.py)."""

    def __init__(self, artists: int, genres: int, width: int, *, std: float) -> None:
        super().__init__()
        self.artist = nn.Embedding(artists, width, _weight=torch.empty(artists, width).normal_(std=std))
        self.genre = nn.Embedding(genres, width, _weight=torch.empty(genres, width).normal_(std=std))

    def forward(self, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """(B, 1, width)."""
        filled = (labels.genres >= 0).unsqueeze(2)  # (B, slots, 1)
        each = self.genre(labels.genres.clamp(min=0)) * filled
        genres = each.sum(dim=1) if labels.genre_weights is None else _mixed(each, labels.genre_weights)  # (B, width)
        artist: Tensor = self.artist(labels.artist)
        if labels.artist_weights is not None:
            artist = _mixed(artist, labels.artist_weights)
        return (artist + genres).unsqueeze(1)


def _mixed(embeddings: Tensor, weights: Tensor) -> Tensor:
    """Embeddings (B, n, width) by weights (B, n), added up in float32: (B, width)."""
    return (embeddings.float() * weights.unsqueeze(2)).sum(dim=1).to(embeddings.dtype)
