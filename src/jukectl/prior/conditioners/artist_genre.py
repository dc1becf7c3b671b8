"""Artist and genre as the vector that stands in place of the code before the first (paper, section 2.4)."""

import torch
from torch import Tensor, nn

from jukectl.prior.conditioners.base import Conditioner
from jukectl.prior.labels import LabelBatch


class ArtistGenre(Conditioner):
    """The artist's embedding plus the sum of the genres'."""

    def __init__(self, artists: int, genres: int, width: int, *, std: float) -> None:
        super().__init__()
        self.artist = nn.Embedding(artists, width, _weight=torch.empty(artists, width).normal_(std=std))
        self.genre = nn.Embedding(genres, width, _weight=torch.empty(genres, width).normal_(std=std))

    def forward(self, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """(B, 1, width)."""
        filled = (labels.genres >= 0).unsqueeze(2)  # (B, slots, 1)
        genres = (self.genre(labels.genres.clamp(min=0)) * filled).sum(dim=1)  # (B, width)
        start: Tensor = self.artist(labels.artist) + genres
        return start.unsqueeze(1)
