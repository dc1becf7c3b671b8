"""The codes of the level above, brought to this level's rate (paper, section 2.3 and appendix A.3)."""

import torch
from torch import Tensor, nn

from jukectl.nn.dilated import UpsampleBlock, residual_scale, to_channels_last
from jukectl.prior.conditioners.base import Conditioner
from jukectl.prior.config import ConditionerConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.layernorm import LayerNorm


class UpperCodes(Conditioner):
    """An embedding, a dilated residual network with transposed convolutions, and a layer norm."""

    def __init__(self, config: ConditionerConfig, width: int, *, std: float) -> None:
        super().__init__()
        size = config.codebook_size
        self.codes = nn.Embedding(size, width, _weight=torch.empty(size, width).normal_(std=std))
        self.upsample = UpsampleBlock(
            width,
            config.width,
            width,
            depth=config.depth,
            downs=config.downs,
            stride=config.stride,
            growth=config.growth,
            cycle=config.cycle,
            scale=residual_scale(config.depth, config.scale_residuals),
            hidden_multiplier=config.hidden_multiplier,
        )
        self.norm = LayerNorm(width)

    def forward(self, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """`upper` (B, T_upper) to (B, T_upper * ratio, width)."""
        if upper is None:
            raise ValueError("an upsampler needs the codes of the level above")
        signal = to_channels_last(self.codes(upper).transpose(1, 2))  # (B, width, 1, T_upper)
        positions: Tensor = self.norm(self.upsample(signal).squeeze(2).transpose(1, 2))
        return positions
