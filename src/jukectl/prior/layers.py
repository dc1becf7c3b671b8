"""Affine layers of a prior, whose sums do not depend on the batch size, and layer norm."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS = 4
"""Rows of one matrix product while decoding on a CPU. Four take as long as one: reading the weights takes the time."""


class Affine(nn.Module):
    """x W + b with W stored as (in, out), as in the published models: the faster layout for a few rows on a CPU."""

    def __init__(self, width_in: int, width_out: int, *, std: float) -> None:
        """Initialise weights with standard deviation `std`, and the bias with zeros."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width_in, width_out).normal_(std=std))
        self.bias = nn.Parameter(torch.zeros(width_out))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        # one product of all rows: a batched matmul would be split by the leading dimensions
        flat = torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.weight)
        return flat.view(*x.shape[:-1], -1)

    def step(self, x: Tensor, alpha: float = 1.0, beta: float = 1.0) -> Tensor:
        """Return alpha x W + beta b, (R, out), for rows (R, in) padded by `pad_rows`."""
        if len(x) <= ROWS or x.device.type != "cpu":
            return torch.addmm(self.bias, x, self.weight, beta=beta, alpha=alpha)
        # always ROWS rows at a time: the order of sums depends on their number, see pad_rows
        return torch.cat(
            [torch.addmm(self.bias, rows, self.weight, beta=beta, alpha=alpha) for rows in torch.split(x, ROWS)]
        )


def pad_rows(x: Tensor) -> Tensor:
    """Return (B, width) with its last row repeated to a multiple of `ROWS` on a CPU; unchanged elsewhere.

    A CPU's matrix library sums in a different order for one row than for several, and for few than for many. With
    exactly `ROWS` rows in every product, the codes of a sample have the same bits in every batch.
    """
    missing = -len(x) % ROWS
    if missing == 0 or x.device.type != "cpu":
        return x
    if len(x) == 1:
        return x.expand(ROWS, -1)
    return torch.cat([x, x[-1:].expand(missing, -1)])


class LayerNorm(nn.LayerNorm):
    """Layer norm that sums in float32 for inputs in half precision too; the result has the input's type."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., width) to the same shape."""
        if x.dtype == self.weight.dtype:  # torch's own kernels sum in float32
            return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return F.layer_norm(x.float(), self.normalized_shape, self.weight.float(), self.bias.float(), self.eps).type_as(
            x
        )
