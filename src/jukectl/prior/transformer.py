"""The transformer of a prior: blocks, their stack, and the key-value cache for decoding position by position."""

import math
from collections.abc import Callable
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jukectl.prior.attention import CacheLayout, EncoderAttention, FactoredAttention
from jukectl.prior.config import AttentionKind, StackConfig
from jukectl.prior.layers import Affine, LayerNorm

QUICK_GELU = 1.702  # the factor at which x * sigmoid(factor x) is closest to GELU
WEIGHT_STD = 0.02  # of new weights, as published (as in GPT-2)
POSITION_STD = 0.01  # of new positional embeddings


def quick_gelu(x: Tensor) -> Tensor:
    """Return x * sigmoid(1.702 x), the sigmoid approximation of GELU (Hendrycks and Gimpel 2016), elementwise."""
    return F.silu(QUICK_GELU * x) * (1 / QUICK_GELU)


class KVCache:
    """Keys and values of every layer, allocated once for a model and a batch and reused for each window."""

    def __init__(self, layers: list[Tensor]) -> None:
        """Wrap tensors (B, 2, H, slots, D), one per layer, as `allocate` makes them."""
        self.layers = layers
        self.length = 0  # positions whose keys and values are stored

    @classmethod
    def allocate(
        cls,
        config: StackConfig,
        batch: int,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        filled: bool = True,
    ) -> Self:
        """Return an empty cache for `batch` rows of a model, with zeros if it is `filled`.

        A layer's size depends on its kind, see CacheLayout.
        """
        slots = [CacheLayout.of(config, kind).slots for kind in config.kinds]
        heads, width = config.heads, config.attention_width // config.heads
        make: Callable[..., Tensor] = torch.zeros if filled else torch.empty
        return cls([make((batch, 2, heads, count, width), device=device, dtype=dtype) for count in slots])

    def __len__(self) -> int:
        """Rows of the batch."""
        return len(self.layers[0])

    def row(self, index: int) -> Self:
        """Return one row, as a view of the same memory."""
        return type(self)([layer[index : index + 1] for layer in self.layers])


class Block(nn.Module):
    """x + s (a + m), where a = attention(norm(x)) and m = mlp(norm(x + a))."""

    def __init__(self, config: StackConfig, kind: AttentionKind) -> None:
        super().__init__()
        std = WEIGHT_STD * config.init_scale
        std_out = std / math.sqrt(2 * config.depth)  # as in GPT-2: 2 * depth branches sum to the variance of one
        self.scale = config.residual_scale
        self.apart = config.apart
        self.attention_norm = LayerNorm(config.width)
        self.attention = (
            EncoderAttention(config, std=std, std_out=std_out)
            if kind is AttentionKind.ENCODER
            else FactoredAttention(config, kind, std=std, std_out=std_out)
        )
        self.mlp_norm = LayerNorm(config.width)
        self.mlp_in = Affine(config.width, config.mlp_width, std=std)
        self.mlp_out = Affine(config.mlp_width, config.width, std=std_out)

    def forward(self, x: Tensor, cache: Tensor | None = None, start: int = 0, lyrics: Tensor | None = None) -> Tensor:
        """Transform positions start..start+T: (B, T, width) to the same shape. Fills the layer's `cache`.

        `lyrics` are states (B, L, width) for blocks with cross-attention. If lyrics are `apart`, their own sequence
        passes through the same blocks without `lyrics`; cross-attention is then causal self-attention.
        """
        attended: Tensor
        normed = self.attention_norm(x)
        if not isinstance(self.attention, EncoderAttention):
            attended = self.attention(normed, cache, start)
        elif lyrics is not None:
            attended = self.attention(normed, self.lyric_states(lyrics), cache)
        elif self.apart:
            attended = self.attention(normed, normed, causal=True)
        else:
            raise ValueError("a prior with a lyrics encoder needs its states")
        middle = x + attended
        mlp: Tensor = self.mlp_out(quick_gelu(self.mlp_in(self.mlp_norm(middle))))
        # as published, the scale is applied to the sum of both branches, and the MLP sees the unscaled first one
        return middle + mlp if self.scale == 1 else x + self.scale * (attended + mlp)

    def lyric_states(self, lyrics: Tensor) -> Tensor:
        """Return what keys and values of cross-attention are computed from: (B, L, width) to the same shape."""
        normed: Tensor = self.attention_norm(lyrics) if self.apart else lyrics  # an encoder's states are normed already
        return normed

    def step(self, x: Tensor, position: int, cache: Tensor) -> Tensor:
        """Transform one position: rows (R, width) to the same shape."""
        return self.after_attention(x, self.attention.step(self.attention_norm(x), position, cache))

    def after_attention(self, x: Tensor, attended: Tensor) -> Tensor:
        """Finish `step` after attention: rows (R, width) of x and of what attention returned, to the same shape."""
        middle = x + attended
        # the factors of quick_gelu are folded into the products before and after it: at one position the number of
        # operators, not of multiplications, decides the speed
        hidden = self.mlp_in.step(self.mlp_norm(middle), alpha=QUICK_GELU, beta=QUICK_GELU)
        mlp = self.mlp_out.step(F.silu(hidden, inplace=True), alpha=1 / QUICK_GELU)
        # in place where possible: an allocation per block costs as much as a small operator
        return middle.add_(mlp) if self.scale == 1 else torch.add(x, attended + mlp, alpha=self.scale)


class Transformer(nn.Module):
    """The stack of blocks, without a final norm, as published."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(config, kind) for kind in config.kinds)

    @property
    def _cross_attends(self) -> list[bool]:
        """True for each layer that attends to states of the lyrics."""
        return [isinstance(block.attention, EncoderAttention) for block in self.blocks]

    def forward(
        self, x: Tensor, cache: KVCache | None = None, *, start: int = 0, lyrics: Tensor | None = None
    ) -> Tensor:
        """Transform positions start..start+T: (B, T, width) to the same shape. With a cache, `step` continues there.

        `start` is the first position of a block, and the cache must hold those before it. `lyrics` are the states of
        the lyrics encoder (B, L, width), or those that `read` returns if lyrics are apart.
        """
        states = self.states(lyrics)
        for layer, block in enumerate(self.blocks):
            x = block(x, cache.layers[layer] if cache is not None else None, start, states[layer])
        if cache is not None:
            cache.length = start + x.shape[1]
        return x

    def read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Transform lyric tokens that are apart, (B, L, width), to the same shape.

        Also return the inputs of each ENCODER layer, (B, layers, L, width), which the codes attend to at that layer.
        """
        inputs = []
        for block, cross_attends in zip(self.blocks, self._cross_attends, strict=True):
            if cross_attends:
                inputs.append(x)
            x = block(x)
        return x, torch.stack(inputs, dim=1)

    def states(self, lyrics: Tensor | None) -> list[Tensor | None]:
        """Return the states (B, L, width) that each layer attends to, None for layers without cross-attention."""
        if lyrics is None or lyrics.dim() == 3:  # one encoder for all layers
            return [lyrics if cross_attends else None for cross_attends in self._cross_attends]
        each = iter(lyrics.unbind(1))  # apart: separate states for each layer, see `read`
        return [next(each) if cross_attends else None for cross_attends in self._cross_attends]

    def step(self, x: Tensor, cache: KVCache) -> Tensor:
        """Transform the next position: rows (R, width), R >= B, to the same shape."""
        for block, layer in zip(self.blocks, cache.layers, strict=True):
            x = block.step(x, cache.length, layer)  # type: ignore[operator]
        cache.length += 1
        return x
