"""Configuration of priors, upsamplers and adapters: sizes, attention pattern, labels and conditioning."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Literal, Self, TypeVar, get_args

from jukectl.codes.level import Level
from jukectl.nn.limits import LARGEST_NUMBER, check_dilations, check_positive

_Config = TypeVar("_Config")


class AttentionKind(StrEnum):
    """Keys that a position attends to, with the context laid out as a grid, one block a row (Jukebox, appendix A)."""

    DENSE = "dense"  # all positions so far
    ROW = "row"  # its own block so far
    COLUMN = "column"  # the same offset in every block so far
    PREVIOUS_ROW = "previous_row"  # the whole block before
    LYRICS = "lyrics"  # the lyric tokens at the start of the same sequence, so far
    ENCODER = "encoder"  # all states of the lyrics: of their encoder, or if lyrics are apart those at the same layer
    WINDOW = "window"  # the last `window` positions, its own included (Beltagy et al. 2020, Longformer)


Positions = Literal["learned", "rotary"]
"""Encoding of positions: a learned vector added at each, or queries and keys turned by angles (see rotary.py)."""


FACTORED = (AttentionKind.ROW, AttentionKind.COLUMN, AttentionKind.PREVIOUS_ROW)
"""Pattern of the published upsamplers and of the top prior without lyrics."""


def with_encoder(depth: int) -> tuple[AttentionKind, ...]:
    """Return the pattern of the published 5b-lyrics: after 18 layers, and then after every nine, one ENCODER layer."""
    order = FACTORED * 3 + (FACTORED * 3 + (AttentionKind.ENCODER,)) * 7
    return tuple(order[layer % len(order)] for layer in range(depth))


def in_one_sequence(depth: int) -> tuple[AttentionKind, ...]:
    """Return the pattern of the published 1b-lyrics: every 16th layer attends to lyrics, each third of those to all."""
    sixteenth = (AttentionKind.LYRICS, AttentionKind.LYRICS, AttentionKind.DENSE)
    return tuple((sixteenth if layer % 16 == 15 else FACTORED)[layer % 3] for layer in range(depth))


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """Sizes and attention pattern of one stack of blocks. Every transformer below derives one from its config."""

    length: int  # positions
    width: int
    depth: int
    heads: int
    blocks: int  # rows of the grid
    kinds: tuple[AttentionKind, ...]  # of each layer
    attention_width: int  # inner width of the attention layers, all heads together
    mlp_width: int  # inner width of the MLPs
    scale_residuals: bool
    init_scale: float
    lyrics: int = 0  # positions of the sequence, or states of the encoder, that hold lyrics
    apart: bool = False  # the same blocks read the lyrics too, as a parallel sequence
    scale_depth: int | None = None  # see PriorConfig
    window: int = 0  # positions that WINDOW layers attend to
    rotary: bool = False  # queries and keys are turned by their positions, see rotary.py

    @property
    def head_width(self) -> int:
        """Width of one head."""
        return self.attention_width // self.heads

    @property
    def block(self) -> int:
        """Positions in one block."""
        return self.length // self.blocks

    @property
    def lyric_keys(self) -> int:
        """Positions that LYRICS layers attend to: those of the lyrics, and some codes after them, as published.

        That is one more multiple of `blocks` than the lyrics fill.
        """
        return min((self.lyrics // self.blocks + 1) * self.blocks, self.length)

    @property
    def residual_scale(self) -> float:
        """Factor of the residual branches of every block."""
        return 1 / (self.scale_depth or self.depth) if self.scale_residuals else 1.0


@dataclass(frozen=True, kw_only=True)
class TimingConfig:
    """Conditioning of a top prior on timing: the song's length and the place of each code in it."""

    bins: int = 128
    min_seconds: float = 0.0  # shortest and longest whole song that the bins distinguish
    max_seconds: float = 600.0

    def __post_init__(self) -> None:
        check_positive(self, "bins", "max_seconds")
        if not 0 <= self.min_seconds < self.max_seconds:
            raise ValueError(f"min_seconds must lie in 0..{self.max_seconds} (max_seconds), got {self.min_seconds}")


