"""How the blocks of a model compute while it learns: compiled, or with less memory."""

from collections.abc import Iterable
from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from jukectl.training.config import TrainConfig


def prepare_blocks(blocks: Iterable[nn.Module], config: TrainConfig) -> None:
    """Have each block compiled, and what it computes inside computed again in the backward pass instead of kept.

    To be done before blocks are sharded: what brings shards together stays outside.
    """
    for block in blocks:
        if config.compile:
            block.forward = torch.compile(block.forward)
        if config.checkpoint_activations:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
