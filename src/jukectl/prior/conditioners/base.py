"""The one interface of everything that conditions a prior."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from jukectl.prior.labels import LabelBatch


class Conditioner(nn.Module, ABC):
    """Turns what is known about a window into vectors as wide as the prior. B batch."""

    @abstractmethod
    def forward(self, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Labels and, for an upsampler, the codes (B, T_upper) above the window, to vectors (B, n, width).

        n is 1 for what stands before the first code, and the number of positions for what is added to each.
        """
