"""One step of decoding whose position is on the device: the same operators on the same memory, whatever the position.

A CUDA graph records operators with their shapes and addresses, so nothing in here asks a tensor for its value, and no
shape depends on how far a window has come. What `CacheLayout` says of every position is looked up in a table.
"""

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from jukectl.prior.attention import CacheLayout, EncoderAttention
from jukectl.prior.config import AttentionKind
from jukectl.prior.layers import pad_rows
from jukectl.prior.model import ConditioningTensors, Prior
from jukectl.prior.rotary import rotary_table, rotate
from jukectl.prior.transformer import Block, KVCache

ALIGNED = 8
"""Numbers of a head's width in the cache are a multiple of this: the fast kernels of attention take no other."""


def page_size(layout: CacheLayout) -> int:
    """Places of the cache that are read at one position: the row, the column or the row before; or all of them."""
    match layout.kind:
        case AttentionKind.ROW | AttentionKind.PREVIOUS_ROW:
            return layout.block
        case AttentionKind.COLUMN:
            return layout.context // layout.block
        case AttentionKind.DENSE | AttentionKind.WINDOW | AttentionKind.LYRICS | AttentionKind.ENCODER:
            return layout.slots


@dataclass(frozen=True, eq=False)
class Sight:
    """What all layers of a kind see at one position. Tensors of fixed shapes."""

    size: int  # of a page
    slot: Tensor  # (1,), the place of its own key
    page: Tensor  # (1,), which page of the cache it reads
    seen: Tensor  # (1,), how many places of the page, from the first on; of WINDOW up to its own
    mask: Tensor | None  # (1, page), 0 at what is seen and -inf elsewhere; None where all is seen or nothing
    blind: Tensor | None  # (1,) bool, whether nothing is seen; None where something always is


