"""The lyrics of a window, read by a transformer that also learns to foretell them (paper, section 2.5).

It is one of their own, or the codes' own.
"""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jukectl.midi.phases import CHANNELS as BEAT_CHANNELS
from jukectl.midi.roll import CHANNELS
from jukectl.nn.dilated import Conv1d, ResidualStack, UpsampleBlock, residual_scale, to_channels_last
from jukectl.prior.config import BeatConfig, ConditionerConfig, LyricsConfig, MidiConfig, TimingConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.layers import Affine, LayerNorm
from jukectl.prior.transformer import POSITION_STD, WEIGHT_STD, Transformer, quick_gelu


class Conditioner(nn.Module, ABC):
    """Turns what is known about a window into vectors as wide as the prior. B batch."""

    @abstractmethod
    def forward(self, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Labels and, for an upsampler, the codes (B, T_upper) above the window, to vectors (B, n, width).

        n is 1 for what stands before the first code, and the number of positions for what is added to each.
        """


class LyricsEncoder(Conditioner):
    """Characters to states for the prior's attention. L characters of the window."""

    def __init__(self, config: LyricsConfig, width: int) -> None:
        super().__init__()
        encoder = config.encoder
        assert encoder is not None
        std, position_std = WEIGHT_STD * encoder.init_scale, POSITION_STD * encoder.init_scale
        inner, size = encoder.width, config.alphabet
        self.characters = nn.Embedding(size, inner, _weight=torch.empty(size, inner).normal_(std=std))
        self.start = nn.Parameter(torch.empty(1, inner).normal_(std=position_std))
        self.positions = nn.Parameter(torch.empty(config.characters, inner).normal_(std=position_std))
        self.transformer = Transformer(encoder.stack(config.characters))
        self.project = Affine(inner, width, std=std)
        self.norm = LayerNorm(width)
        self.head = nn.Parameter(torch.empty(size, width).normal_(std=std))

    def forward(self, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """States (B, L, width). Those at l have seen the characters before it only."""
        characters = lyrics_of(labels, len(self.positions))
        inputs = _shifted(self.characters(characters[:, :-1]), self.start, self.positions)
        states: Tensor = self.norm(self.project(self.transformer(inputs)))
        return states

    def logits(self, states: Tensor) -> Tensor:
        """States (B, L, width) to logits over the characters, (B, L, alphabet)."""
        return F.linear(states, self.head)


class LyricsApart(nn.Module):
    """Characters as the codes' own blocks read them, in a sequence of their own. L characters of the window."""

    def __init__(self, config: LyricsConfig, width: int, *, std: float, position_std: float) -> None:
        super().__init__()
        size = config.alphabet
        self.characters = nn.Embedding(size, width, _weight=torch.empty(size, width).normal_(std=std))
        self.start = nn.Parameter(torch.empty(1, width).normal_(std=position_std))
        self.positions = nn.Parameter(torch.empty(config.characters, width).normal_(std=position_std))
        self.head = nn.Parameter(torch.empty(size, width).normal_(std=std))

    def forward(self, labels: LabelBatch) -> Tensor:
        """What the blocks read at each place (B, L, width): the character before it."""
        characters = lyrics_of(labels, len(self.positions))
        return _shifted(self.characters(characters[:, :-1]), self.start, self.positions)

    def logits(self, states: Tensor) -> Tensor:
        """States (B, L, width) to logits over the characters, (B, L, alphabet)."""
        return F.linear(states, self.head)


def _shifted(characters: Tensor, start: Tensor, positions: Tensor) -> Tensor:
    """The start, then embedded characters (B, L - 1, width), and where they are: (B, L, width)."""
    return torch.cat([start.expand(len(characters), 1, -1), characters], dim=1) + positions


def lyrics_of(labels: LabelBatch, characters: int) -> Tensor:
    """The window of the lyrics (B, L), all zeros where nothing is sung. ValueError for one of another length."""
    if labels.lyrics is None:
        return torch.zeros(len(labels), characters, dtype=torch.int64, device=labels.artist.device)
    if labels.lyrics.shape[1] != characters:
        raise ValueError(f"this prior reads {characters} characters of the lyrics, got {labels.lyrics.shape[1]}")
    return labels.lyrics


class ArtistGenre(Conditioner):
    """The artist's embedding plus the sum of the genres'; of mixtures, sums by weight (see mixture.py)."""

    def __init__(self, artists: int, genres: int, width: int, *, std: float) -> None:
        super().__init__()
        self.artist = nn.Embedding(artists, width, _weight=torch.empty(artists, width).normal_(std=std))
        self.genre = nn.Embedding(genres, width, _weight=torch.empty(genres, width).normal_(std=std))

    def forward(self, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """(B, 1, width)."""
        filled = (labels.genres >= 0).unsqueeze(2)  # (B, slots, 1)
        each = self.genre(labels.genres.clamp(min=0)) * filled
        genres = each.sum(dim=1) if labels.genre_weights is None else _mixed(each, labels.genre_weights)  # (B, width)
        artist: Tensor = self.artist(labels.artist)
        if labels.artist_weights is not None:
            artist = _mixed(artist, labels.artist_weights)
        return (artist + genres).unsqueeze(1)


def _mixed(embeddings: Tensor, weights: Tensor) -> Tensor:
    """Embeddings (B, n, width) by weights (B, n), added up in float32: (B, width)."""
    return (embeddings.float() * weights.unsqueeze(2)).sum(dim=1).to(embeddings.dtype)


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


class BeatConditioner(Conditioner):
    """One hidden layer on the phases of beats and bars, and a projection.

    The projection begins as zeros, as that of the notes does, and so do vectors of codes without a beat grid.
    """

    def __init__(self, config: BeatConfig, width: int) -> None:
        super().__init__()
        # sines and cosines fill the range of the activation from the beginning, so that pulses of any phase are near
        self.hidden = Affine(BEAT_CHANNELS, config.width, std=0.5)
        self.project = Affine(config.width, width, std=0.0)

    def forward(self, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Phases (B, T, BEAT_CHANNELS) to (B, T, width)."""
        if labels.beats is None:
            raise ValueError("there is no beat grid to condition on")
        phases = labels.beats.to(self.hidden.weight.dtype)
        positions: Tensor = self.project(quick_gelu(self.hidden(phases)))
        return positions * phases[:, :, :1]


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
