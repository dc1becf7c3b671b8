"""AdamW, its settings for a step, and its state by the names of the parameters."""

import torch
from torch import Tensor, nn

from jukectl.training.config import TrainConfig
from jukectl.training.schedule import learning_rate


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
