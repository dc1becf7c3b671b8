"""Attention: its patterns as index arithmetic and as masks, the kernels that compute them, and the key-value cache.

Factored patterns lay the context out as a grid, one block of codes a row (Jukebox, appendix A; see also Child et al.
2019, Sparse Transformers). B batch, T codes, A inner width of attention, H heads, D = A / H.
"""

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jukectl.prior.config import AttentionKind, StackConfig
from jukectl.prior.layers import Affine, pad_rows
from jukectl.prior.rotary import rotary_table, rotate


def pattern_mask(kind: AttentionKind, context: int, block: int, lyric_keys: int = 0, window: int = 0) -> Tensor:
    """Return which keys (columns) each position (rows) attends to, (context, context) bool: the kinds' specification.

    In PREVIOUS_ROW a position of the first block has no keys; its result is zero. `lyric_keys` is for LYRICS, `window`
    for WINDOW.
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
        case AttentionKind.LYRICS:
            return (key <= query) & (key < lyric_keys)
        case AttentionKind.WINDOW:
            return (key <= query) & (key > query - window)
        case AttentionKind.ENCODER:
            raise ValueError(
                "states of the encoder are not positions of the sequence: every position attends to all of them"
            )


@dataclass(frozen=True)
class CacheLayout:
    """Slots of the key-value cache. Each kind keeps only keys that later positions attend to.

    What one position attends to is contiguous in every kind, so that decoding needs a slice and no gather.
    """

    kind: AttentionKind
    context: int
    block: int
    lyric_keys: int = 0  # keys of LYRICS; states of the encoder for ENCODER
    window: int = 0  # of WINDOW

    @classmethod
    def of(cls, config: StackConfig, kind: AttentionKind) -> Self:
        """Return the layout of a stack's layers of one kind."""
        lyric_keys = config.lyrics if kind is AttentionKind.ENCODER else config.lyric_keys
        return cls(kind, config.length, config.block, lyric_keys, config.window)

    @property
    def slots(self) -> int:
        """Number of slots. As many successive positions as this have different slots."""
        match self.kind:
            # a ring of `window` slots would do for WINDOW, but what a position attends to would not be contiguous
            case AttentionKind.DENSE | AttentionKind.COLUMN | AttentionKind.WINDOW:
                return self.context
            case AttentionKind.ROW:
                return self.block
            case AttentionKind.PREVIOUS_ROW:
                return 2 * self.block
            case AttentionKind.LYRICS | AttentionKind.ENCODER:
                return self.lyric_keys

    def slot(self, position: int) -> int:
        """Return the slot of a position's key. In LYRICS only the first `lyric_keys` positions have one."""
        match self.kind:
            case AttentionKind.DENSE | AttentionKind.WINDOW | AttentionKind.LYRICS | AttentionKind.ENCODER:
                return position
            case AttentionKind.ROW:
                return position % self.block
            case AttentionKind.COLUMN:  # column-major, so that one column is contiguous
                return position % self.block * (self.context // self.block) + position // self.block
            case AttentionKind.PREVIOUS_ROW:  # double buffering: one block is read while the next is written
                return position % (2 * self.block)

    def kept(self, start: int, stop: int) -> range:
        """Return which of the positions start..stop have keys that a later position attends to."""
        if self.kind is AttentionKind.LYRICS:
            return range(start, max(start, min(stop, self.lyric_keys)))
        return range(max(start, stop - self.slots), stop)

    def past(self, start: int) -> range:
        """Return the positions before `start`, the first of a block, that positions from there on attend to."""
        match self.kind:
            case AttentionKind.DENSE | AttentionKind.COLUMN:
                return range(start)
            case AttentionKind.ROW | AttentionKind.ENCODER:
                return range(0)
            case AttentionKind.PREVIOUS_ROW:
                return range(max(start - self.block, 0), start)
            case AttentionKind.WINDOW:
                return range(max(start - self.window + 1, 0), start)
            case AttentionKind.LYRICS:
                return range(min(start, self.lyric_keys))

    def visible(self, position: int) -> tuple[int, int]:
        """Return start and stop of the slots that a position attends to, its own included if it has one."""
        slot = self.slot(position)
        match self.kind:
            case AttentionKind.DENSE | AttentionKind.ROW:
                return 0, slot + 1
            case AttentionKind.COLUMN:
                return slot - position // self.block, slot + 1
            case AttentionKind.PREVIOUS_ROW:
                start = self.block if slot < self.block else 0
                return start, start + self.block if position >= self.block else start
            case AttentionKind.WINDOW:
                return max(slot - self.window + 1, 0), slot + 1
            case AttentionKind.LYRICS:
                return 0, min(slot + 1, self.lyric_keys)
            case AttentionKind.ENCODER:
                return 0, self.lyric_keys


class FactoredAttention(nn.Module):
    """Multi-head self-attention of one kind."""

    def __init__(self, config: StackConfig, kind: AttentionKind, *, std: float, std_out: float) -> None:
        super().__init__()
        self.kind = kind
        self.heads = config.heads
        self.layout = CacheLayout.of(config, kind)
        self.rotary = config.rotary
        self.qkv = Affine(config.width, 3 * config.attention_width, std=std)
        self.out = Affine(config.attention_width, config.width, std=std_out)

    def forward(self, x: Tensor, cache: Tensor | None = None, start: int = 0) -> Tensor:
        """Attend at positions start..start+T: (B, T, width) to the same shape. `start` is the first of a block.

        Keys and values are written to `cache` (B, 2, H, slots, D), which must hold those before `start`.
        """
        query, key, value = self.queries_keys_values(x, start)
        if cache is not None:
            past = self.layout.past(start)  # read before the cache is written: slots are reused
            own = key, value
            if past:
                key, value = (torch.cat(both, dim=1) for both in zip(self._read(past, cache), own, strict=True))
            self._store(*own, start, cache)
        attended = attend(
            self.kind,
            query,
            key,
            value,
            heads=self.heads,
            block=self.layout.block,
            start=start,
            lyric_keys=self.layout.lyric_keys,
            window=self.layout.window,
        )
        result: Tensor = self.out(attended)
        return result

    def queries_keys_values(self, x: Tensor, start: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values of positions start..start+T, (B, T, A) each, of inputs (B, T, width).

        With rotary positions queries and keys are turned here, so the cache holds turned keys: a position has the same
        angle for every later query, and none is turned twice.
        """
        qkv: Tensor = self.qkv(x)
        query, key, value = torch.chunk(qkv, 3, dim=-1)
        if not self.rotary:
            return query, key, value
        batch, total, _ = query.shape
        turned = qkv[..., : 2 * query.shape[2]].view(batch, total, 2, self.heads, -1)  # in one pass over memory
        turned = rotate(turned, self.rotation(x.device)[start : start + total, None, None])
        query, key = turned.flatten(3).unbind(2)
        return query, key, value

    def rotation(self, device: torch.device) -> Tensor:
        """Return the `rotary_table` of all positions, (length, D)."""
        return rotary_table(self.layout.context, self.qkv.bias.shape[0] // (3 * self.heads), device)

    def step(self, x: Tensor, position: int, cache: Tensor) -> Tensor:
        """Attend at one position: rows (R, width) to the same shape. Extends `cache` (B, 2, H, slots, D), B <= R.

        The last R - B rows are the padding of `pad_rows`.
        """
        batch, rows = len(cache), len(x)
        qkv = self.qkv.step(x).view(rows, 3, self.heads, -1)  # (R, 3, H, D)
        if batch < rows:  # padding rows are not cached
            qkv = qkv[:batch]
        if self.rotary:
            both = qkv.narrow(1, 0, 2)
            both.copy_(rotate(both, self.rotation(x.device)[position]))
        slot = self.layout.slot(position)
        if slot < self.layout.slots:  # LYRICS keeps the first keys only
            cache.select(3, slot).copy_(qkv.narrow(1, 1, 2))
        start, stop = self.layout.visible(position)
        if start == stop:  # the first block of PREVIOUS_ROW: attention over no keys is zero, and the bias is left
            return self.out.bias.expand(rows, -1)
        return self.out.step(attend_cached(qkv.select(1, 0), cache.narrow(3, start, stop - start), rows))

    def _store(self, key: Tensor, value: Tensor, start: int, cache: Tensor) -> None:
        """Write the keys and values (B, T, A) of positions from `start` on that later positions attend to."""
        kept = self.layout.kept(start, start + key.shape[1])
        if not kept:
            return
        for index, tensor in enumerate((key, value)):
            heads = tensor[:, kept.start - start : kept.stop - start].view(len(cache), len(kept), self.heads, -1)
            cache[:, index].index_copy_(2, self._slots(kept, cache), heads.transpose(1, 2))  # (B, H, n, D)

    def _read(self, positions: range, cache: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and values (B, n, A) of positions in the cache."""
        found = cache.index_select(3, self._slots(positions, cache)).permute(1, 0, 3, 2, 4)  # (2, B, n, H, D)
        keys, values = found.flatten(3)
        return keys, values

    def _slots(self, positions: range, cache: Tensor) -> Tensor:
        return torch.tensor([self.layout.slot(position) for position in positions], device=cache.device)


class EncoderAttention(nn.Module):
    """Multi-head cross-attention of every position to all states of the lyrics."""

    def __init__(self, config: StackConfig, *, std: float, std_out: float) -> None:
        super().__init__()
        self.heads = config.heads
        self.q = Affine(config.width, config.attention_width, std=std)
        self.kv = Affine(config.width, 2 * config.attention_width, std=std)
        self.out = Affine(config.attention_width, config.width, std=std_out)

    def forward(self, x: Tensor, states: Tensor, cache: Tensor | None = None, causal: bool = False) -> Tensor:
        """Attend from (B, T, width) to states (B, L, width), whose keys and values are written to `cache`.

        The cache is (B, 2, H, L, D). With `causal`, position t attends to the states up to t.
        """
        keys, values = torch.chunk(self.kv(states), 2, dim=-1)  # (B, L, A)
        if cache is not None:
            for index, tensor in enumerate((keys, values)):
                heads = tensor.view(*tensor.shape[:2], self.heads, -1)  # (B, L, H, D)
                cache[:, index].copy_(heads.transpose(1, 2))
        attended = _heads_attend(self.q(x), keys, values, heads=self.heads, first=0 if causal else None)
        result: Tensor = self.out(attended)
        return result

    def step(self, x: Tensor, position: int, cache: Tensor) -> Tensor:
        """Attend at one position: rows (R, width) to the same shape. The cache has B <= R rows."""
        rows = len(x)
        query = self.q.step(x)[: len(cache)].view(len(cache), self.heads, -1)  # (B, H, D)
        return self.out.step(attend_cached(query, cache, rows))


def attend_cached(query: Tensor, cache: Tensor, rows: int) -> Tensor:
    """Attend from one position, (B, H, D), to all keys and values (B, 2, H, n, D); return (R, A), R = `rows` >= B."""
    keys, values = cache.unbind(1)  # (B, H, n, D) each
    attended = F.scaled_dot_product_attention(query.unsqueeze(2), keys, values).view(len(query), -1)
    return pad_rows(attended) if len(query) < rows else attended


def attend(
    kind: AttentionKind,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    heads: int,
    block: int,
    start: int = 0,
    lyric_keys: int = 0,
    window: int = 0,
) -> Tensor:
    """Compute attention of one kind: queries (B, T, A) of positions start..start+T to (B, T, A).

    Keys and values (B, P + T, A) begin with those of earlier positions, see `CacheLayout.past`. `start` is the first
    position of a block. Factored kinds are reshaped to many short sequences, so that no (T, T) matrix is needed.
    """
    batch, total, width = query.shape
    past = key.shape[1] - total
    if kind is AttentionKind.DENSE:
        return _heads_attend(query, key, value, heads=heads, first=past)
    if kind is AttentionKind.LYRICS:
        return _heads_attend(query, key[:, :lyric_keys], value[:, :lyric_keys], heads=heads, first=start)
    if kind is AttentionKind.WINDOW:
        return _attend_window(query, key, value, heads=heads, window=window)
    if missing := -total % block:  # padded at the end, where no position attends to it
        query, key, value = (F.pad(tensor, (0, 0, 0, missing)) for tensor in (query, key, value))
    if kind is AttentionKind.PREVIOUS_ROW:  # keys and values shifted by a block; the first block gets zeros
        key, value = (F.pad(tensor, (0, 0, block, -block))[:, past:] for tensor in (key, value))
    first = 0
    if kind is AttentionKind.COLUMN:  # each offset in the block becomes a set of heads, along the blocks
        sequences, heads, first = (batch, -1, block * width), block * heads, past // block
    else:  # each block is a sequence
        sequences = (-1, block, width)
    query, key, value = (tensor.reshape(sequences) for tensor in (query, key, value))
    # within a shifted block every key is earlier than the query, so PREVIOUS_ROW needs no mask
    first_seen = None if kind is AttentionKind.PREVIOUS_ROW else first
    attended = _heads_attend(query, key, value, heads=heads, first=first_seen)
    return attended.view(batch, -1, width)[:, :total]


def _attend_window(query: Tensor, key: Tensor, value: Tensor, *, heads: int, window: int) -> Tensor:
    """Attend from queries (B, T, A) to the last `window` keys, their own included, of keys (B, P + T, A); P < window.

    Queries are split into chunks of one window, each of which attends to its own chunk of keys and the one before:
    twice the products that are needed, and no (T, T) matrix.
    """
    batch, total, width = query.shape
    past = key.shape[1] - total
    head = min(window, total)  # queries that attend to the past, which may be shorter than a window
    seen = past + head
    mask = _window_mask(head, seen, past, window, query.device)
    # apart from the rest, whose chunks all have the same shape: one window of queries, two of keys
    first = _heads_attend(query[:, :head], key[:, :seen], value[:, :seen], heads=heads, mask=mask)
    if total == head:
        return first
    missing = -total % window  # padded at the end, where no position attends to it
    query = F.pad(query[:, head:], (0, 0, 0, missing)).reshape(-1, window, width)
    both = []
    for tensor in (key[:, past:], value[:, past:]):
        chunks = F.pad(tensor, (0, 0, 0, missing)).view(batch, -1, window, width)
        both.append(torch.cat([chunks[:, :-1], chunks[:, 1:]], dim=2).flatten(0, 1))  # (B * chunks, 2 window, A)
    mask = _window_mask(window, 2 * window, window, window, query.device)
    rest = _heads_attend(query, *both, heads=heads, mask=mask).view(batch, -1, width)
    return torch.cat([first, rest[:, : total - head]], dim=1)


def _window_mask(queries: int, keys: int, past: int, window: int, device: torch.device) -> Tensor:
    """Return which keys each query attends to, (queries, keys) bool. The key of query i is number past + i."""
    place = torch.arange(queries, device=device)[:, None] + past
    key = torch.arange(keys, device=device)
    return (key <= place) & (key > place - window)


def _heads_attend(
    query: Tensor, key: Tensor, value: Tensor, *, heads: int, first: int | None = None, mask: Tensor | None = None
) -> Tensor:
    """Compute multi-head attention within each sequence: queries (N, L, A), keys and values (N, S, A) to (N, L, A).

    With `first`, query i attends to keys up to first + i; else to those of the `mask` (L, S); without either, to all.
    """
    sequences, length, width = query.shape
    query, key, value = (
        tensor.view(sequences, -1, heads, width // heads).transpose(1, 2) for tensor in (query, key, value)
    )  # (N, H, L or S, D)
    keys = key.shape[2]
    causal = first is not None
    if first is not None and (first or keys != length):  # is_causal aligns query i with key i, so needs first == 0
        causal = False
        places = torch.arange(length, device=query.device)[:, None] + first
        mask = torch.arange(keys, device=query.device) <= places  # (L, S)
    if query.device.type == "cpu" and torch.is_grad_enabled() and not _half_precision_is_faster(query, keys):
        with torch.autocast("cpu", enabled=False):  # which would cast back to half precision
            attended = F.scaled_dot_product_attention(
                query.float(), key.float(), value.float(), attn_mask=mask, is_causal=causal
            )
        attended = attended.to(query.dtype)
    else:
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
    return attended.transpose(1, 2).reshape(sequences, length, width)


def _half_precision_is_faster(query: Tensor, keys: int) -> bool:
    """Return True if the gradient is faster in half precision on a CPU, for queries (N, H, L, D)."""
    # measured with bfloat16: with short sequences or narrow heads its gradient takes up to several times as long as in
    # float32; with 1,024 keys and heads of width 64, three quarters
    return keys >= 512 and query.shape[3] >= 64
