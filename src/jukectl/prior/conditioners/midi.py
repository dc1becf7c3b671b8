"""The notes of a MIDI file, as a piano roll at the codes' own rate, added at every position as the timing is.

Jukebox names MIDI beside lyrics as a condition "to control the composition"; how it is told is ours.
"""

from torch import Tensor, nn

from jukectl.midi.roll import CHANNELS
from jukectl.nn.dilated import Conv1d, ResidualStack, to_channels_last
from jukectl.prior.affine import Affine
from jukectl.prior.conditioners.base import Conditioner
from jukectl.prior.config import MidiConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.layernorm import LayerNorm


class NoteConditioner(Conditioner):
    """A convolution of the roll, a dilated residual stack that looks both ways, and a projection.

    The projection begins as zeros, so a prior that it is added to computes what it did before. Windows that are told no
    notes get exact zeros, always: one model does both.
    """

    def __init__(self, config: MidiConfig, width: int) -> None:
        super().__init__()
        self.roll = Conv1d(CHANNELS, config.width, 3, padding=1)
        nn.init.normal_(self.roll.weight, std=0.3)  # of some hundred inputs no more than a handful is not 0
        self.stack = ResidualStack(config.width, config.depth, growth=config.growth, cycle=config.cycle)
        self.norm = LayerNorm(config.width)
        self.project = Affine(config.width, width, std=0.0)

    def forward(self, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Rolls (B, T, CHANNELS) to (B, T, width)."""
        if labels.notes is None:
            raise ValueError("there are no notes to be told")
        notes = labels.notes.to(self.roll.weight.dtype)
        signal = to_channels_last(notes.transpose(1, 2))  # (B, CHANNELS, 1, T)
        heard = self.stack(self.roll(signal)).squeeze(2).transpose(1, 2)  # (B, T, width of the stack)
        positions: Tensor = self.project(self.norm(heard))
        return positions * notes[:, :, :1]

    @property
    def reach(self) -> int:
        """Codes to either side that a position hears of."""
        return 1 + int(self.stack.reach)
