"""Layer norm as the published models compute it."""

import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm(nn.LayerNorm):
    """Layer norm whose sums are float32 also where its input is half precision; the result has the input's type."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to the same shape."""
        if x.dtype == self.weight.dtype:  # torch's own kernels add up in float32
            return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return F.layer_norm(x.float(), self.normalized_shape, self.weight.float(), self.bias.float(), self.eps).type_as(
            x
        )
