"""Naive decoder, a baseline: torch, operator by operator, with keys and values concatenated for each code.

Every layer keeps the keys and values of all positions, including those that its kind of attention can no longer see.
`jukectl bench` reports its time, so it is part of the package.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from jukectl.codes.recipe import LevelSampling
from jukectl.prior.attention import EncoderAttention, FactoredAttention
from jukectl.prior.config import AttentionKind
from jukectl.prior.model import ConditioningTensors, Prior
from jukectl.prior.transformer import Block, quick_gelu
from jukectl.sampling.decoders.base import Decoder
from jukectl.sampling.draw import draw_by


class NaiveDecoder(Decoder):
    """Decodes with a concatenated cache. B samples, H heads, D inner width of a head."""

    def __init__(self, prior: Prior, settings: LevelSampling) -> None:
        self.prior = prior
        self.settings = settings
        self._blocks = [cast(Block, block) for block in prior.transformer.blocks]
        self._device = prior.device
        self._last = torch.zeros(0, dtype=torch.int64)  # last code of each sample
        self._past: list[tuple[Tensor, Tensor]] = []  # of each layer, keys and values (B, H, positions, D)

    @torch.inference_mode()
    def begin(self, known: Tensor, conditioning: ConditioningTensors, chunk: int | None = None) -> None:
        """Read the prefix (B, n), all at once; `chunk` is ignored."""
        self._conditioning, self._position, self._past = conditioning, known.shape[1], []
        x = self.prior.inputs(
            known.to(self._device), conditioning, 0, self.prior.config.lyric_tokens + known.shape[1] + 1
        )
        for block, lyrics in zip(self._blocks, self.prior.transformer.states(conditioning.lyrics), strict=True):
            attention, normed = block.attention, block.attention_norm(x)
            if isinstance(attention, EncoderAttention):
                assert lyrics is not None
                keys, values = attention.kv(block.lyric_states(lyrics)).chunk(2, dim=-1)
            else:
                _, keys, values = attention.queries_keys_values(normed)
            self._past.append((_heads(keys, attention.heads), _heads(values, attention.heads)))
            x = block(x, lyrics=lyrics)
        self._hidden: Tensor | None = x[:, -1]

    @torch.inference_mode()
    def decode(self, uniform: Tensor) -> Tensor:
        """Sample the next ids (B, n)."""
        if self._device.type != "mps":  # which has no float64: there the CPU samples
            uniform = uniform.to(self._device)
        sampled: list[Tensor] = []
        for index in range(uniform.shape[1]):
            if self._hidden is None:
                self._position += 1
                self._hidden = self._step(self._last)
            logits = self._logits(self._hidden).to(uniform.device)
            self._last = draw_by(self.settings, logits, uniform[:, index], self.prior.stage_vectors).to(self._device)
            self._hidden = None
            sampled.append(self._last)
        return torch.stack(sampled, dim=1).cpu() if sampled else torch.empty(uniform.shape, dtype=torch.int64)

    def _step(self, code: Tensor) -> Tensor:
        """Return the last hidden states (B, width) of the current position, whose input is a code (B,)."""
        x: Tensor = self.prior.codes(code)
        if self.prior.positions is not None:
            x = x + self.prior.positions[self.prior.config.lyric_tokens + self._position]
        if self._conditioning.positions is not None:
            x = x + self._conditioning.positions[:, self._position]
        for layer, block in enumerate(self._blocks):
            attended = self._attend(layer, block.attention_norm(x))
            middle = x + attended
            mlp = block.mlp_out(quick_gelu(block.mlp_in(block.mlp_norm(middle))))
            x = middle + mlp if block.scale == 1 else x + block.scale * (attended + mlp)
        return x

    def _attend(self, layer: int, x: Tensor) -> Tensor:
        """Return a layer's attention at the current position, (B, width) to (B, width)."""
        attention = self._blocks[layer].attention
        if isinstance(attention, EncoderAttention):
            query = _heads(attention.q(x).unsqueeze(1), attention.heads)
            keys, values = self._past[layer]
        else:
            past, position = self._past[layer], self._past[layer][0].shape[2]
            parts = attention.queries_keys_values(x.unsqueeze(1), position)
            query, *new = (_heads(part, attention.heads) for part in parts)
            self._past[layer] = (torch.cat([past[0], new[0]], dim=2), torch.cat([past[1], new[1]], dim=2))
            seen = _seen(attention, position)
            keys, values = (one[:, :, seen] for one in self._past[layer])
        if keys.shape[2] == 0:  # the first block has no previous row: attention is zero, and its bias remains
            bias: Tensor = attention.out.bias
            return bias.expand(len(x), -1)
        attended = F.scaled_dot_product_attention(query, keys, values)  # (B, H, 1, D)
        result: Tensor = attention.out(attended.flatten(1))
        return result

    def _logits(self, hidden: Tensor) -> Tensor:
        """Return logits (B, ids) of hidden states (B, width)."""
        table = self.prior.codes.weight if self.prior.head is None else self.prior.head
        if self.prior.head is None and self._conditioning.positions is not None:
            hidden = hidden + self._conditioning.positions[:, self._position]
        return F.linear(hidden, table[: self.prior.config.sampled_ids])


def _heads(x: Tensor, heads: int) -> Tensor:
    """Reshape (B, n, A) to (B, H, n, D)."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


def _seen(attention: FactoredAttention, position: int) -> slice:
    """Return the positions that a position attends to, itself included."""
    block = attention.layout.block
    match attention.kind:
        case AttentionKind.ROW:
            return slice(position // block * block, None)
        case AttentionKind.COLUMN:
            return slice(position % block, None, block)
        case AttentionKind.PREVIOUS_ROW:
            return slice(max(position // block - 1, 0) * block, position // block * block)
        case AttentionKind.LYRICS:
            return slice(attention.layout.lyric_keys)
        case AttentionKind.WINDOW:
            return slice(max(position - attention.layout.window + 1, 0), None)
        case _:
            return slice(None)
