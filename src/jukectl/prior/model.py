"""Prior: logits over the next code, and the loss. An upsampler is a Prior with a conditioner of upper codes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jukectl.prior.conditioning import (
    ArtistGenre,
    BeatConditioner,
    Conditioner,
    LyricsApart,
    LyricsEncoder,
    NoteConditioner,
    Timing,
    UpperCodes,
    lyrics_of,
)
from jukectl.prior.config import PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.layers import pad_rows
from jukectl.prior.transformer import POSITION_STD, WEIGHT_STD, KVCache, Transformer


@dataclass(frozen=True, eq=False)
class ConditioningTensors:
    """Tensors that are computed from labels once a window, and read at each of its positions."""

    start: Tensor  # (B, width), in place of the embedding of what stands before the first position
    positions: Tensor | None  # (B, n, width), added at the codes; n may exceed the codes at hand
    lyrics: Tensor | None = None  # (B, characters, width), states of the encoder, or what the sequence begins with;
    # of lyrics apart (B, layers, characters, width), the states that each layer hears

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Several batches as one."""
        start = torch.cat([part.start for part in parts])
        return cls(start, _joined([part.positions for part in parts]), _joined([part.lyrics for part in parts]))

    def row(self, index: int) -> Self:
        """A batch of that row alone."""
        positions, lyrics = (None if one is None else one[index : index + 1] for one in (self.positions, self.lyrics))
        return type(self)(self.start[index : index + 1], positions, lyrics)


class Costs(NamedTuple):
    """What a window costs, in bits, float32."""

    codes: Tensor  # (B, T)
    lyrics: Tensor | None = None  # (B, characters), of a prior that is told them


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    tensors = [part for part in parts if part is not None]
    return torch.cat(tensors) if tensors else None


