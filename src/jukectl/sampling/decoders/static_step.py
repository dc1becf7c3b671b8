"""A decoding step for CUDA graphs: the same operators on the same memory at every position.

A CUDA graph records operators with their shapes and addresses. The position is therefore a tensor on the device, no
value of a tensor is read by the host, and no shape depends on the position. The index arithmetic of `CacheLayout` is
looked up in tables.
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
"""Head widths in the cache are padded to a multiple of this, which the fast attention kernels require."""


def page_size(layout: CacheLayout) -> int:
    """Return the number of slots that are read at one position: a row, a column or the row before; or all of them."""
    match layout.kind:
        case AttentionKind.ROW | AttentionKind.PREVIOUS_ROW:
            return layout.block
        case AttentionKind.COLUMN:
            return layout.context // layout.block
        case AttentionKind.DENSE | AttentionKind.WINDOW | AttentionKind.LYRICS | AttentionKind.ENCODER:
            return layout.slots


@dataclass(frozen=True, eq=False)
class Page:
    """Slots that all layers of a kind read at one position. Tensors of fixed shapes."""

    size: int  # slots
    slot: Tensor  # (1,), of the position's own key
    number: Tensor  # (1,), of the page in the cache
    count: Tensor  # (1,), slots that are attended to: the first ones of the page; in WINDOW the last ones up to `slot`
    mask: Tensor | None  # (1, size), 0 at slots that are attended to, -inf elsewhere; None for all or nothing
    empty: Tensor | None  # (1,) bool, True if nothing is attended to; None for kinds in which something always is


@dataclass(frozen=True, eq=False)
class PageTable:
    """The pages of all positions of a kind, for positions that are tensors."""

    layout: CacheLayout
    rows: Tensor  # (positions, 3): slot, number, count
    slots: Tensor  # (size,), 0, 1, 2 …

    @classmethod
    def of(cls, layout: CacheLayout, device: torch.device) -> Self:
        """Return the table of all positions of a layout."""
        size, rows = page_size(layout), []
        for position in range(layout.context):
            start, stop = layout.visible(position)
            rows.append((layout.slot(position), start // size, stop - start))
        return cls(layout, torch.tensor(rows, device=device), torch.arange(size, device=device))

    def at(self, position: Tensor, dtype: torch.dtype) -> Page:
        """Return the page of a position (1,), with a mask of `dtype`."""
        slot, number, count = self.rows.index_select(0, position).unbind(1)
        mask = empty = None
        match self.layout.kind:
            case AttentionKind.PREVIOUS_ROW:
                empty = count == 0
            case AttentionKind.ENCODER:  # attends to all states
                pass
            case kind:
                hidden = self.slots >= count
                if kind is AttentionKind.WINDOW:
                    hidden = (self.slots > slot) | (self.slots <= slot - count)
                hidden = hidden.unsqueeze(0)
                mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, -torch.inf)
        return Page(len(self.slots), slot, number, count, mask, empty)


class StaticStep:
    """`Prior.prefill` and `Prior.step` on memory that is allocated once, for up to `rows` rows; B rows in a window.

    After `begin`, each call reads one more code. Codes and positions must be in range: on a GPU an index out of range
    ends the process.
    """

    def __init__(self, prior: Prior, rows: int) -> None:
        self.prior = prior
        config, stack, parameter = prior.config, prior.config.stack, prior.codes.weight
        self._device, self._dtype = parameter.device, parameter.dtype
        self._width = stack.head_width
        padded = -(-self._width // ALIGNED) * ALIGNED
        layouts = {kind: CacheLayout.of(stack, kind) for kind in stack.kinds}
        self._tables = {kind: PageTable.of(layout, self._device) for kind, layout in layouts.items()}
        self._layers = [
            parameter.new_zeros((rows, 2, stack.heads, layouts[kind].slots, padded)) for kind in stack.kinds
        ]
        # computed before a graph is recorded, which cannot copy from the host
        self._rotations = rotary_table(stack.length, stack.head_width, self._device) if stack.rotary else None
        added = config.has_position_vectors
        self._added = parameter.new_zeros((rows, config.context, config.width)) if added else None

    def begin(self, prefix: Tensor, conditioning: ConditioningTensors, chunk: int | None = None) -> Tensor:
        """Read the prefix (B, n), as `Prior.prefill` does; return the logits (B, K) for code n."""
        if self._added is not None and conditioning.positions is not None:
            length = conditioning.positions.shape[1]
            self._added[: len(prefix), :length].copy_(conditioning.positions)
        # without the padding of heads, which stays zero and adds nothing to dot products
        cache = KVCache([layer[: len(prefix), ..., : self._width] for layer in self._layers])
        return self.prior.prefill(prefix.to(self._device), conditioning, cache, chunk=chunk)

    def __call__(self, code: Tensor, position: Tensor) -> Tensor:
        """Read the code (B,) before `position` (1,), sampled last; return the logits (B, K) at `position`."""
        batch, prior = len(code), self.prior
        place = position + prior.config.lyric_tokens if prior.config.lyric_tokens else position
        pages = {kind: table.at(place, self._dtype) for kind, table in self._tables.items()}  # shared by all layers
        x = prior.codes(code)
        if prior.positions is not None:
            x = x + prior.positions.index_select(0, place)
        rotation = None if self._rotations is None else self._rotations.index_select(0, place)  # (1, D)
        added = None
        if self._added is not None:
            added = self._added[:batch].index_select(1, position).squeeze(1)
            x = x + added
        x = pad_rows(x)
        for kind, block, layer in zip(prior.config.kinds, prior.transformer.blocks, self._layers, strict=True):
            assert isinstance(block, Block)
            attended = self._attend(block, block.attention_norm(x), pages[kind], layer[:batch], kind, rotation)
            x = block.after_attention(x, attended)
        return prior.logits(x[:batch], added)

    def _attend(
        self, block: Block, x: Tensor, page: Page, cache: Tensor, kind: AttentionKind, rotation: Tensor | None
    ) -> Tensor:
        """Compute the attention of a block: rows (R, width) to the same shape. Extends `cache`, B <= R."""
        batch, heads, attention = len(cache), cache.shape[2], block.attention
        if isinstance(attention, EncoderAttention):
            query = self._padded(attention.q.step(x)[:batch].view(batch, heads, -1))
        else:
            qkv = attention.qkv.step(x)[:batch].view(batch, 3, heads, -1)
            if rotation is not None:
                qkv = torch.cat([rotate(qkv[:, :2], rotation), qkv[:, 2:]], dim=1)
            qkv = self._padded(qkv)
            query, own = qkv[:, 0], qkv[:, 1:].unsqueeze(3)  # (B, H, D), (B, 2, H, 1, D)
            _write(cache, own, page.slot, kind)
        attended = self._attend_page(query, _read(cache, page), page.mask)
        if page.empty is not None:  # the first block has none before it
            attended = attended.masked_fill(page.empty, 0.0)
        return attention.out.step(pad_rows(attended) if batch < len(x) else attended)

    def _padded(self, heads: Tensor) -> Tensor:
        """Pad heads (..., D) with zeros to the head width of the cache."""
        missing = self._layers[0].shape[-1] - self._width
        return F.pad(heads, (0, missing)) if missing else heads

    def _attend_page(self, query: Tensor, page: Tensor, mask: Tensor | None) -> Tensor:
        """Attend from (B, H, D) to keys and values (B, 2, H, n, D): return (B, A)."""
        keys, values = page.unbind(1)
        attended = F.scaled_dot_product_attention(
            query.unsqueeze(2), keys, values, attn_mask=mask, scale=self._width**-0.5
        )
        return attended[..., : self._width].reshape(len(query), -1)


def _write(cache: Tensor, own: Tensor, slot: Tensor, kind: AttentionKind) -> None:
    """Write a key and value (B, 2, H, 1, D) to a slot (1,) of the cache."""
    if kind is AttentionKind.LYRICS:  # keeps the first keys only; for later ones the last slot is written as it is
        last = cache.shape[3] - 1
        place = slot.clamp(max=last)
        own = own.where(slot <= last, cache.index_select(3, place))
        slot = place
    cache.index_copy_(3, slot, own)


def _read(cache: Tensor, page: Page) -> Tensor:
    """Return the keys and values (B, 2, H, size, D) of a page of the cache (B, 2, H, slots, D)."""
    if page.size == cache.shape[3]:  # the only one
        return cache
    pages = cache.view(*cache.shape[:3], -1, page.size, cache.shape[4])
    return pages.index_select(3, page.number).squeeze(3)
