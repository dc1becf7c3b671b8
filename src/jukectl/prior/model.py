"""Prior: logits of the next code, and the loss. An upsampler is a Prior with a conditioner of upper codes."""

import functools
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
    """Tensors computed from labels once per window, and used at each of its positions."""

    start: Tensor  # (B, width), input at the first position, in place of the embedding of a code before it
    positions: Tensor | None  # (B, n, width), added to the inputs at the codes; n may exceed the number of codes
    lyrics: Tensor | None = None  # (B, characters, width): states of the encoder, or embedded lyric tokens that the
    # sequence begins with; for lyrics apart (B, layers, characters, width), the states for each layer's cross-attention

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Concatenate batches."""
        start = torch.cat([part.start for part in parts])
        return cls(start, _joined([part.positions for part in parts]), _joined([part.lyrics for part in parts]))

    def row(self, index: int) -> Self:
        """Return one row as a batch."""
        positions, lyrics = (None if one is None else one[index : index + 1] for one in (self.positions, self.lyrics))
        return type(self)(self.start[index : index + 1], positions, lyrics)


class Costs(NamedTuple):
    """Negative log2-likelihoods of a window, in bits, float32."""

    codes: Tensor  # (B, T)
    lyrics: Tensor | None = None  # (B, characters), for priors with lyrics


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    tensors = [part for part in parts if part is not None]
    return torch.cat(tensors) if tensors else None


class Prior(nn.Module):
    """An autoregressive model of the codes of one level. B batch, T codes up to the context, K codebook size.

    Lyrics are read by a separate encoder, or by the blocks of the codes: in a parallel sequence ("apart"), or as lyric
    tokens before the codes in one sequence. In one sequence, codes and lyric tokens share the embedding table, codes
    first. Logits have K entries then too, except for the published model, where a lyric token may be sampled in place
    of a code (`config.lyrics.drawable`): there they cover the whole table.
    """

    stage_vectors: Tensor | None = None
    """Vectors (S, K / S, D) of the quantizer at this level, if it has several stages S; a model folder sets them."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        width, size = config.width, config.ids
        std, position_std = WEIGHT_STD * config.init_scale, POSITION_STD * config.init_scale
        # initialised directly: torch's default would fill every table twice, and models have gigabytes of them
        self.codes = nn.Embedding(size, width, _weight=torch.empty(size, width).normal_(std=std))
        self.positions: nn.Parameter | None = None
        if not config.stack.rotary:  # rotary positions enter in the attention layers
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
        """Device of the weights."""
        return self.codes.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return self.codes.weight.dtype

    def forward(self, codes: Tensor, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Return logits (B, T, K) for codes (B, T), labels, and for an upsampler the codes above (B, T_upper).

        The logits at t are for the code at t, and depend on the codes before t only.
        """
        conditioning, _ = self._condition(labels, upper)
        # without the last code: the inputs are shifted by one, and nothing is predicted from it
        return self._code_logits(self._hidden(codes[:, :-1], conditioning), conditioning)

    def hidden(self, codes: Tensor, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Return the last layer's activations (B, T, width) from which the codes (B, T) are predicted.

        Those at t depend on the codes before t only.
        """
        conditioning, _ = self._condition(labels, upper)
        return self._hidden(codes[:, :-1], conditioning)[:, self.config.lyric_tokens :]

    def costs(
        self, codes: Tensor, labels: LabelBatch, upper: Tensor | None = None, inputs: Tensor | None = None
    ) -> Costs:
        """Return the bits of each code and of each character of the lyric window, in one pass over both.

        The codes are predicted from `inputs` (B, T), by default from themselves.
        """
        conditioning, states = self._condition(labels, upper)
        hidden = self._hidden((codes if inputs is None else inputs)[:, :-1], conditioning)
        bits = _bits(self._code_logits(hidden, conditioning), codes)
        return Costs(bits, None if self.config.lyrics is None else self._character_bits(labels, hidden, states))

    def bits(self, codes: Tensor, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Return the bits of each code, (B, T) float32."""
        return _bits(self(codes, labels, upper), codes)

    def lyric_bits(self, labels: LabelBatch) -> Tensor:
        """Return the bits of each character of the lyric window, (B, characters) float32. ValueError without lyrics."""
        if self.config.lyrics is None:
            raise ValueError("this prior takes no lyrics")
        if self.lyrics is not None:
            return self._character_bits(labels, torch.empty(0), self._read_lyrics(labels)[1])
        # in one sequence the lyric tokens come first and depend on no code, so the window may be empty
        conditioning, states = self._condition(labels, None)
        nothing = torch.empty(len(labels), 0, dtype=torch.int64, device=self.device)
        return self._character_bits(labels, self._hidden(nothing, conditioning), states)

    def loss(self, codes: Tensor, labels: LabelBatch, upper: Tensor | None = None) -> Tensor:
        """Return the mean bits per code, a scalar; with lyrics a weighted mean, see `loss_of`."""
        return self.loss_of(self.costs(codes, labels, upper))

    def loss_of(self, costs: Costs) -> Tensor:
        """Return the loss, a scalar: the mean over codes and characters, a character weighted by `loss_share`."""
        bits, lyrics = costs.codes.mean(), self.config.lyrics
        if lyrics is None or costs.lyrics is None:
            return bits
        # as if all characters and codes were positions of one sequence, as they are in the published one-stack model
        total = lyrics.characters + self.config.context
        shared = lyrics.loss_share * lyrics.characters * costs.lyrics.mean()
        return (shared + self.config.context * bits) / total

    @torch.inference_mode()
    def conditioning(self, labels: LabelBatch, upper: Tensor | None = None) -> ConditioningTensors:
        """Compute the tensors that `prefill` and `step` use, once per window."""
        if not self._row_by_row(len(labels)):
            return self._condition(labels, upper)[0]
        rows = range(len(labels))
        return ConditioningTensors.join(
            [self._condition(labels.row(row), None if upper is None else upper[row : row + 1])[0] for row in rows]
        )

    def new_cache(self, batch: int) -> KVCache:
        """Return an empty cache for decoding `batch` rows, on the model's device and in its precision."""
        return KVCache.allocate(self.config.stack, batch, device=self.device, dtype=self.dtype)

    @torch.inference_mode()
    def prefill(
        self, codes: Tensor, conditioning: ConditioningTensors, cache: KVCache, *, chunk: int | None = None
    ) -> Tensor:
        """Fill the cache with a prefix of codes (B, n), 0 <= n < context; return the logits (B, K) for code n.

        `chunk` positions are read at a time, rounded up to whole blocks, which bounds the memory; None reads all.
        """
        self._check_length(codes.shape[1] + 1, conditioning)
        if self._row_by_row(len(codes)):
            rows = range(len(codes))
            read = [
                self._read(codes[row : row + 1], conditioning.row(row), cache.row(row), chunk=chunk) for row in rows
            ]
            last = torch.cat(read)
            cache.length = self.config.lyric_tokens + codes.shape[1] + 1  # the rows are views that count separately
        else:
            last = self._read(codes, conditioning, cache, chunk=chunk)
        return self._next_logits(last, codes.shape[1], conditioning)

    @torch.inference_mode()
    def step(self, code: Tensor, position: int, conditioning: ConditioningTensors, cache: KVCache) -> Tensor:
        """Read the code (B,) before `position`, which was sampled last; return the logits (B, K) at `position`."""
        place = self.config.lyric_tokens + position
        if place != cache.length:
            following = max(cache.length - self.config.lyric_tokens, 0)
            raise ValueError(f"the cache ends before position {following}: position {position} cannot be next")
        self._check_length(position + 1, conditioning)
        x = self.codes(code)
        if self.positions is not None:
            x = x + self.positions[place]
        if conditioning.positions is not None:
            x = x + conditioning.positions[:, position]
        # padded so that a sample's codes do not depend on the batch size, see pad_rows
        hidden = self.transformer.step(pad_rows(x), cache)[: len(code)]
        return self._next_logits(hidden, position, conditioning)

    def _condition(self, labels: LabelBatch, upper: Tensor | None) -> tuple[ConditioningTensors, Tensor | None]:
        """Return the conditioning, and the states that predict the lyrics if those are outside the codes' sequence."""
        start = self.artist_genre(labels).squeeze(1)
        lyrics, states = self._read_lyrics(labels)
        return ConditioningTensors(start, self._at_positions(labels, upper), lyrics), states

    def _at_positions(self, labels: LabelBatch, upper: Tensor | None) -> Tensor | None:
        """Return the sum of the vectors that are added to the inputs at the codes, (B, n, width), n >= T; or None."""
        if not self.config.has_position_vectors:
            return None
        parts: list[Tensor] = [] if self.place is None else [self.place(labels, upper)]
        if self.midi is not None and labels.notes is not None:
            parts.append(self.midi(labels))
        if self.beats is not None and labels.beats is not None:
            parts.append(self.beats(labels))
        if not parts:  # as for notes and beats that are not given; decoders expect a tensor of such a prior
            return self.codes.weight.new_zeros(len(labels), self.config.context, self.config.width)
        return functools.reduce(torch.add, parts)

    def _read_lyrics(self, labels: LabelBatch) -> tuple[Tensor | None, Tensor | None]:
        """Return the lyrics for the codes, and the states (B, characters, width) that predict each character."""
        if isinstance(self.lyrics, LyricsEncoder):
            states: Tensor = self.lyrics(labels)
            return states, states
        if self.lyrics is not None:  # apart
            last, inputs = self.transformer.read(self.lyrics(labels))
            return inputs, last
        if self.config.lyric_tokens:  # in one sequence: rows of the shared table, after those of the codes
            return self.codes(lyrics_of(labels, self.config.lyric_tokens) + self.config.codebook_size), None
        return None, None

    def _code_logits(self, hidden: Tensor, conditioning: ConditioningTensors) -> Tensor:
        """Return the logits of the codes (B, T, K) for the last hidden states (B, lyric_tokens + T, width)."""
        # states at lyric tokens predict the lyrics, see `_character_bits`
        hidden, positions = hidden[:, self.config.lyric_tokens :], conditioning.positions
        return self.logits(hidden, None if positions is None else positions[:, : hidden.shape[1]])

    def _character_bits(self, labels: LabelBatch, hidden: Tensor, states: Tensor | None) -> Tensor:
        """Return the bits of each character (B, characters), from separate `states` or from the codes' sequence."""
        config, lyrics = self.config, self.config.lyrics
        assert lyrics is not None
        characters = lyrics_of(labels, lyrics.characters)
        if self.lyrics is not None and states is not None:
            return _bits(self.lyrics.logits(states), characters)
        # the published model has one softmax over codes and characters; ours compares characters with each other
        ids = slice(None) if lyrics.drawable else slice(config.codebook_size, None)
        # lyric tokens have no place in the song, so even a tied head adds no conditioning here
        logits = self.logits(hidden[:, : config.lyric_tokens], None, ids)
        return _bits(logits, characters + logits.shape[-1] - lyrics.alphabet)

    def _row_by_row(self, batch: int) -> bool:
        """Return True if rows are computed one by one, so that a sample has the same bits in every batch.

        A CPU sums in an order that depends on the batch size. A pass over many positions takes no longer row by row.
        """
        return batch > 1 and self.device.type == "cpu"

    def _hidden(self, codes: Tensor, conditioning: ConditioningTensors) -> Tensor:
        """Return the last hidden states (B, lyric_tokens + n + 1, width) for codes (B, n)."""
        self._check_length(codes.shape[1] + 1, conditioning)
        inputs = self.inputs(codes, conditioning, 0, self.config.lyric_tokens + codes.shape[1] + 1)
        hidden: Tensor = self.transformer(inputs, lyrics=conditioning.lyrics)
        return hidden

    def _read(self, codes: Tensor, conditioning: ConditioningTensors, cache: KVCache, *, chunk: int | None) -> Tensor:
        """Fill the cache with codes (B, n), and return the last hidden state (B, width)."""
        total, block = self.config.lyric_tokens + codes.shape[1] + 1, self.config.block
        # chunks begin at the start of a block, where factored attention can be cut
        stride = total if chunk is None else -(-chunk // block) * block
        hidden = torch.empty(0)
        for start in range(0, total, stride):
            inputs = self.inputs(codes, conditioning, start, min(start + stride, total))
            hidden = self.transformer(inputs, cache, start=start, lyrics=conditioning.lyrics)
        return hidden[:, -1]

    def inputs(self, codes: Tensor, conditioning: ConditioningTensors, start: int, stop: int) -> Tensor:
        """Return the transformer's inputs at positions start..stop, (B, stop - start, width), for codes (B, n).

        The sequence is shifted by one: position 0 reads the start vector, and each later position the token before it,
        lyric tokens first if they are in the sequence, then codes.
        """
        lyric_tokens = self.config.lyric_tokens
        parts = [conditioning.start.unsqueeze(1)] if start == 0 else []
        if lyric_tokens and conditioning.lyrics is not None:
            parts.append(conditioning.lyrics[:, max(start - 1, 0) : max(stop - 1, 0)])
        parts.append(self.codes(codes[:, max(start - 1 - lyric_tokens, 0) : max(stop - 1 - lyric_tokens, 0)]))
        inputs = torch.cat(parts, dim=1)
        if self.positions is not None:
            inputs = inputs + self.positions[start:stop]
        if conditioning.positions is None or stop <= lyric_tokens:
            return inputs
        places = conditioning.positions[:, max(start - lyric_tokens, 0) : stop - lyric_tokens]
        # zeros at the lyric tokens, which have no place in the song
        return inputs + F.pad(places, (0, 0, max(lyric_tokens - start, 0), 0))

    def logits(self, hidden: Tensor, positions: Tensor | None, ids: slice | None = None) -> Tensor:
        """Return logits (..., K) for hidden states and the conditioning at the same positions, (..., width) both."""
        if ids is None and self.config.sampled_ids < self.config.ids:
            ids = slice(self.config.sampled_ids)
        table = self.codes.weight if self.head is None else self.head
        if positions is not None and self.head is None:  # as published: a tied head sees the conditioning again
            hidden = hidden + positions
        return F.linear(hidden, table if ids is None else table[ids])

    def _next_logits(self, hidden: Tensor, position: int, conditioning: ConditioningTensors) -> Tensor:
        """Return the logits (B, K) for the hidden states of the last position (B, width)."""
        positions = None if conditioning.positions is None else conditioning.positions[:, position]
        if not self._row_by_row(len(hidden)):
            return self.logits(hidden, positions)
        rows = range(len(hidden))
        return torch.stack([self.logits(hidden[row], None if positions is None else positions[row]) for row in rows])

    def _check_length(self, total: int, conditioning: ConditioningTensors) -> None:
        """Raise ValueError if `total` codes exceed the model's context or the conditioning."""
        if total > self.config.context:
            raise ValueError(f"{total} codes do not fit in the context of {self.config.context}")
        if conditioning.positions is not None and total > conditioning.positions.shape[1]:
            raise ValueError(f"{total} codes, but the codes above reach for {conditioning.positions.shape[1]} only")


def _bits(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the bits of ids (B, T) under logits (B, T, K), float32."""
    # the softmax in float32: over 2,048 codes, bfloat16 would lose the small differences that evaluation compares
    nats = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    return nats.view_as(targets) / math.log(2)


def lyrics_reader(config: PriorConfig) -> LyricsEncoder | LyricsApart | None:
    """Return new layers that read lyrics; None without lyrics, or if lyric tokens are in the codes' sequence."""
    if config.lyrics is None or config.lyric_tokens:
        return None
    if config.lyrics.encoder:
        return LyricsEncoder(config.lyrics, config.width)
    std, position_std = WEIGHT_STD * config.init_scale, POSITION_STD * config.init_scale
    return LyricsApart(config.lyrics, config.width, std=std, position_std=position_std)


def _place_conditioner(config: PriorConfig, *, std: float, position_std: float) -> Conditioner | None:
    """Return the conditioner of the place in a song: timing for a top prior, upper codes for an upsampler, or None."""
    if config.conditioner:
        return UpperCodes(config.conditioner, config.width, std=std)
    if config.timing:
        return Timing(
            config.timing, sample_rate=config.sample_rate, context=config.context, width=config.width, std=position_std
        )
    return None