class Prior(nn.Module):
    """An autoregressive model of the codes of one level. B batch, T codes up to the context, K codebook size.

    Lyrics are read by an encoder of their own, or by the codes' own blocks: apart from the codes, or before them in one
    sequence. There the ids of both are in one table, first the codes, then the characters, and logits are K wide all
    the same, but for the published model, where a character may be drawn for a code (`config.lyrics.drawable`): there
    they are as wide as the table.
    """

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        width, size = config.width, config.ids
        std, position_std = WEIGHT_STD * config.init_scale, POSITION_STD * config.init_scale
        self.codes = nn.Embedding(size, width, _weight=torch.empty(size, width).normal_(std=std))
        self.positions: nn.Parameter | None = None
        if not config.stack.rotary:  # else the attention layers turn what they compare
            self.positions = nn.Parameter(torch.empty(config.stack.length, width).normal_(std=position_std))
        self.artist_genre = ArtistGenre(config.artists, config.genres, width, std=std)
        self.place = _place_conditioner(config, std=std, position_std=position_std)
        self.midi = NoteConditioner(config.midi, width) if config.midi else None
        self.beats = BeatConditioner(config.beats, width) if config.beats else None
        self.lyrics = lyrics_reader(config)
        self.transformer = Transformer(config.stack)
        self.head = None if config.tied_head else nn.Parameter(torch.empty(size, width).normal_(std=std))

    @property
    def device(self) -> torch.device:
        """The device that the weights are on."""
        return self.codes.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the weights."""
        return self.codes.weight.dtype

    def forward(self, codes: Tensor, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Codes (B, T), labels, and the codes above (B, T_upper) for an upsampler, to logits (B, T, K).

        The logits at t are those of the code at t, and have seen the codes before it only.
        """
        conditioning, _ = self._told(labels, upper)
        return self._code_logits(self._hidden(codes[:, :-1], conditioning), conditioning)

    def costs(self, codes: Tensor, labels: LabelBatch, upper: Tensor | None = None) -> Costs:
        """What each code costs, and each character of the lyrics' window, by one pass over both."""
        conditioning, states = self._told(labels, upper)
        hidden = self._hidden(codes[:, :-1], conditioning)
        bits = _bits(self._code_logits(hidden, conditioning), codes)
        return Costs(bits, None if self.config.lyrics is None else self._character_bits(labels, hidden, states))

    def bits(self, codes: Tensor, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """What each code costs, in bits, (B, T) float32."""
        return _bits(self(codes, labels, upper), codes)

    def lyric_bits(self, labels: LabelBatch) -> Tensor:
        """What each character of the lyrics' window costs, in bits, (B, characters) float32; of a prior with lyrics."""
        if self.config.lyrics is None:
            raise ValueError("this prior takes no lyrics")
        if self.lyrics is not None:
            return self._character_bits(labels, torch.empty(0), self._read_lyrics(labels)[1])
        conditioning, states = self._told(labels, None)
        nothing = torch.empty(len(labels), 0, dtype=torch.int64, device=self.device)
        return self._character_bits(labels, self._hidden(nothing, conditioning), states)

    def loss(self, codes: Tensor, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Mean bits a code, a scalar; with lyrics a mean over both, characters counting for `loss_share` of a code."""
        return self.weighed(self.costs(codes, labels, upper))

    def weighed(self, costs: Costs) -> Tensor:
        """The loss, a scalar, of what a window costs."""
        bits, lyrics = costs.codes.mean(), self.config.lyrics
        if lyrics is None or costs.lyrics is None:
            return bits
        total = lyrics.characters + self.config.context
        shared = lyrics.loss_share * lyrics.characters * costs.lyrics.mean()
        return (shared + self.config.context * bits) / total

    @torch.inference_mode()
    def conditioning(self, labels: LabelBatch, upper: Tensor | None = None) -> ConditioningTensors:
        """What a window is conditioned on, for `prefill` and `step`: computed once, then used at every position."""
        if not self._row_by_row(len(labels)):
            return self._condition(labels, upper)
        rows = range(len(labels))
        return ConditioningTensors.join(
            [self._condition(labels.row(row), None if upper is None else upper[row : row + 1]) for row in rows]
        )

    def new_cache(self, batch: int) -> KVCache:
        """A cache for decoding `batch` rows at once, where the model is and in its precision."""
        return KVCache.allocate(self.config.stack, batch, device=self.device, dtype=self.dtype)

    @torch.inference_mode()
    def prefill(
        self, codes: Tensor, conditioning: ConditioningTensors, cache: KVCache, *, chunk: int | None = None
    ) -> Tensor:
        """Read the known codes (B, n), n from 0 to context - 1, into the cache; returns the logits (B, K) of code n.

        `chunk` positions are read at a time, rounded up to whole blocks, which bounds the memory; None reads all.
        """
        self._check_length(codes.shape[1] + 1, conditioning)
        if self._row_by_row(len(codes)):
            rows = range(len(codes))
            read = [
                self._read(codes[row : row + 1], conditioning.row(row), cache.row(row), chunk=chunk) for row in rows
            ]
            last = torch.cat(read)
            cache.length = self.config.lead + codes.shape[1] + 1
        else:
            last = self._read(codes, conditioning, cache, chunk=chunk)
        return self._next_logits(last, codes.shape[1], conditioning)

    @torch.inference_mode()
    def step(self, code: Tensor, position: int, conditioning: ConditioningTensors, cache: KVCache) -> Tensor:
        """Read the code (B,) before `position`, the one drawn last; returns the logits (B, K) at `position`."""
        place = self.config.lead + position
        if place != cache.length:
            following = max(cache.length - self.config.lead, 0)
            raise ValueError(f"the cache ends before position {following}: position {position} cannot be next")
        self._check_length(position + 1, conditioning)
        x = self.codes(code)
        if self.positions is not None:
            x = x + self.positions[place]
        if conditioning.positions is not None:
            x = x + conditioning.positions[:, position]
        hidden = self.transformer.step(pad_rows(x), cache)[: len(code)]
        return self._next_logits(hidden, position, conditioning)

    def _condition(self, labels: LabelBatch, upper: Tensor | None) -> ConditioningTensors:
        return self._told(labels, upper)[0]

    def _told(self, labels: LabelBatch, upper: Tensor | None) -> tuple[ConditioningTensors, Tensor | None]:
        """The conditioning, and what characters are foretold from, where that is not in the codes' sequence."""
        start = self.artist_genre(labels).squeeze(1)
        heard, states = self._read_lyrics(labels)
        return ConditioningTensors(start, self._at_positions(labels, upper), heard), states

    def _at_positions(self, labels: LabelBatch, upper: Tensor | None) -> Tensor | None:
        """Return what is added at the codes, (B, n, width): the place of each, notes and beats where they are given."""
        place = self.place(labels, upper) if self.place is not None else None
        if self.midi is None and self.beats is None:
            return place
        parts: list[Tensor] = [] if place is None else [place]
        if self.midi is not None and labels.notes is not None:
            parts.append(self.midi(labels))
        if self.beats is not None and labels.beats is not None:
            parts.append(self.beats(labels))
        if not parts:  # zeros, as of notes and beats that are not given
            return self.codes.weight.new_zeros(len(labels), self.config.context, self.config.width)
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def _read_lyrics(self, labels: LabelBatch) -> tuple[Tensor | None, Tensor | None]:
        """What the codes hear of the lyrics, and the states (B, characters, width) that foretell the characters."""
        if isinstance(self.lyrics, LyricsEncoder):
            states: Tensor = self.lyrics(labels)
            return states, states
        if self.lyrics is not None:
            last, heard = self.transformer.read(self.lyrics(labels))
            return heard, last
        if self.config.lead:
            return self.codes(lyrics_of(labels, self.config.lead) + self.config.codebook_size), None
        return None, None

    def _code_logits(self, hidden: Tensor, conditioning: ConditioningTensors) -> Tensor:
        """The last hidden states (B, lead + T, width) to the logits of the codes (B, T, K)."""
        hidden, positions = hidden[:, self.config.lead :], conditioning.positions
        return self.logits(hidden, None if positions is None else positions[:, : hidden.shape[1]])

    def _character_bits(self, labels: LabelBatch, hidden: Tensor, states: Tensor | None) -> Tensor:
        """What each character costs (B, characters), foretold from states of its own or from the codes' sequence."""
        config, lyrics = self.config, self.config.lyrics
        assert lyrics is not None
        characters = lyrics_of(labels, lyrics.characters)
        if self.lyrics is not None and states is not None:
            return _bits(self.lyrics.logits(states), characters)
        ids = slice(None) if lyrics.drawable else slice(config.codebook_size, None)
        logits = self.logits(hidden[:, : config.lead], None, ids)
        return _bits(logits, characters + logits.shape[-1] - lyrics.alphabet)

    def _row_by_row(self, batch: int) -> bool:
        """Whether to decode rows one by one, so that a sample is the same bits whatever batch it is in.

        A CPU adds up in another order for another batch. A pass over many positions takes no longer this way.
        """
        return batch > 1 and self.device.type == "cpu"

    def _hidden(self, codes: Tensor, conditioning: ConditioningTensors) -> Tensor:
        """Codes (B, n) to the last hidden states (B, lead + n + 1, width)."""
        self._check_length(codes.shape[1] + 1, conditioning)
        inputs = self.inputs(codes, conditioning, 0, self.config.lead + codes.shape[1] + 1)
        hidden: Tensor = self.transformer(inputs, lyrics=conditioning.lyrics)
        return hidden

    def _read(self, codes: Tensor, conditioning: ConditioningTensors, cache: KVCache, *, chunk: int | None) -> Tensor:
        """Codes (B, n) into the cache; the last hidden state (B, width)."""
        total, block = self.config.lead + codes.shape[1] + 1, self.config.block
        stride = total if chunk is None else -(-chunk // block) * block
        hidden = torch.empty(0)
        for start in range(0, total, stride):
            inputs = self.inputs(codes, conditioning, start, min(start + stride, total))
            hidden = self.transformer(inputs, cache, start=start, lyrics=conditioning.lyrics)
        return hidden[:, -1]

    def inputs(self, codes: Tensor, conditioning: ConditioningTensors, start: int, stop: int) -> Tensor:
        """What the transformer reads at positions start..stop, (B, stop - start, width), given the codes (B, n).

        At position 0 that is the start, then come the characters of the lyrics, where they are in the sequence, and the
        codes: a position reads what stands before it.
        """
        lead = self.config.lead
        parts = [conditioning.start.unsqueeze(1)] if start == 0 else []
        if lead and conditioning.lyrics is not None:
            parts.append(conditioning.lyrics[:, max(start - 1, 0) : max(stop - 1, 0)])
        parts.append(self.codes(codes[:, max(start - 1 - lead, 0) : max(stop - 1 - lead, 0)]))
        inputs = torch.cat(parts, dim=1)
        if self.positions is not None:
            inputs = inputs + self.positions[start:stop]
        if conditioning.positions is None or stop <= lead:
            return inputs
        places = conditioning.positions[:, max(start - lead, 0) : stop - lead]
        return inputs + F.pad(places, (0, 0, max(lead - start, 0), 0))

    def logits(self, hidden: Tensor, positions: Tensor | None, ids: slice | None = None) -> Tensor:
        """Hidden states and the conditioning of the same places, (..., width) both, to logits of ids (..., K)."""
        if ids is None and self.config.drawn_ids < self.config.ids:
            ids = slice(self.config.drawn_ids)
        table = self.codes.weight if self.head is None else self.head
        if positions is not None and self.head is None:
            hidden = hidden + positions
        return F.linear(hidden, table if ids is None else table[ids])

    def _next_logits(self, hidden: Tensor, position: int, conditioning: ConditioningTensors) -> Tensor:
        """The last position's hidden states (B, width) to logits (B, K)."""
        positions = None if conditioning.positions is None else conditioning.positions[:, position]
        if not self._row_by_row(len(hidden)):
            return self.logits(hidden, positions)
        rows = range(len(hidden))
        return torch.stack([self.logits(hidden[row], None if positions is None else positions[row]) for row in rows])

    def _check_length(self, total: int, conditioning: ConditioningTensors) -> None:
        """Raise ValueError where `total` positions are more than the model or the conditioning has."""
        if total > self.config.context:
            raise ValueError(f"{total} codes do not fit in the context of {self.config.context}")
        if conditioning.positions is not None and total > conditioning.positions.shape[1]:
            raise ValueError(f"{total} codes, but the codes above reach for {conditioning.positions.shape[1]} only")


def _bits(logits: Tensor, targets: Tensor) -> Tensor:
    """What ids (B, T) cost by logits (B, T, K), in bits, float32."""
    nats = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    return nats.view_as(targets) / math.log(2)


def lyrics_reader(config: PriorConfig) -> LyricsEncoder | LyricsApart | None:
    """What reads the lyrics, with new weights; None where there are none, or in one sequence with the codes."""
    if config.lyrics is None or config.lead:
        return None
    if config.lyrics.encoder:
        return LyricsEncoder(config.lyrics, config.width)
    std, position_std = WEIGHT_STD * config.init_scale, POSITION_STD * config.init_scale
    return LyricsApart(config.lyrics, config.width, std=std, position_std=position_std)


def _place_conditioner(config: PriorConfig, *, std: float, position_std: float) -> Conditioner | None:
    """What tells every position its place: the clock of a top prior, the codes above of an upsampler, or nothing."""
    if config.conditioner:
        return UpperCodes(config.conditioner, config.width, std=std)
    if config.timing:
        return Timing(
            config.timing, sample_rate=config.sample_rate, context=config.context, width=config.width, std=position_std
        )
    return None
