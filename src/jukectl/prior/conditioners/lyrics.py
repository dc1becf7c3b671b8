"""The lyrics of a window, read by a transformer that also learns to foretell them (paper, section 2.5).

It is one of their own, or the codes' own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jukectl.prior.affine import Affine
from jukectl.prior.conditioners.base import Conditioner
from jukectl.prior.config import LyricsConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.layernorm import LayerNorm
from jukectl.prior.transformer import POSITION_STD, WEIGHT_STD, Transformer


class LyricsEncoder(Conditioner):
    """Characters to states for the prior's attention. L characters of the window."""

    def __init__(self, config: LyricsConfig, width: int) -> None:
        super().__init__()
        encoder = config.encoder
        assert encoder is not None
        std, position_std = WEIGHT_STD * encoder.init_scale, POSITION_STD * encoder.init_scale
        inner, size = encoder.width, config.alphabet
        self.characters = nn.Embedding(size, inner, _weight=torch.empty(size, inner).normal_(std=std))
        self.start = nn.Parameter(torch.empty(1, inner).normal_(std=position_std))
        self.positions = nn.Parameter(torch.empty(config.characters, inner).normal_(std=position_std))
        self.transformer = Transformer(encoder.stack(config.characters))
        self.project = Affine(inner, width, std=std)
        self.norm = LayerNorm(width)
        self.head = nn.Parameter(torch.empty(size, width).normal_(std=std))

    def forward(self, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """States (B, L, width). Those at l have seen the characters before it only."""
        characters = lyrics_of(labels, len(self.positions))
        inputs = _shifted(self.characters(characters[:, :-1]), self.start, self.positions)
        states: Tensor = self.norm(self.project(self.transformer(inputs)))
        return states

    def logits(self, states: Tensor) -> Tensor:
        """States (B, L, width) to logits over the characters, (B, L, alphabet)."""
        return F.linear(states, self.head)


class LyricsApart(nn.Module):
    """Characters as the codes' own blocks read them, in a sequence of their own. L characters of the window."""

    def __init__(self, config: LyricsConfig, width: int, *, std: float, position_std: float) -> None:
        super().__init__()
        size = config.alphabet
        self.characters = nn.Embedding(size, width, _weight=torch.empty(size, width).normal_(std=std))
        self.start = nn.Parameter(torch.empty(1, width).normal_(std=position_std))
        self.positions = nn.Parameter(torch.empty(config.characters, width).normal_(std=position_std))
        self.head = nn.Parameter(torch.empty(size, width).normal_(std=std))

    def forward(self, labels: LabelBatch) -> Tensor:
        """What the blocks read at each place (B, L, width): the character before it."""
        characters = lyrics_of(labels, len(self.positions))
        return _shifted(self.characters(characters[:, :-1]), self.start, self.positions)

    def logits(self, states: Tensor) -> Tensor:
        """States (B, L, width) to logits over the characters, (B, L, alphabet)."""
        return F.linear(states, self.head)


def _shifted(characters: Tensor, start: Tensor, positions: Tensor) -> Tensor:
    """The start, then embedded characters (B, L - 1, width), and where they are: (B, L, width)."""
    return torch.cat([start.expand(len(characters), 1, -1), characters], dim=1) + positions


def lyrics_of(labels: LabelBatch, characters: int) -> Tensor:
    """The window of the lyrics (B, L), all zeros where nothing is sung. ValueError for one of another length."""
    if labels.lyrics is None:
        return torch.zeros(len(labels), characters, dtype=torch.int64, device=labels.artist.device)
    if labels.lyrics.shape[1] != characters:
        raise ValueError(f"this prior reads {characters} characters of the lyrics, got {labels.lyrics.shape[1]}")
    return labels.lyrics