@dataclass(frozen=True, kw_only=True)
class ConditionerConfig:
    """Settings of `UpperCodes`, the dilated network that upsamples the codes of the level above to this level's rate.

    Other conditioners have their own config.
    """

    width: int
    depth: int  # residual blocks before each transposed convolution
    downs: int  # transposed convolutions
    stride: int = 2  # of each of them
    growth: int = 3  # of the dilation from block to block
    cycle: int | None = None  # blocks after which the dilation starts over at 1
    scale_residuals: bool = False  # each block's branch by 1/sqrt(depth)
    hidden_multiplier: float = 1.0
    codebook_size: int = 2_048  # of the level above

    def __post_init__(self) -> None:
        check_positive(
            self,
            "width",
            "depth",
            "downs",
            "stride",
            "growth",
            "hidden_multiplier",
            "codebook_size",
            optional=("cycle",),
        )
        check_dilations(self.growth, self.cycle, [self.depth])
        if self.stride % 2:  # an odd one makes the transposed convolution a frame too long
            raise ValueError(f"stride must be even, got {self.stride}")

    @property
    def ratio(self) -> int:
        """Codes of this level per code of the level above."""
        return int(self.stride**self.downs)


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Transformer of the lyrics, for priors whose lyrics are not read by the codes' own blocks."""

    width: int
    depth: int
    heads: int
    blocks: int
    pattern: tuple[AttentionKind, ...] = FACTORED
    attention_ratio: float = 0.25
    mlp_ratio: float = 1.0
    scale_residuals: bool = False
    init_scale: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self, "width", "depth", "heads", "blocks", "attention_ratio", "mlp_ratio", "init_scale")
        _check_heads(self)
        outside = {AttentionKind.LYRICS, AttentionKind.ENCODER, AttentionKind.WINDOW}
        if not self.pattern or outside & set(self.pattern):
            raise ValueError("the encoder's pattern is of one or more of row, column, previous_row and dense")

    def stack(self, characters: int) -> StackConfig:
        """Return the stack of its blocks, for a window of that many characters."""
        return _stack(self, characters)


@dataclass(frozen=True, kw_only=True)
class LyricsConfig:
    """Conditioning on lyrics: characters around the window, read by an encoder or by the codes' own blocks."""

    characters: int  # of the window
    alphabet: int  # ids of characters, including 0: an unknown character or none
    encoder: EncoderConfig | None = None  # None: the codes' own blocks read them
    apart: bool = False  # without an encoder: as a parallel sequence; False: in one sequence with the codes
    loss_share: float = 0.4  # weight of the lyrics' own loss
    drawable: bool = False  # in one sequence: a lyric token may be sampled in place of a code, as published
    alignment_layer: int | None = None  # layer and head whose attention follows what is sung (figure 3)
    alignment_head: int = 0

    def __post_init__(self) -> None:
        check_positive(self, "characters", "alphabet")
        if not 0 <= self.loss_share <= LARGEST_NUMBER:
            raise ValueError(f"loss_share must be 0 or more, and finite, got {self.loss_share}")
        if self.encoder and self.characters % self.encoder.blocks:
            raise ValueError(
                f"characters must be a multiple of the encoder's blocks, got {self.characters} and "
                f"{self.encoder.blocks}"
            )
        if self.encoder and self.drawable:
            raise ValueError("drawable goes with lyrics and codes in one sequence, not with an encoder")
        if self.apart and (self.encoder or self.drawable):
            raise ValueError("apart is for lyrics that the codes' own blocks read: leave encoder and drawable out")


@dataclass(frozen=True, kw_only=True)
class MidiConfig:
    """Conditioning of a top prior on notes: the network that makes vectors of a piano roll."""

    width: int = 128
    depth: int = 5  # residual blocks
    growth: int = 3  # of the dilation from block to block
    cycle: int | None = None  # blocks after which the dilation starts over at 1

    def __post_init__(self) -> None:
        check_positive(self, "width", "depth", "growth", optional=("cycle",))
        check_dilations(self.growth, self.cycle, [self.depth])


