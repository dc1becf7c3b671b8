"""Conditioners: layers that turn the labels of a window, or the codes above it, into vectors for the prior.

B batch, T codes, L characters of the lyric window, width: that of the prior. Vectors either stand at the first position
(artist and genres), or are added at every code (timing, upper codes, notes, beats), or are attended to (lyrics): see
Jukebox, sections 4.1 and 4.2. `Prior._condition` in model.py combines them.
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
    """Turns the labels of a window into vectors of the prior's width."""

    @abstractmethod
    def forward(self, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Map labels and, in an upsampler, the codes (B, T_upper) above the window to vectors (B, n, width).

        n is 1 for vectors of the whole window, and the number of codes for vectors that are added to each code.
        """


class LyricsEncoder(Conditioner):
    """Transformer of the lyrics, whose states the codes attend to. It also learns to predict the next character.

    The loss of that prediction is added to that of the codes (Jukebox, section 4.2).
    """

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
        """Return states (B, L, width). The state at l depends on the characters before l only."""
        characters = lyrics_of(labels, len(self.positions))
        inputs = _shifted(self.characters(characters[:, :-1]), self.start, self.positions)
        states: Tensor = self.norm(self.project(self.transformer(inputs)))
        return states

    def logits(self, states: Tensor) -> Tensor:
        """Map states (B, L, width) to logits over the characters, (B, L, alphabet)."""
        return F.linear(states, self.head)


class LyricsApart(nn.Module):
    """Embedded characters that the prior's own blocks read as a separate, parallel sequence.

    It shares the weights of the blocks with the codes, so it needs no encoder, only the tables here.
    """

    def __init__(self, config: LyricsConfig, width: int, *, std: float, position_std: float) -> None:
        super().__init__()
        size = config.alphabet
        self.characters = nn.Embedding(size, width, _weight=torch.empty(size, width).normal_(std=std))
        self.start = nn.Parameter(torch.empty(1, width).normal_(std=position_std))
        self.positions = nn.Parameter(torch.empty(config.characters, width).normal_(std=position_std))
        self.head = nn.Parameter(torch.empty(size, width).normal_(std=std))

    def forward(self, labels: LabelBatch) -> Tensor:
        """Return the inputs of the blocks (B, L, width): at each place the character before it."""
        characters = lyrics_of(labels, len(self.positions))
        return _shifted(self.characters(characters[:, :-1]), self.start, self.positions)

    def logits(self, states: Tensor) -> Tensor:
        """Map states (B, L, width) to logits over the characters, (B, L, alphabet)."""
        return F.linear(states, self.head)


def _shifted(characters: Tensor, start: Tensor, positions: Tensor) -> Tensor:
    """Return the start vector, then embedded characters (B, L - 1, width), with positions added: (B, L, width)."""
    # shifted by one, so that the state at a place can be trained to predict the character there
    return torch.cat([start.expand(len(characters), 1, -1), characters], dim=1) + positions


def lyrics_of(labels: LabelBatch, characters: int) -> Tensor:
    """Return the lyric window (B, L), zeros for an instrumental. Raises ValueError for another length."""
    if labels.lyrics is None:
        return torch.zeros(len(labels), characters, dtype=torch.int64, device=labels.artist.device)
    if labels.lyrics.shape[1] != characters:
        raise ValueError(f"this prior reads {characters} characters of the lyrics, got {labels.lyrics.shape[1]}")
    return labels.lyrics


class ArtistGenre(Conditioner):
    """Sum of the embeddings of artist and genres (Jukebox, section 4.1); by weight for mixtures (see mixture.py)."""

    def __init__(self, artists: int, genres: int, width: int, *, std: float) -> None:
        super().__init__()
        self.artist = nn.Embedding(artists, width, _weight=torch.empty(artists, width).normal_(std=std))
        self.genre = nn.Embedding(genres, width, _weight=torch.empty(genres, width).normal_(std=std))

    def forward(self, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Return one vector a window, (B, 1, width)."""
        filled = (labels.genres >= 0).unsqueeze(2)  # (B, slots, 1)
        each = self.genre(labels.genres.clamp(min=0)) * filled  # empty slots look up row 0 and are zeroed after
        genres = each.sum(dim=1) if labels.genre_weights is None else _mixed(each, labels.genre_weights)  # (B, width)
        artist: Tensor = self.artist(labels.artist)
        if labels.artist_weights is not None:
            artist = _mixed(artist, labels.artist_weights)
        return (artist + genres).unsqueeze(1)


def _mixed(embeddings: Tensor, weights: Tensor) -> Tensor:
    """Return the sums of embeddings (B, n, width) by weights (B, n): (B, width)."""
    # in float32, as the weights are: in half precision weights that add up to 1 would not
    return (embeddings.float() * weights.unsqueeze(2)).sum(dim=1).to(embeddings.dtype)


class NoteConditioner(Conditioner):
    """A convolution of the piano roll, a non-causal dilated residual stack, and a projection.

    The projection is initialised to zero, so a prior that it is added to computes what it did before. Codes without
    notes get exact zeros, so that one model works with and without notes.
    """

    def __init__(self, config: MidiConfig, width: int) -> None:
        super().__init__()
        self.roll = Conv1d(CHANNELS, config.width, 3, padding=1)
        # larger than for dense inputs: of some hundred keys only a handful sounds, the other inputs are 0
        nn.init.normal_(self.roll.weight, std=0.3)
        self.stack = ResidualStack(config.width, config.depth, growth=config.growth, cycle=config.cycle)
        self.norm = LayerNorm(config.width)
        self.project = Affine(config.width, width, std=0.0)

    def forward(self, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Map piano rolls (B, T, CHANNELS) to vectors (B, T, width)."""
        if labels.notes is None:
            raise ValueError("there are no notes to condition on")
        notes = labels.notes.to(self.roll.weight.dtype)
        signal = to_channels_last(notes.transpose(1, 2))  # (B, CHANNELS, 1, T)
        hidden = self.stack(self.roll(signal)).squeeze(2).transpose(1, 2)  # (B, T, width of the stack)
        positions: Tensor = self.project(self.norm(hidden))
        return positions * notes[:, :, :1]  # channel 0 is 1 where the notes are given, see midi/roll.py

    @property
    def reach(self) -> int:
        """Codes to either side whose notes affect the vector of a code."""
        return 1 + int(self.stack.reach)  # 1: half the kernel of the first convolution


class BeatConditioner(Conditioner):
    """One hidden layer on the phases of beats and bars, and a projection.

    The projection is initialised to zero, as for notes. Codes without a beat grid get exact zeros.
    """

    def __init__(self, config: BeatConfig, width: int) -> None:
        super().__init__()
        # with this std the sines and cosines reach the curved range of the activation from the start of training, so
        # that a pulse at any phase is a small step away
        self.hidden = Affine(BEAT_CHANNELS, config.width, std=0.5)
        self.project = Affine(config.width, width, std=0.0)

    def forward(self, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Map phases (B, T, BEAT_CHANNELS) to vectors (B, T, width)."""
        if labels.beats is None:
            raise ValueError("there is no beat grid to condition on")
        phases = labels.beats.to(self.hidden.weight.dtype)
        positions: Tensor = self.project(quick_gelu(self.hidden(phases)))
        return positions * phases[:, :, :1]  # channel 0 is 1 where there is a beat grid, see midi/phases.py


def bin_of(value: Tensor, low: float, high: float, bins: int) -> Tensor:
    """Return the bin, 0..bins-1, of each value: low..high in bins of equal width, values outside in the outermost."""
    return (bins * ((value - low) / (high - low))).floor().long().clamp(0, bins - 1)


class Timing(Conditioner):
    """Sum of three embeddings: the song's length, the time since its start, and the fraction of it that has passed.

    See Jukebox, section 4.1.
    """

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
        """Return a vector for each code of a full window, (B, context, width)."""
        total, absolute, relative = self.bins_of(labels)
        timing: Tensor = self.total(total) + self.absolute(absolute) + self.relative(relative)
        return timing

    def bins_of(self, labels: LabelBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the bins of the total length (B, 1), and of absolute and relative position (B, context each)."""
        # in float32, as published: the bin at a boundary depends on how the quotients are rounded
        total = labels.total_length.float().clamp(min=1).unsqueeze(1)  # (B, 1)
        start = labels.offset.float().unsqueeze(1)
        end = (labels.offset + labels.sample_length).float().unsqueeze(1)
        return (
            bin_of(total, self.shortest, self.longest, self.bins),
            bin_of(self._ramp(start, end), 0, self.longest, self.bins),
            # a window may run past the end of the song, but the fraction that has passed ends at 1
            bin_of(self._ramp(start / total, (end / total).clamp(0, 1)), 0, 1, self.bins),
        )

    def _ramp(self, start: Tensor, end: Tensor) -> Tensor:
        """Return evenly spaced values from start (B, 1) up to, not including, end: (B, context)."""
        steps = torch.arange(self.context, dtype=torch.float32, device=start.device) / self.context
        return start + (end - start) * steps


class UpperCodes(Conditioner):
    """Upsamples embedded codes of the level above by a dilated residual network with transposed convolutions.

    See Jukebox, section 4. The layer norm brings the result to the scale of the other inputs.
    """

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
        """Map `upper` (B, T_upper) to vectors (B, T_upper * ratio, width)."""
        if upper is None:
            raise ValueError("an upsampler needs the codes of the level above")
        signal = to_channels_last(self.codes(upper).transpose(1, 2))  # (B, width, 1, T_upper)
        positions: Tensor = self.norm(self.upsample(signal).squeeze(2).transpose(1, 2))
        return positions
