"""AdamW, its settings at a step, its state by parameter name, and moving averages of weights."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from jukectl.training.config import TrainConfig


def adam(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """Return AdamW over the trainable parameters, with state allocated so that a checkpoint can be loaded into it."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, fused=parameters[0].device.type in ("cpu", "cuda"))
    for parameter in parameters:
        optimizer.state[parameter] = {
            "step": torch.zeros((), device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    apply_settings(optimizer, config, 0)
    return optimizer


def apply_settings(optimizer: torch.optim.AdamW, config: TrainConfig, step: int) -> None:
    """Set the hyperparameters of a step from the recipe, not a checkpoint, so that a resumed run may change them."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config, step)
        group["betas"] = config.betas
        group["weight_decay"] = config.weight_decay


def state_of(optimizer: torch.optim.AdamW, model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of the optimizer by name, such as "exp_avg.head.weight"."""
    return {
        f"{kind}.{name}": tensor.detach()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        for kind, tensor in optimizer.state[parameter].items()
    }


class WeightAverage:
    """Exponential moving average of the parameters of a model, with a warm-up so that early steps have little weight.

    Buffers are not averaged: the only ones, codebooks, are moving averages already. Each rank averages its own shard
    of a sharded model.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start from the current weights; `decay` 0 disables averaging. The model must be on its device and sharded."""
        self.decay = decay
        learned = {name: one for name, one in model.named_parameters() if one.requires_grad} if decay else {}
        self.state = {name: parameter.detach().clone() for name, parameter in learned.items()}
        self._averages = _local(list(self.state.values()))
        self._weights = _local([parameter.detach() for parameter in learned.values()])

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average with the weights after a step."""
        if self._averages:
            decay = min(self.decay, (step + 1) / (step + 10))
            torch._foreach_lerp_(self._averages, self._weights, 1 - decay)

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Use the averages as the parameters of the model within the block."""
        kept = [weight.clone() for weight in self._weights]
        _copy(self._weights, self._averages)
        try:
            yield
        finally:
            _copy(self._weights, kept)


def _local(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the local shard of each tensor, in the same memory."""
    return [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors]


@torch.no_grad()
def _copy(to: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for target, value in zip(to, values, strict=True):
        target.copy_(value)


LOWEST_RATE = 0.01  # share of the learning rate at the end of the cosine


def learning_rate(config: TrainConfig, step: int) -> float:
    """Return the learning rate of a step: linear warm-up, then constant, or half a cosine down to LOWEST_RATE."""
    rise = min(1.0, (step + 1) / max(1, config.warmup))
    if config.schedule == "constant":
        return config.learning_rate * rise
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / config.steps)))
    return config.learning_rate * rise * max(fall, LOWEST_RATE)
