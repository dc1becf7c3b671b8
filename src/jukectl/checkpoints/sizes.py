"""How large a model is: numbers a part, and what the largest part takes in memory."""

from collections.abc import Mapping

import torch

from jukectl.checkpoints.card import ModelCard
from jukectl.checkpoints.store import VQVAE_PART
from jukectl.prior.model import Prior
from jukectl.vqvae.model import VQVAE

PRECISIONS = {"fp32": 4, "bf16": 2, "fp16": 2}  # bytes a number


def parameters(card: ModelCard) -> dict[str, int]:
    """Numbers in each part, from its description alone."""
    with torch.device("meta"):
        parts = {VQVAE_PART: VQVAE(card.vqvae), **{level.label: Prior(prior) for level, prior in card.priors.items()}}
        return {name: sum(tensor.numel() for tensor in part.state_dict().values()) for name, part in parts.items()}


def memory(parts: Mapping[str, int]) -> dict[str, int]:
    """Bytes that the weights of the largest part take, by precision: one part is in memory at a time.

    The codec is in fp32 at any of them. Sampling takes more beside that, for each sample and its window.
    """
    priors = max((count for name, count in parts.items() if name != VQVAE_PART), default=0)
    return {name: max(width * priors, 4 * parts.get(VQVAE_PART, 0)) for name, width in PRECISIONS.items()}