@dataclass(frozen=True, eq=False)
class SightTable:
    """What `CacheLayout` says of every position of a kind, for a position that is a tensor."""

    layout: CacheLayout
    rows: Tensor  # (positions, 3): slot, page, seen
    places: Tensor  # (page,), 0, 1, 2 …

    @classmethod
    def of(cls, layout: CacheLayout, device: torch.device) -> Self:
        """The table of all positions up to the context."""
        size, rows = page_size(layout), []
        for position in range(layout.context):
            start, stop = layout.visible(position)
            rows.append((layout.slot(position), start // size, stop - start))
        return cls(layout, torch.tensor(rows, device=device), torch.arange(size, device=device))

    def at(self, position: Tensor, dtype: torch.dtype) -> Sight:
        """At a position (1,); its mask is of `dtype`."""
        slot, page, seen = self.rows.index_select(0, position).unbind(1)
        mask = blind = None
        match self.layout.kind:
            case AttentionKind.PREVIOUS_ROW:
                blind = seen == 0
            case AttentionKind.ENCODER:  # all of them, always
                pass
            case kind:
                hidden = self.places >= seen
                if kind is AttentionKind.WINDOW:  # which sees the last places up to its own, not the first ones
                    hidden = (self.places > slot) | (self.places <= slot - seen)
                hidden = hidden.unsqueeze(0)
                mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, -torch.inf)
        return Sight(len(self.places), slot, page, seen, mask, blind)


class StaticStep:
    """`Prior.prefill` and `Prior.step` in memory of their own, allocated once for up to `rows` samples, B in a window.

    After `begin`, each call reads one more code. Codes and positions beyond the window's are the caller's mistake: on a
    GPU an index out of range ends the process.
    """

    def __init__(self, prior: Prior, rows: int) -> None:
        self.prior = prior
        config, stack, parameter = prior.config, prior.config.stack, prior.codes.weight
        self._device, self._dtype = parameter.device, parameter.dtype
        self._width = stack.head_width
        padded = -(-self._width // ALIGNED) * ALIGNED
        layouts = {kind: CacheLayout.of(stack, kind) for kind in stack.kinds}
        self._tables = {kind: SightTable.of(layout, self._device) for kind, layout in layouts.items()}
        self._layers = [
            parameter.new_zeros((rows, 2, stack.heads, layouts[kind].slots, padded)) for kind in stack.kinds
        ]
        # made now: a graph cannot record what is copied from the host
        self._rotations = rotary_table(stack.length, stack.head_width, self._device) if stack.rotary else None
        conditioned = any(part is not None for part in (prior.place, prior.midi, prior.beats))
        self._places = parameter.new_zeros((rows, config.context, config.width)) if conditioned else None

    def begin(self, known: Tensor, conditioning: ConditioningTensors, chunk: int | None = None) -> Tensor:
        """Read the known codes (B, n), as `Prior.prefill` does; returns the logits (B, K) of code n."""
        if self._places is not None and conditioning.positions is not None:
            there = conditioning.positions.shape[1]
            self._places[: len(known), :there].copy_(conditioning.positions)
        cache = KVCache([layer[: len(known), ..., : self._width] for layer in self._layers])
        return self.prior.prefill(known.to(self._device), conditioning, cache, chunk=chunk)

    def __call__(self, code: Tensor, position: Tensor) -> Tensor:
        """Read the code (B,) before `position` (1,), the one drawn last; returns the logits (B, K) at `position`."""
        batch, prior = len(code), self.prior
        place = position + prior.config.lead if prior.config.lead else position
        sights = {kind: table.at(place, self._dtype) for kind, table in self._tables.items()}
        x = prior.codes(code)
        if prior.positions is not None:
            x = x + prior.positions.index_select(0, place)
        rotation = None if self._rotations is None else self._rotations.index_select(0, place)  # (1, D)
        here = None
        if self._places is not None:
            here = self._places[:batch].index_select(1, position).squeeze(1)
            x = x + here
        x = pad_rows(x)
        for kind, block, layer in zip(prior.config.kinds, prior.transformer.blocks, self._layers, strict=True):
            assert isinstance(block, Block)
            attended = self._attend(block, block.attention_norm(x), sights[kind], layer[:batch], kind, rotation)
            x = block.after_attention(x, attended)
        return prior.logits(x[:batch], here)

    def _attend(
        self, block: Block, x: Tensor, sight: Sight, cache: Tensor, kind: AttentionKind, rotation: Tensor | None
    ) -> Tensor:
        """The attention of a block: rows (R, width) to the same shape. Reads and extends `cache`, B <= R."""
        batch, heads, attention = len(cache), cache.shape[2], block.attention
        if isinstance(attention, EncoderAttention):
            query = self._padded(attention.q.step(x)[:batch].view(batch, heads, -1))
        else:
            qkv = attention.qkv.step(x)[:batch].view(batch, 3, heads, -1)
            if rotation is not None:
                qkv = torch.cat([rotate(qkv[:, :2], rotation), qkv[:, 2:]], dim=1)
            qkv = self._padded(qkv)
            query, own = qkv[:, 0], qkv[:, 1:].unsqueeze(3)  # (B, H, D), (B, 2, H, 1, D)
            _write(cache, own, sight.slot, kind)
        attended = self._attend_page(query, _page(cache, sight.page, sight.size), sight.mask)
        if sight.blind is not None:  # in the first row, which has none before it
            attended = attended.masked_fill(sight.blind, 0.0)
        return attention.out.step(pad_rows(attended) if batch < len(x) else attended)

    def _padded(self, heads: Tensor) -> Tensor:
        """(..., D) with zeros up to the cache's width of a head."""
        missing = self._layers[0].shape[-1] - self._width
        return F.pad(heads, (0, missing)) if missing else heads

    def _attend_page(self, query: Tensor, page: Tensor, mask: Tensor | None) -> Tensor:
        """Attention of (B, H, D) to keys and values (B, 2, H, n, D): (B, A)."""
        keys, values = page.unbind(1)
        attended = F.scaled_dot_product_attention(
            query.unsqueeze(2), keys, values, attn_mask=mask, scale=self._width**-0.5
        )
        return attended[..., : self._width].reshape(len(query), -1)


def _write(cache: Tensor, own: Tensor, slot: Tensor, kind: AttentionKind) -> None:
    """Put a key and value (B, 2, H, 1, D) at a slot (1,) of the cache."""
    if kind is AttentionKind.LYRICS:  # which does not keep all: the last place stays as it is then
        last = cache.shape[3] - 1
        place = slot.clamp(max=last)
        own = own.where(slot <= last, cache.index_select(3, place))
        slot = place
    cache.index_copy_(3, slot, own)


def _page(cache: Tensor, page: Tensor, size: int) -> Tensor:
    """The keys and values (B, 2, H, size, D) of a page (1,) of the cache (B, 2, H, slots, D)."""
    if size == cache.shape[3]:  # the only one
        return cache
    pages = cache.view(*cache.shape[:3], -1, size, cache.shape[4])
    return pages.index_select(3, page).squeeze(3)
