"""AdamW, its settings for a step, and its state by the names of the parameters."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from jukectl.training.config import TrainConfig


def adam(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW over what a model learns. Its state is there from the start, so that a checkpoint can be read into it."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, fused=parameters[0].device.type in ("cpu", "cuda"))
    for parameter in parameters:
        optimizer.state[parameter] = {
            "step": torch.zeros((), device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    settle(optimizer, config, 0)
    return optimizer


def settle(optimizer: torch.optim.AdamW, config: TrainConfig, step: int) -> None:
    """The recipe's settings for a step; not those of a checkpoint, so that a resumed run may change them."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config, step)
        group["betas"] = config.betas
        group["weight_decay"] = config.weight_decay


def state_of(optimizer: torch.optim.AdamW, model: nn.Module) -> dict[str, Tensor]:
    """The optimizer's tensors, such as "exp_avg.head.weight"."""
    return {
        f"{kind}.{name}": tensor.detach()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        for kind, tensor in optimizer.state[parameter].items()
    }


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


LOWEST_RATE = 0.01  # of the learning rate, at the end of the cosine


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then constant, or half a cosine down to a hundredth."""
    rise = min(1.0, (step + 1) / max(1, config.warmup))
    if config.schedule == "constant":
        return config.learning_rate * rise
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / config.steps)))
    return config.learning_rate * rise * max(fall, LOWEST_RATE)
