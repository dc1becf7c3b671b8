"""Prior: logits over the next code, and the loss. An upsampler is a Prior with a conditioner of upper codes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jukectl.prior.affine import pad_rows
from jukectl.prior.conditioners.artist_genre import ArtistGenre
from jukectl.prior.conditioners.base import Conditioner
from jukectl.prior.conditioners.timing import Timing
from jukectl.prior.conditioners.upper_codes import UpperCodes
from jukectl.prior.config import PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.transformer import WEIGHT_STD, KVCache, Transformer

POSITION_STD = 0.01


@dataclass(frozen=True, eq=False)
class Conditioning:
    """What is computed once a window."""

    start: Tensor  # (B, width), in place of the embedding of the code before the first
    positions: Tensor | None  # (B, n, width), added before and after the transformer; n may exceed the codes at hand

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Several batches as one."""
        positions = [part.positions for part in parts if part.positions is not None]
        return cls(torch.cat([part.start for part in parts]), torch.cat(positions) if positions else None)


class Prior(nn.Module):
    """An autoregressive model of the codes of one level. B batch, T codes up to the context, K codebook size."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        width, size = config.width, config.codebook_size
        std, position_std = WEIGHT_STD * config.init_scale, POSITION_STD * config.init_scale
        self.codes = nn.Embedding(size, width, _weight=torch.empty(size, width).normal_(std=std))
        self.positions = nn.Parameter(torch.empty(config.context, width).normal_(std=position_std))
        self.artist_genre = ArtistGenre(config.artists, config.genres, width, std=std)
        self.place = _place_conditioner(config, std=std, position_std=position_std)
        self.transformer = Transformer(config)
        self.head = None if config.tied_head else nn.Parameter(torch.empty(size, width).normal_(std=std))

    def forward(self, codes: Tensor, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Codes (B, T), labels, and the codes above (B, T_upper) for an upsampler, to logits (B, T, K).

        The logits at t are those of the code at t, and have seen the codes before it only.
        """
        conditioning = self._condition(labels, upper)
        hidden = self.transformer(self._inputs(codes[:, :-1], conditioning))
        positions = conditioning.positions
        return self._logits(hidden, None if positions is None else positions[:, : codes.shape[1]])

    def bits(self, codes: Tensor, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """What each code costs, in bits, (B, T) float32."""
        logits: Tensor = self(codes, labels, upper).float()  # (B, T, K)
        nats = F.cross_entropy(logits.flatten(0, 1), codes.flatten(), reduction="none")
        return nats.view_as(codes) / math.log(2)

    def loss(self, codes: Tensor, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Mean bits a code, a scalar."""
        return self.bits(codes, labels, upper).mean()

    @torch.inference_mode()
    def conditioning(self, labels: LabelBatch, upper: Tensor | None = None) -> Conditioning:
        """What a window is conditioned on, for `prefill` and `step`: computed once, then used at every position."""
        if not self._row_by_row(len(labels)):
            return self._condition(labels, upper)
        rows = range(len(labels))
        return Conditioning.join(
            [self._condition(labels.row(row), None if upper is None else upper[row : row + 1]) for row in rows]
        )

    def new_cache(self, batch: int) -> KVCache:
        """A cache for decoding `batch` rows at once, where the model is and in its precision."""
        return KVCache.allocate(self.config, batch, device=self.positions.device, dtype=self.positions.dtype)

    @torch.inference_mode()
    def prefill(self, codes: Tensor, conditioning: Conditioning, cache: KVCache) -> Tensor:
        """Read the known codes (B, n), n from 0 to context - 1, into the cache; returns the logits (B, K) of code n."""
        inputs = self._inputs(codes, conditioning)
        if self._row_by_row(len(codes)):
            rows = range(len(codes))
            last = torch.cat([self.transformer(inputs[row : row + 1], cache.row(row))[:, -1] for row in rows])
            cache.length = inputs.shape[1]
        else:
            last = self.transformer(inputs, cache)[:, -1]
        return self._next_logits(last, codes.shape[1], conditioning)

    @torch.inference_mode()
    def step(self, code: Tensor, position: int, conditioning: Conditioning, cache: KVCache) -> Tensor:
        """Read the code (B,) before `position`, the one drawn last; returns the logits (B, K) at `position`."""
        if position != cache.length:
            raise ValueError(f"the cache ends before position {cache.length}: position {position} cannot be next")
        self._check_length(position + 1, conditioning)
        x = self.codes(code) + self.positions[position]
        if conditioning.positions is not None:
            x = x + conditioning.positions[:, position]
        hidden = self.transformer.step(pad_rows(x), cache)[: len(code)]
        return self._next_logits(hidden, position, conditioning)

    def _condition(self, labels: LabelBatch, upper: Tensor | None) -> Conditioning:
        start = self.artist_genre(labels).squeeze(1)
        return Conditioning(start, self.place(labels, upper) if self.place is not None else None)

    def _row_by_row(self, batch: int) -> bool:
        """Whether to decode rows one by one, so that a sample is the same bits whatever batch it is in.

        A CPU adds up in another order for another batch. A pass over many positions takes no longer this way.
        """
        return batch > 1 and self.positions.device.type == "cpu"

    def _inputs(self, codes: Tensor, conditioning: Conditioning) -> Tensor:
        """Codes (B, n) to what the transformer reads at positions 0..n, (B, n + 1, width)."""
        total = codes.shape[1] + 1
        self._check_length(total, conditioning)
        inputs = torch.cat([conditioning.start.unsqueeze(1), self.codes(codes)], dim=1) + self.positions[:total]
        return inputs if conditioning.positions is None else inputs + conditioning.positions[:, :total]

    def _logits(self, hidden: Tensor, positions: Tensor | None) -> Tensor:
        """Hidden states and the conditioning of the same places, (..., width) both, to logits (..., K)."""
        if self.head is not None:
            return F.linear(hidden, self.head)
        return F.linear(hidden if positions is None else hidden + positions, self.codes.weight)

    def _next_logits(self, hidden: Tensor, position: int, conditioning: Conditioning) -> Tensor:
        """The last position's hidden states (B, width) to logits (B, K)."""
        positions = None if conditioning.positions is None else conditioning.positions[:, position]
        if not self._row_by_row(len(hidden)):
            return self._logits(hidden, positions)
        rows = range(len(hidden))
        return torch.stack([self._logits(hidden[row], None if positions is None else positions[row]) for row in rows])

    def _check_length(self, total: int, conditioning: Conditioning) -> None:
        """Raise ValueError where `total` positions are more than the model or the conditioning has."""
        if total > self.config.context:
            raise ValueError(f"{total} codes do not fit in the context of {self.config.context}")
        if conditioning.positions is not None and total > conditioning.positions.shape[1]:
            raise ValueError(f"{total} codes, but the codes above reach for {conditioning.positions.shape[1]} only")


def _place_conditioner(config: PriorConfig, *, std: float, position_std: float) -> Conditioner | None:
    """What tells every position its place: the clock of a top prior, the codes above of an upsampler, or nothing."""
    if config.conditioner:
        return UpperCodes(config.conditioner, config.width, std=std)
    if config.timing:
        return Timing(
            config.timing, sample_rate=config.sample_rate, context=config.context, width=config.width, std=position_std
        )
    return None
