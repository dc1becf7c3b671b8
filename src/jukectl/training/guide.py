"""Guided attention: a loss that makes one head attend to the characters that are sung, from the times of words.

Tachibana et al. 2017 (Efficiently trainable text-to-speech, section 4.1) keep attention near the diagonal. Here the
times of words replace the diagonal, so that pauses and uneven singing are allowed: between two words the target is the
characters between them. Songs without timed lyrics add no loss. B batch, T codes, L characters, D dimensions of a head.
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

SPREAD = 2.0  # characters, standard deviation of the target around the sung character
LEAST = 1e-6  # lower bound of the weight near the target, so that the loss is finite


def guided_layer(config: PriorConfig) -> int:
    """Return the layer to guide: the config's alignment layer, or the middle one of the layers with lyrics attention.

    Raise BadRecipe if no layer attends to the lyrics alone.
    """
    layers = [layer for layer, kind in enumerate(config.kinds) if kind is AttentionKind.ENCODER]
    if not layers:
        raise BadRecipe("lyrics_guide needs lyrics with an encoder or apart: leave it out, or change model.lyrics")
    layer = config.lyrics.alignment_layer if config.lyrics else None
    if layer is None:
        return layers[len(layers) // 2]
    if layer not in layers:
        raise BadRecipe(f"model.lyrics.alignment_layer is {layer}, but the layers with lyrics attention are {layers}")
    return layer


class AttentionGuide:
    """Records the attention of one head in a forward pass of the prior, and computes its loss against the singing.

    It uses a forward hook of the layer, since only there the weights of a sharded prior are gathered. With `letters` it
    also predicts the sung character from the states of codes, with the output head of the lyrics: if both states
    predict the same characters, attention can match them easily.
    """

    def __init__(self, prior: Prior, layer: int, head: int, *, letters: bool = False) -> None:
        block = prior.transformer.blocks[layer]
        attention = block.attention
        assert isinstance(attention, EncoderAttention)
        self.head = head
        self._weights: Tensor | None = None
        self._reader = prior.lyrics if letters else None
        self._predicted: Tensor | None = None  # (B, T, alphabet)
        attention.register_forward_hook(self._record, with_kwargs=True)

    def loss(self, sung: Tensor) -> Tensor:
        """Return the loss in nats, a scalar, of the sung characters (B, T) under the attention of the latest pass."""
        weights, self._weights = self._weights, None
        assert weights is not None
        return surprise(weights, sung)

    def letter_loss(self, sung: Tensor, characters: Tensor) -> Tensor:
        """Return the loss in nats, a scalar, of predicting the sung ones (B, T) of the characters (B, L) from codes."""
        predicted, self._predicted = self._predicted, None
        assert predicted is not None
        target = characters.gather(1, sung.clamp_min(0))  # (B, T)
        nats = F.cross_entropy(predicted.float().flatten(0, 1), target.flatten(), reduction="none").view_as(target)
        return (nats * (sung != NOTHING)).mean()

    def _record(self, attention: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
        if kwargs.get("causal"):  # the pass of separate lyrics through the blocks, not of the codes
            return
        assert isinstance(attention, EncoderAttention)
        x, states = args[0], args[1]
        query: Tensor = attention.q(x).chunk(attention.heads, dim=-1)[self.head]  # (B, T, D)
        keys: Tensor = attention.kv(states).chunk(2 * attention.heads, dim=-1)[self.head]  # (B, L, D)
        scores = query.float() @ keys.float().transpose(1, 2) / query.shape[-1] ** 0.5
        self._weights = by_character(scores.softmax(dim=-1), keys.shape[1])  # (B, T, L)
        if self._reader is not None:
            self._predicted = self._reader.logits(x)


def surprise(weights: Tensor, sung: Tensor) -> Tensor:
    """Return the mean of -log of the weights (B, T, L) near the sung character (B, T), in nats; 0 for NOTHING.

    Weights are multiplied by a Gaussian with standard deviation SPREAD, which is 1 at the sung character.
    """
    places = torch.arange(weights.shape[-1], device=weights.device)
    near = torch.exp(-0.5 * ((places - sung.unsqueeze(-1)) / SPREAD).square())  # (B, T, L)
    nats = -torch.log((weights * near).sum(-1).clamp_min(LEAST))
    return (nats * (sung != NOTHING)).mean()
