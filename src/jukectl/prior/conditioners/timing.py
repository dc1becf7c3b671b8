"""Where in a song each code lies: total length, absolute and relative position, each in bins (paper, section 2.4)."""

import torch
from torch import Tensor, nn

from jukectl.prior.conditioners.base import Conditioner
from jukectl.prior.config import TimingConfig
from jukectl.prior.labels import LabelBatch


def bin_of(value: Tensor, low: float, high: float, bins: int) -> Tensor:
    """The bin, 0..bins-1, of each value: low..high cut into equal ones, what lies outside in the outermost."""
    return (bins * ((value - low) / (high - low))).floor().long().clamp(0, bins - 1)


class Timing(Conditioner):
    """The sum of three embeddings: the song's length, the time since its start, the fraction of it that has passed."""

    def __init__(self, config: TimingConfig, *, sample_rate: int, context: int, width: int, std: float) -> None:
        super().__init__()
        self.bins = config.bins
        self.shortest = config.min_seconds * sample_rate  # audio samples, as are all times below
        self.longest = config.max_seconds * sample_rate
        self.total = nn.Embedding(config.bins, width, _weight=torch.empty(config.bins, width).normal_(std=std))
        self.absolute = nn.Embedding(config.bins, width, _weight=torch.empty(config.bins, width).normal_(std=std))
        self.relative = nn.Embedding(config.bins, width, _weight=torch.empty(config.bins, width).normal_(std=std))
        self.context = context

    def forward(self, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """(B, context, width)."""
        total, absolute, relative = self.bins_of(labels)
        timing: Tensor = self.total(total) + self.absolute(absolute) + self.relative(relative)
        return timing

    def bins_of(self, labels: LabelBatch) -> tuple[Tensor, Tensor, Tensor]:
        """The bins of the total length (B, 1), of the absolute and of the relative position (B, context each)."""
        total = labels.total_length.float().clamp(min=1).unsqueeze(1)  # (B, 1)
        start = labels.offset.float().unsqueeze(1)
        end = (labels.offset + labels.sample_length).float().unsqueeze(1)
        return (
            bin_of(total, self.shortest, self.longest, self.bins),
            bin_of(self._ramp(start, end), 0, self.longest, self.bins),
            # a window may run past the end of the song; what has passed of it may not
            bin_of(self._ramp(start / total, (end / total).clamp(0, 1)), 0, 1, self.bins),
        )

    def _ramp(self, start: Tensor, end: Tensor) -> Tensor:
        """From start (B, 1) evenly up to, not including, end: (B, context)."""
        steps = torch.arange(self.context, dtype=torch.float32, device=start.device) / self.context
        return start + (end - start) * steps
