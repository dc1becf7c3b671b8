"""Factored attention: the patterns as index arithmetic and as masks, and the kernels that compute them.

The context is a grid, one block of codes a row (paper, section 2.3 and appendix A.2; see also Child et al. 2019, Sparse
Transformers). B batch, T codes, A inner width of attention, H heads, D = A / H.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jukectl.prior.affine import Affine, pad_rows
from jukectl.prior.config import AttentionKind, PriorConfig


def pattern_mask(kind: AttentionKind, context: int, block: int) -> Tensor:
    """Which keys (columns) each position (rows) sees, (context, context) bool: the specification of the kinds.

    A position of the first block sees no key at all in PREVIOUS_ROW; its result is zero.
    """
    query = torch.arange(context)[:, None]
    key = torch.arange(context)
    match kind:
        case AttentionKind.DENSE:
            return key <= query
        case AttentionKind.ROW:
            return (key <= query) & (key // block == query // block)
        case AttentionKind.COLUMN:
            return (key <= query) & (key % block == query % block)
        case AttentionKind.PREVIOUS_ROW:
            return key // block == query // block - 1


@dataclass(frozen=True)
class CacheLayout:
    """Where keys and values wait for later positions. Each kind keeps what it can still see, side by side."""

    kind: AttentionKind
    context: int
    block: int

    @property
    def slots(self) -> int:
        """Places for keys. As many successive positions as this have places of their own."""
        match self.kind:
            case AttentionKind.DENSE | AttentionKind.COLUMN:
                return self.context
            case AttentionKind.ROW:
                return self.block
            case AttentionKind.PREVIOUS_ROW:
                return 2 * self.block

    def slot(self, position: int) -> int:
        """The place of a position's key."""
        match self.kind:
            case AttentionKind.DENSE:
                return position
            case AttentionKind.ROW:
                return position % self.block
            case AttentionKind.COLUMN:  # column after column, so that one column lies together
                return position % self.block * (self.context // self.block) + position // self.block
            case AttentionKind.PREVIOUS_ROW:  # the block being filled and the one before take turns
                return position % (2 * self.block)

    def visible(self, position: int) -> tuple[int, int]:
        """The first of the places that a position sees, its own included where the kind has it, and the end of them."""
        slot = self.slot(position)
        match self.kind:
            case AttentionKind.DENSE | AttentionKind.ROW:
                return 0, slot + 1
            case AttentionKind.COLUMN:
                return slot - position // self.block, slot + 1
            case AttentionKind.PREVIOUS_ROW:
                start = self.block if slot < self.block else 0
                return start, start + self.block if position >= self.block else start


class FactoredAttention(nn.Module):
    """Multi-head self-attention in which a position sees what `kind` lets it see."""

    def __init__(self, config: PriorConfig, kind: AttentionKind, *, std: float, std_out: float) -> None:
        super().__init__()
        self.kind = kind
        self.heads = config.heads
        self.layout = CacheLayout(kind, config.context, config.block)
        self.qkv = Affine(config.width, 3 * config.attention_width, std=std)
        self.out = Affine(config.attention_width, config.width, std=std_out)

    def forward(self, x: Tensor, cache: Tensor | None = None) -> Tensor:
        """(B, T, width) to the same shape, T up to the context; keys and values go to `cache` (B, 2, H, slots, D)."""
        query, key, value = torch.chunk(self.qkv(x), 3, dim=-1)  # (B, T, A) each
        if cache is not None:
            self._store(key, value, cache)
        result: Tensor = self.out(attend(self.kind, query, key, value, heads=self.heads, block=self.layout.block))
        return result

    def step(self, x: Tensor, position: int, cache: Tensor) -> Tensor:
        """One position: rows (R, width) to the same shape. Reads and extends `cache` (B, 2, H, slots, D), B <= R."""
        batch, rows = len(cache), len(x)
        qkv = self.qkv.step(x).view(rows, 3, self.heads, -1)  # (R, 3, H, D)
        if batch < rows:
            qkv = qkv[:batch]
        cache.select(3, self.layout.slot(position)).copy_(qkv.narrow(1, 1, 2))
        start, stop = self.layout.visible(position)
        if start == stop:
            return self.out.bias.expand(rows, -1)
        keys, values = cache.narrow(3, start, stop - start).unbind(1)  # (B, H, n, D) each
        attended = F.scaled_dot_product_attention(qkv.select(1, 0).unsqueeze(2), keys, values).view(batch, -1)
        if batch < rows:
            attended = pad_rows(attended)
        return self.out.step(attended)

    def _store(self, key: Tensor, value: Tensor, cache: Tensor) -> None:
        """Put the keys and values (B, T, A) of positions 0..T-1 in their places, those that can still be seen."""
        total = key.shape[1]
        start = max(total - self.layout.slots, 0)
        slots = torch.tensor([self.layout.slot(position) for position in range(start, total)], device=key.device)
        for index, tensor in enumerate((key, value)):
            heads = tensor[:, start:].view(len(cache), total - start, self.heads, -1)
            cache[:, index].index_copy_(2, slots, heads.transpose(1, 2))  # (B, H, n, D)


def attend(kind: AttentionKind, query: Tensor, key: Tensor, value: Tensor, *, heads: int, block: int) -> Tensor:
    """Attention of one kind over the first T positions: (B, T, A) each to (B, T, A). No (T, T) matrix but for DENSE."""
    batch, total, width = query.shape
    if kind is AttentionKind.DENSE:
        return _heads_attend(query, key, value, heads=heads, causal=True)
    if missing := -total % block:  # zeros after the end: no real position sees them
        query, key, value = (F.pad(tensor, (0, 0, 0, missing)) for tensor in (query, key, value))
    if kind is AttentionKind.PREVIOUS_ROW:  # keys and values one block late; the first block sees a block of zeros
        key, value = (F.pad(tensor, (0, 0, block, -block)) for tensor in (key, value))
    if kind is AttentionKind.COLUMN:  # every offset is a set of heads of its own, along the blocks
        sequences, heads = (batch, -1, block * width), block * heads
    else:  # every block is a sequence of its own
        sequences = (-1, block, width)
    query, key, value = (tensor.reshape(sequences) for tensor in (query, key, value))
    attended = _heads_attend(query, key, value, heads=heads, causal=kind is not AttentionKind.PREVIOUS_ROW)
    return attended.view(batch, -1, width)[:, :total]


def _heads_attend(query: Tensor, key: Tensor, value: Tensor, *, heads: int, causal: bool) -> Tensor:
    """Plain multi-head attention inside each sequence: (N, L, A) each to (N, L, A)."""
    sequences, length, width = query.shape
    split = (sequences, length, heads, width // heads)
    query, key, value = (tensor.view(split).transpose(1, 2) for tensor in (query, key, value))  # (N, H, L, D)
    if query.device.type == "cpu" and torch.is_grad_enabled():
        # a bfloat16 gradient of short sequences takes several times as long as a float32 one on a CPU
        with torch.autocast("cpu", enabled=False):
            attended = F.scaled_dot_product_attention(query.float(), key.float(), value.float(), is_causal=causal)
        attended = attended.to(query.dtype)
    else:
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=causal)
    return attended.transpose(1, 2).reshape(sequences, length, width)
