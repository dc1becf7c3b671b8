"""The transformer of a prior: blocks, their stack, and the key-value cache that lets it go on position by position."""

import math
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jukectl.prior.attention import CacheLayout, EncoderAttention, FactoredAttention
from jukectl.prior.config import AttentionKind, StackConfig
from jukectl.prior.layers import Affine, LayerNorm

QUICK_GELU = 1.702
WEIGHT_STD = 0.02
POSITION_STD = 0.01


def quick_gelu(x: Tensor) -> Tensor:
    """x * sigmoid(1.702 x), element by element."""
    return F.silu(QUICK_GELU * x) * (1 / QUICK_GELU)


class KVCache:
    """Keys and values of every layer, allocated once for a model and a batch and filled again for each window."""

    def __init__(self, layers: list[Tensor]) -> None:
        """`layers` are (B, 2, H, slots, D) each, as `allocate` makes them."""
        self.layers = layers
        self.length = 0  # positions whose keys and values are in it

    @classmethod
    def allocate(
        cls,
        config: StackConfig,
        batch: int,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """An empty cache for `batch` rows of a model. Layers take memory by what they can see, see CacheLayout."""
        slots = [CacheLayout.of(config, kind).slots for kind in config.kinds]
        heads, width = config.heads, config.attention_width // config.heads
        return cls([torch.zeros(batch, 2, heads, count, width, device=device, dtype=dtype) for count in slots])

    def __len__(self) -> int:
        """Rows of the batch."""
        return len(self.layers[0])

    def row(self, index: int) -> Self:
        """That row alone, in the same memory."""
        return type(self)([layer[index : index + 1] for layer in self.layers])

    def reset(self) -> None:
        """Forget every position. What lies in the tensors is never read before it is written again."""
        self.length = 0


class Block(nn.Module):
    """x + s (a + m), where a = attention(norm(x)) and m = mlp(norm(x + a))."""

    def __init__(self, config: StackConfig, kind: AttentionKind) -> None:
        super().__init__()
        std = WEIGHT_STD * config.init_scale
        std_out = std / math.sqrt(2 * config.depth)  # 2 * depth branches add up to the variance of one
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
        """Positions start..start+T, (B, T, width), to the same shape; keys and values go to the layer's `cache`.

        `lyrics` are the states of the lyrics (B, L, width), for the blocks that attend to them. Where lyrics are apart
        they go through the same blocks, without `lyrics`: a character then sees those so far.
        """
        attended: Tensor
        normed = self.attention_norm(x)
        if not isinstance(self.attention, EncoderAttention):
            attended = self.attention(normed, cache, start)
        elif lyrics is not None:
            attended = self.attention(normed, self.heard(lyrics), cache)
        elif self.apart:
            attended = self.attention(normed, normed, causal=True)
        else:
            raise ValueError("a prior with a lyrics encoder needs its states")
        middle = x + attended
        mlp: Tensor = self.mlp_out(quick_gelu(self.mlp_in(self.mlp_norm(middle))))
        return middle + mlp if self.scale == 1 else x + self.scale * (attended + mlp)

    def heard(self, lyrics: Tensor) -> Tensor:
        """What keys and values are made of: states (B, L, width) of the lyrics to the same shape."""
        normed: Tensor = self.attention_norm(lyrics) if self.apart else lyrics  # an encoder has normed its own
        return normed

    def step(self, x: Tensor, position: int, cache: Tensor) -> Tensor:
        """One position: rows (R, width) to the same shape."""
        return self.after_attention(x, self.attention.step(self.attention_norm(x), position, cache))

    def after_attention(self, x: Tensor, attended: Tensor) -> Tensor:
        """What is left of `step` once x has been attended: rows (R, width) both, to the same shape."""
        middle = x + attended
        # the factors of quick_gelu go into the products before and after it, which saves two operations
        hidden = self.mlp_in.step(self.mlp_norm(middle), alpha=QUICK_GELU, beta=QUICK_GELU)
        mlp = self.mlp_out.step(F.silu(hidden, inplace=True), alpha=1 / QUICK_GELU)
        return middle.add_(mlp) if self.scale == 1 else torch.add(x, attended + mlp, alpha=self.scale)


class Transformer(nn.Module):
    """The stack of blocks. No norm after the last one: the published models have none."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(config, kind) for kind in config.kinds)

    @property
    def _hear(self) -> list[bool]:
        """Of each layer whether it attends to states of the lyrics."""
        return [isinstance(block.attention, EncoderAttention) for block in self.blocks]

    def forward(
        self, x: Tensor, cache: KVCache | None = None, *, start: int = 0, lyrics: Tensor | None = None
    ) -> Tensor:
        """Positions start..start+T, (B, T, width), to the same shape; with a cache, `step` can go on after them.

        `start` is the first position of a block, and the cache must hold those before it. `lyrics` are the states of
        the lyrics encoder (B, L, width), or where lyrics are apart those that `read` gives.
        """
        states = self.states(lyrics)
        for layer, block in enumerate(self.blocks):
            x = block(x, cache.layers[layer] if cache is not None else None, start, states[layer])
        if cache is not None:
            cache.length = start + x.shape[1]
        return x

    def read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Characters that are apart, (B, L, width), to the same shape, and what each layer that hears them hears.

        Those are (B, layers, L, width): the states that come into each ENCODER layer.
        """
        heard = []
        for block, hears in zip(self.blocks, self._hear, strict=True):
            if hears:
                heard.append(x)
            x = block(x)
        return x, torch.stack(heard, dim=1)

    def states(self, lyrics: Tensor | None) -> list[Tensor | None]:
        """The states (B, L, width) of the lyrics that each layer attends to, None for one that does not."""
        if lyrics is None or lyrics.dim() == 3:
            return [lyrics if hears else None for hears in self._hear]
        each = iter(lyrics.unbind(1))
        return [next(each) if hears else None for hears in self._hear]

    def step(self, x: Tensor, cache: KVCache) -> Tensor:
        """The next position: rows (R, width), R >= B, to the same shape."""
        for block, layer in zip(self.blocks, cache.layers, strict=True):
            x = block.step(x, cache.length, layer)  # type: ignore[operator]
        cache.length += 1
        return x