@dataclass(frozen=True, kw_only=True)
class BeatConfig:
    """Conditioning of a top prior on beats: the network that makes vectors of the phases of beats and bars."""

    width: int = 64  # of its hidden layer

    def __post_init__(self) -> None:
        check_positive(self, "width")


@dataclass(frozen=True, kw_only=True)
class PriorConfig:
    """One autoregressive model of codes: a top prior (with timing) or an upsampler (with a conditioner)."""

    level: Level
    context: int  # codes of a window
    width: int
    depth: int
    heads: int
    blocks: int  # rows of the grid
    hop: int  # audio samples a code
    sample_rate: int = 44_100  # Hz
    codebook_size: int = 2_048
    artists: int = 1  # ids, unlabelled included
    genres: int = 1
    genre_slots: int = 1  # genres one song may have at once
    timing: TimingConfig | None = None
    conditioner: ConditionerConfig | None = None
    lyrics: LyricsConfig | None = None
    midi: MidiConfig | None = None
    beats: BeatConfig | None = None
    pattern: tuple[AttentionKind, ...] = FACTORED  # of the layers, repeated up to the depth
    attention_ratio: float = 0.25  # inner width of attention / width
    mlp_ratio: float = 1.0  # inner width of the MLP / width
    scale_residuals: bool = False  # each layer's branches by 1/depth
    scale_depth: int | None = None  # the depth in that factor, for a prior that blocks were added to
    init_scale: float = 1.0
    tied_head: bool = True  # the output head is the code embedding
    positions: Positions = "learned"
    window: int | None = None  # positions that layers of kind window attend to, their own included

    def __post_init__(self) -> None:
        check_positive(self, "context", "width", "depth", "heads", "blocks", "hop", "sample_rate", "codebook_size")
        check_positive(self, "artists", "genres", "genre_slots", "attention_ratio", "mlp_ratio", "init_scale")
        check_positive(self, optional=("scale_depth", "window"))
        if (self.lyric_tokens + self.context) % self.blocks:
            what = (
                f"{self.lyric_tokens} characters and a context of {self.context}"
                if self.lyric_tokens
                else f"context {self.context}"
            )
            raise ValueError(f"context must be a multiple of blocks, got {what} and {self.blocks} blocks")
        _check_heads(self)
        self._check_pattern()
        self._check_positions()
        if self.timing and self.conditioner:
            raise ValueError(
                "a prior has timing or a conditioner, not both: an upsampler has its timing from the codes above"
            )
        if self.midi and self.conditioner:
            raise ValueError("midi is for a top prior: an upsampler has its notes from the codes above")
        if self.beats and self.conditioner:
            raise ValueError("beats is for a top prior: an upsampler has its beat from the codes above")
        if self.conditioner and self.context % self.conditioner.ratio:
            raise ValueError(
                f"context must be a multiple of the conditioner's ratio {self.conditioner.ratio}, got {self.context}"
            )

    def _check_pattern(self) -> None:
        """Raise ValueError for a pattern that is empty, or that attends to lyrics the prior does not have."""
        if not self.pattern:
            raise ValueError("pattern needs at least one kind of attention")
        merged, encoded = self.lyric_tokens > 0, self.lyrics is not None and not self.lyric_tokens
        for kind, possible in ((AttentionKind.LYRICS, merged), (AttentionKind.ENCODER, encoded)):
            if kind in self.kinds and not possible:
                where = "in one sequence with the codes" if kind is AttentionKind.LYRICS else "apart or with an encoder"
                raise ValueError(f"attention to {kind} needs lyrics {where}")
        if self.lyrics and self.lyrics.apart and AttentionKind.ENCODER not in self.kinds:
            raise ValueError("lyrics apart need layers of kind encoder, which attend to them: the pattern has none")

    def _check_positions(self) -> None:
        """Raise ValueError for positions or a window that do not fit the attention layers."""
        if self.positions not in get_args(Positions):
            raise ValueError(f"positions are one of {', '.join(get_args(Positions))}, got {self.positions!r}")
        if self.positions == "rotary" and self.stack.head_width % 2:
            raise ValueError(
                f"rotary positions need heads of an even width, got {self.attention_width} for {self.heads} heads"
            )
        if (AttentionKind.WINDOW in self.kinds) != (self.window is not None):
            raise ValueError("layers of kind window and the number window go together: give both or neither")

    @property
    def stack(self) -> StackConfig:
        """The blocks of the transformer."""
        stack = _stack(self, self.lyric_tokens + self.context, self.lyrics.characters if self.lyrics else 0)
        return replace(
            stack,
            apart=self.lyrics is not None and self.lyrics.apart,
            scale_depth=self.scale_depth,
            window=self.window or 0,
            rotary=self.positions == "rotary",
        )

    def first_layers(self, count: int) -> "PriorConfig":
        """Return the config of a prior with the first `count` layers alone, which compute what they do in this one."""
        kinds = self.kinds[:count]
        separate = self.lyrics is not None and not self.lyric_tokens
        return replace(
            self,
            depth=count,
            pattern=kinds,
            window=self.window if AttentionKind.WINDOW in kinds else None,
            lyrics=None if separate and AttentionKind.ENCODER not in kinds else self.lyrics,
            # the factor of the residual branches stays that of all layers
            scale_depth=(self.scale_depth or self.depth) if self.scale_residuals else self.scale_depth,
        )

    @property
    def lyric_tokens(self) -> int:
        """Positions before the first code: the characters of lyrics in the same sequence, or 0."""
        return self.lyrics.characters if self.lyrics and not self.lyrics.encoder and not self.lyrics.apart else 0

    @property
    def ids(self) -> int:
        """Rows of the embedding: the codes, and after them, with lyrics in one sequence, the characters."""
        return self.codebook_size + (self.lyrics.alphabet if self.lyrics and self.lyric_tokens else 0)

    @property
    def sampled_ids(self) -> int:
        """Rows of the head that are sampled from: the codes, and the characters too if they are `drawable`."""
        return self.ids if self.lyrics and self.lyrics.drawable else self.codebook_size

    @property
    def ratio(self) -> int:
        """Codes per code of the level above; 1 for a top prior."""
        return self.conditioner.ratio if self.conditioner else 1

    @property
    def block(self) -> int:
        """Positions in one block."""
        return self.stack.block

    @property
    def attention_width(self) -> int:
        """Inner width of the attention layers, all heads together."""
        return self.stack.attention_width

    @property
    def mlp_width(self) -> int:
        """Inner width of the MLPs."""
        return self.stack.mlp_width

    @property
    def kinds(self) -> tuple[AttentionKind, ...]:
        """The kind of attention of each layer."""
        return self.stack.kinds

    @property
    def has_position_vectors(self) -> bool:
        """True if vectors are added to the inputs at the codes: of timing or upper codes, notes, or beats."""
        return any((self.timing, self.conditioner, self.midi, self.beats))

    @property
    def upper_context(self) -> int:
        """Codes of the level above that belong to a full window; 0 for a top prior."""
        return self.context // self.conditioner.ratio if self.conditioner else 0

    @property
    def window_samples(self) -> int:
        """Audio samples of a full window."""
        return self.context * self.hop

    def to_dict(self) -> dict[str, Any]:
        """Return plain values as TOML takes them: no enums, no tuples, no None."""
        values = _without_none(asdict(self))
        values["level"] = self.level.label
        values["pattern"] = [str(kind) for kind in self.pattern]
        if self.positions == "learned":  # the default, omitted so that versions before rotary positions read the file
            del values["positions"]
        if self.lyrics and self.lyrics.encoder:
            values["lyrics"]["encoder"]["pattern"] = [str(kind) for kind in self.lyrics.encoder.pattern]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a config from what `to_dict` returns. Raises ValueError for unknown, missing or invalid fields."""
        given = dict(values)
        if "level" in given:
            given["level"] = Level.parse(given["level"])
        if "timing" in given:
            given["timing"] = _make(TimingConfig, given["timing"])
        if "conditioner" in given:
            given["conditioner"] = _make(ConditionerConfig, given["conditioner"])
        if "midi" in given:
            given["midi"] = _make(MidiConfig, given["midi"])
        if "beats" in given:
            given["beats"] = _make(BeatConfig, given["beats"])
        if "lyrics" in given:
            lyrics = dict(given["lyrics"])
            if "encoder" in lyrics:
                lyrics["encoder"] = _make(EncoderConfig, _with_kinds(lyrics["encoder"]))
            given["lyrics"] = _make(LyricsConfig, lyrics)
        return _make(cls, _with_kinds(given))


MOST_RANKS = 2**14
LARGEST_ALPHA = 1e6

Target = Literal["attention.qkv", "attention.out", "mlp_in", "mlp_out"]
"""A layer that an adapter may change, in every block."""


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """Size of a low-rank adapter, and the layers of every block that it changes."""

    rank: int = 8
    alpha: float = 16.0  # alpha / rank is the scale s, so that one learning rate suits every rank
    targets: tuple[Target, ...] = get_args(Target)

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= MOST_RANKS:
            raise ValueError(f"rank must be at least 1 and at most {MOST_RANKS}, got {self.rank}")
        if not 0 < self.alpha <= LARGEST_ALPHA:
            raise ValueError(f"alpha must be above 0 and at most {LARGEST_ALPHA:g}, got {self.alpha}")
        if not self.targets or len(set(self.targets)) < len(self.targets):
            raise ValueError(f"targets are one or more of {', '.join(get_args(Target))}, got {list(self.targets)}")

    @property
    def scale(self) -> float:
        """Factor s of the low-rank terms (LoRA, section 4.1)."""
        return self.alpha / self.rank


def _stack(config: PriorConfig | EncoderConfig, length: int, lyrics: int = 0) -> StackConfig:
    return StackConfig(
        length=length,
        width=config.width,
        depth=config.depth,
        heads=config.heads,
        blocks=config.blocks,
        kinds=tuple(config.pattern[layer % len(config.pattern)] for layer in range(config.depth)),
        attention_width=int(config.attention_ratio * config.width),
        mlp_width=int(config.mlp_ratio * config.width),
        scale_residuals=config.scale_residuals,
        init_scale=config.init_scale,
        lyrics=lyrics,
    )


def _check_heads(config: PriorConfig | EncoderConfig) -> None:
    inner = int(config.attention_ratio * config.width)
    if inner == 0 or inner % config.heads:
        raise ValueError(
            f"attention_ratio {config.attention_ratio} of width {config.width} is {inner}, "
            f"which {config.heads} heads cannot share"
        )


def _with_kinds(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy whose pattern, if it has one, is of AttentionKind."""
    pattern = {"pattern": tuple(map(AttentionKind, values["pattern"]))} if "pattern" in values else {}
    return {**values, **pattern}


def _make(cls: type[_Config], values: Mapping[str, Any]) -> _Config:
    """Make a config from a mapping. Raises ValueError that names unknown or missing fields."""
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - known):
        raise ValueError(f"{cls.__name__} has no field {', '.join(unknown)}: it has {', '.join(sorted(known))}")
    for field in fields(cls):  # type: ignore[arg-type]
        value = values.get(field.name)
        if field.type is bool and not isinstance(value, bool | None):
            raise ValueError(f"{field.name} must be true or false, got {value!r:.80}")
        if isinstance(value, list | dict):  # a table has been read before, and a pattern is a tuple
            raise ValueError(f"{field.name} must be a single value, got {value!r:.80}")
    try:
        return cls(**values)
    except TypeError as error:  # a required field is missing
        raise ValueError(f"{cls.__name__}: {error}") from None


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    """Return a copy without values that are None, at any depth."""
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in values.items()
        if value is not None
    }
