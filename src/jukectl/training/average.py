"""A moving average of the weights, which is what a run's weight files hold where the recipe asks for it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor


class WeightAverage:
    """A moving average of a model's parameters, warmed up so that early steps weigh little.

    Buffers are left as they are: the only ones, codebooks, are moving averages already. Of a sharded model each rank
    averages its own shard.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """`decay` 0 keeps no average. The model must be where it will be trained: moved, and sharded if it is to be."""
        self.decay = decay
        learned = {name: one for name, one in model.named_parameters() if one.requires_grad} if decay else {}
        self.state = {name: parameter.detach().clone() for name, parameter in learned.items()}
        self._averages = _local(list(self.state.values()))
        self._weights = _local([parameter.detach() for parameter in learned.values()])

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move on by the weights after a step."""
        if self._averages:
            decay = min(self.decay, (step + 1) / (step + 10))
            torch._foreach_lerp_(self._averages, self._weights, 1 - decay)

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """The model with the averages as its parameters, which come back afterwards."""
        kept = [weight.clone() for weight in self._weights]
        _copy(self._weights, self._averages)
        try:
            yield
        finally:
            _copy(self._weights, kept)


def _local(tensors: Sequence[Tensor]) -> list[Tensor]:
    """This rank's part of each tensor, in the same memory."""
    return [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors]


@torch.no_grad()
def _copy(to: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for target, value in zip(to, values, strict=True):
        target.copy_(value)
