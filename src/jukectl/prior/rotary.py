"""Rotary positions (Su et al. 2021, RoFormer): queries and keys are turned by angles that grow with their position.

The product of a query and a key then depends on how far apart they are, not on where they are: one beat earlier is the
same relation anywhere in the window. D is the width of a head, an even number.
"""

from functools import cache

import torch
from torch import Tensor

BASE = 10_000.0
"""The slowest pair of numbers turns once in some 2 pi times as many positions, longer than any window."""


def rotary_table(positions: int, head_width: int, device: torch.device) -> Tensor:
    """Return cosines and after them sines (positions, D) float32, D / 2 angles for each position from 0 on."""
    # an inference tensor could not take part in training later, and the table is shared
    with torch.inference_mode(False):
        return _table(positions, head_width, device)


@cache
def _table(positions: int, head_width: int, device: torch.device) -> Tensor:
    # float64 first: at position 8,000 the float32 product of position and frequency is wrong in the fourth place
    frequencies = BASE ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
    angles = torch.arange(positions, dtype=torch.float64)[:, None] * frequencies  # (positions, D / 2)
    return torch.cat([angles.cos(), angles.sin()], dim=1).float().to(device)


def rotate(heads: Tensor, table: Tensor) -> Tensor:
    """Turn heads (..., D) by rows of a `rotary_table` that broadcast to them; the result has the type of `heads`.

    Number i makes a pair with number i + D / 2. Halves rather than neighbours, so that the compiled step can turn a
    whole register at once.
    """
    cosines, sines = table.chunk(2, dim=-1)
    first, second = heads.chunk(2, dim=-1)
    # float32 whatever the heads are: in half precision the angles of neighbouring positions would run into each other
    turned = torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)
    return turned.type_as(heads)
