"""Guided attention: one head learns to look at the characters that are sung, from the times of their words.

Tachibana et al. 2017 (Efficiently trainable text-to-speech, section 4.1) keep attention near the diagonal. Here the
times of the words take the place of the diagonal, so that pauses and uneven singing are no hindrance: between words it
looks at what stands between them. Songs without times are left to find their own way. B batch, T codes, L characters,
D numbers a head.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jukectl.data.lyrics_notes import NOTHING
from jukectl.errors import BadRecipe
from jukectl.prior.attention import EncoderAttention
from jukectl.prior.config import AttentionKind, PriorConfig
from jukectl.prior.lyric_attention import by_character
from jukectl.prior.model import Prior

SPREAD = 2.0  # characters, the standard deviation of what counts as near what is sung
LEAST = 1e-6  # of the weights that is near, so that the loss is finite


def guided_layer(config: PriorConfig) -> int:
    """Which layer's attention is guided: the config's alignment layer, or the middle one of those that hear lyrics.

    BadRecipe where there is none whose attention is to the lyrics alone.
    """
    hearing = [layer for layer, kind in enumerate(config.kinds) if kind is AttentionKind.ENCODER]
    if not hearing:
        raise BadRecipe("lyrics_guide needs lyrics with an encoder or apart: leave it out, or change model.lyrics")
    layer = config.lyrics.alignment_layer if config.lyrics else None
    if layer is None:
        return hearing[len(hearing) // 2]
    if layer not in hearing:
        raise BadRecipe(f"model.lyrics.alignment_layer is {layer}, but the layers that hear lyrics are {hearing}")
    return layer


class AttentionGuide:
    """Hears what one head of a layer attends to while the prior is passed, and tells how far that is from the singing.

    It hangs on the layer's own pass, since there alone the weights of a sharded prior are together. With `letters` it
    also hears which character the codes' states take for the one that is sung, by the head that the lyrics' states
    foretell theirs with: states that tell the same letters are easily matched by attention.
    """

    def __init__(self, prior: Prior, layer: int, head: int, *, letters: bool = False) -> None:
        block = prior.transformer.blocks[layer]
        attention = block.attention
        assert isinstance(attention, EncoderAttention)
        self.head = head
        self._weights: Tensor | None = None
        self._reader = prior.lyrics if letters else None
        self._foretold: Tensor | None = None  # (B, T, alphabet)
        attention.register_forward_hook(self._hear, with_kwargs=True)

    def loss(self, sung: Tensor) -> Tensor:
        """Nats, a scalar: how surprising what is sung, (B, T), is by the weights of the latest pass."""
        weights, self._weights = self._weights, None
        assert weights is not None
        return surprise(weights, sung)

    def letter_loss(self, sung: Tensor, characters: Tensor) -> Tensor:
        """Nats, a scalar: what the characters (B, L) that are sung, (B, T), cost by the codes' states."""
        foretold, self._foretold = self._foretold, None
        assert foretold is not None
        wanted = characters.gather(1, sung.clamp_min(0))  # (B, T)
        nats = F.cross_entropy(foretold.float().flatten(0, 1), wanted.flatten(), reduction="none").view_as(wanted)
        return (nats * (sung != NOTHING)).mean()

    def _hear(self, attention: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
        if kwargs.get("causal"):  # lyrics apart, on their own way through the blocks
            return
        assert isinstance(attention, EncoderAttention)
        x, states = args[0], args[1]
        query: Tensor = attention.q(x).chunk(attention.heads, dim=-1)[self.head]  # (B, T, D)
        keys: Tensor = attention.kv(states).chunk(2 * attention.heads, dim=-1)[self.head]  # (B, L, D)
        scores = query.float() @ keys.float().transpose(1, 2) / query.shape[-1] ** 0.5
        self._weights = by_character(scores.softmax(dim=-1), keys.shape[1])  # (B, T, L)
        if self._reader is not None:
            self._foretold = self._reader.logits(x)


def surprise(weights: Tensor, sung: Tensor) -> Tensor:
    """Mean nats, a scalar: - log of the weights (B, T, L) near the character that is sung (B, T), 0 for NOTHING.

    Near is by a bell of SPREAD characters around it, 1 at the character itself.
    """
    places = torch.arange(weights.shape[-1], device=weights.device)
    near = torch.exp(-0.5 * ((places - sung.unsqueeze(-1)) / SPREAD).square())  # (B, T, L)
    nats = -torch.log((weights * near).sum(-1).clamp_min(LEAST))
    return (nats * (sung != NOTHING)).mean()
