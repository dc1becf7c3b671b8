"""The learning rate of a step."""

import math

from jukectl.training.config import TrainConfig

LOWEST_RATE = 0.01  # of the learning rate, at the end of the cosine


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then constant, or half a cosine down to a hundredth."""
    rise = min(1.0, (step + 1) / max(1, config.warmup))
    if config.schedule == "constant":
        return config.learning_rate * rise
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / config.steps)))
    return config.learning_rate * rise * max(fall, LOWEST_RATE)
