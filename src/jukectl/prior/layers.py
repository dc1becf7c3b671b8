"""The affine map that every layer of a prior is made of, with sums that do not depend on the size of the batch."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS = 4
"""Rows of one decoding product on a CPU. Four cost what one does, since reading the weights takes the time."""


class Affine(nn.Module):
    """x W + b with W stored as (in, out), as the published models do: the faster way round for a few rows on a CPU."""

    def __init__(self, width_in: int, width_out: int, *, std: float) -> None:
        """Weights are drawn with standard deviation `std`; the bias starts at zero."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width_in, width_out).normal_(std=std))
        self.bias = nn.Parameter(torch.zeros(width_out))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        flat = torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.weight)
        return flat.view(*x.shape[:-1], -1)

    def step(self, x: Tensor, alpha: float = 1.0, beta: float = 1.0) -> Tensor:
        """Rows (R, in), padded by `pad_rows`, to alpha x W + beta b, (R, out)."""
        if len(x) <= ROWS or x.device.type != "cpu":
            return torch.addmm(self.bias, x, self.weight, beta=beta, alpha=alpha)
        return torch.cat(
            [torch.addmm(self.bias, rows, self.weight, beta=beta, alpha=alpha) for rows in torch.split(x, ROWS)]
        )


def pad_rows(x: Tensor) -> Tensor:
    """(B, width) with its last row repeated to a multiple of `ROWS` on a CPU; unchanged elsewhere.

    A CPU's matrix library adds up in another order for one row than for several, and for few than for many. With every
    product made of exactly `ROWS` rows, a sample's codes are the same bits whatever the batch it was made in.
    """
    missing = -len(x) % ROWS
    if missing == 0 or x.device.type != "cpu":
        return x
    if len(x) == 1:
        return x.expand(ROWS, -1)
    return torch.cat([x, x[-1:].expand(missing, -1)])


class LayerNorm(nn.LayerNorm):
    """Layer norm whose sums are float32 also where its input is half precision; the result has the input's type."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to the same shape."""
        if x.dtype == self.weight.dtype:  # torch's own kernels add up in float32
            return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return F.layer_norm(x.float(), self.normalized_shape, self.weight.float(), self.bias.float(), self.eps).type_as(
            x
        )
