"""Configurations of small models of every published style, and of random ones, as plain values for the port."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

Style = Literal["5b-lyrics", "1b-lyrics", "5b"]
Layout = Literal["bin shards", "safetensors", "safetensors shards"]
Kept = Literal["both", "embedding", "head"]

V2 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,:;!?-+'\"()[] \t\n"
V3 = V2.replace("+", "")
"""The characters of lyrics, from the id 1 on, of the released 5b-lyrics and 1b-lyrics."""

PATTERNS: Mapping[Style, str] = {
    "5b-lyrics": "large_separated_enc_dec_w_lyrics",
    "1b-lyrics": "enc_dec_with_lyrics",
    "5b": "raw_column_previous_row_attention",
}
FACTORED = "raw_column_previous_row_attention"


@dataclass(frozen=True)
class SongPlan:
    """A song to sample greedily at all levels, in top codes."""

    name: str
    new: int
    prompt: int = 0
    characters: int | None = None  # of its lyrics; None: without lyrics


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One small model: the port's configuration, and the layout of its files."""

    name: str
    style: Style
    seed: int
    config: Mapping[str, Any]  # of JukeboxConfig
    songs: tuple[SongPlan, ...]
    layout: Layout = "bin shards"
    kept: Kept = "both"  # of a tied embedding and head
    numbered: bool = False  # config.json has prior_0, prior_1 … rather than prior_config_list
    letters: str | None = None  # of lyrics, from the id 1 on, in a file of the model; None: those of a released one
    hops: tuple[int, ...] = field(init=False)  # audio samples a code, bottom first

    def __post_init__(self) -> None:
        codec = self.config["vqvae_config"]
        steps = [stride**down for stride, down in zip(codec["res_strides_t"], codec["res_downs_t"], strict=True)]
        object.__setattr__(self, "hops", tuple(prod(steps[: level + 1]) for level in range(3)))


def _codec(size: int, downs: list[int], advances: list[float], **sizes: Any) -> dict[str, Any]:
    """Return the codec's part of a configuration. `advances` are fractions of a context, top first."""
    return {
        "nb_discrete_codes": size,
        "res_downs_t": downs,
        "res_strides_t": sizes.pop("strides", [2, 2, 2]),
        "hop_fraction": advances,
        **sizes,
    }


def _top(style: Style, codec: Mapping[str, Any], labels: list[int], **sizes: Any) -> dict[str, Any]:
    return {
        "level": 0,
        "mask": True,  # the port's default is false: not causal
        "attention_pattern": PATTERNS[style],
        "is_encoder_decoder": style == "1b-lyrics",
        "merged_decoder": style == "5b-lyrics",  # if true, the head is not tied to the embedding
        "nb_relevant_lyric_tokens": 0,
        "metadata_dims": labels,
        "music_vocab_size": codec["nb_discrete_codes"],
        "res_downs_t": codec["res_downs_t"],
        "res_strides_t": codec["res_strides_t"],
        **sizes,
    }


def _encoder(characters: int, alphabet: int, **sizes: Any) -> dict[str, Any]:
    return {
        "mask": True,
        "attention_pattern": FACTORED,
        "nb_relevant_lyric_tokens": characters,
        "lyric_vocab_size": alphabet,
        **sizes,
    }


def _upsampler(level: int, codec: Mapping[str, Any], labels: list[int], **sizes: Any) -> dict[str, Any]:
    """Return the configuration of an upsampler; `level` counts from the top."""
    return {
        "level": level,
        "mask": True,
        "attention_pattern": FACTORED,
        "is_encoder_decoder": False,
        "merged_decoder": False,
        "nb_relevant_lyric_tokens": 0,
        "metadata_dims": labels,
        "music_vocab_size": codec["nb_discrete_codes"],
        "res_downs_t": codec["res_downs_t"],
        "res_strides_t": codec["res_strides_t"],
        "res_dilation_growth_rate": 3,
        **sizes,
    }


def _with_encoder() -> Variant:
    codec = _codec(
        48, [2, 1, 1], [0.25, 0.5, 0.5], embed_dim=12, res_conv_width=8, res_conv_depth=2, multipliers=[2, 1, 1]
    )
    top = _top(
        "5b-lyrics",
        codec,
        [7, 9],
        n_ctx=40,
        hidden_size=32,
        num_layers=30,  # two of them, the 19th and the 29th, attend to the encoder
        n_heads=2,
        blocks=8,
        nb_relevant_lyric_tokens=24,
        lyric_vocab_size=80,
        encoder_loss_fraction=0.4,
        alignment_layer=18,
        alignment_head=1,
        encoder_config=_encoder(24, 80, hidden_size=24, num_layers=4, n_heads=3, blocks=4),
    )
    middle = _upsampler(
        1,
        codec,
        [7, 9],
        n_ctx=32,
        hidden_size=24,
        num_layers=4,
        n_heads=1,
        blocks=4,
        attn_res_scale=True,
        res_conv_width=10,
        res_conv_depth=3,
        res_dilation_cycle=2,
        conv_res_scale=True,
    )
    bottom = _upsampler(
        2,
        codec,
        [7, 9],
        n_ctx=48,
        hidden_size=20,
        num_layers=3,
        n_heads=1,
        blocks=6,
        res_conv_width=8,
        res_conv_depth=4,
        res_dilation_cycle=3,
    )
    return Variant(
        name="encoder",
        style="5b-lyrics",
        seed=1,
        config={
            "vqvae_config": codec,
            "prior_config_list": [top, middle, bottom],
            "sampling_rate": 8_000,
            "timing_dims": 16,
            "min_duration": 0.0815,  # a window is 0.08 s
            "max_duration": 0.4,
            "max_nb_genres": 3,
        },
        songs=(
            SongPlan("short", 25, characters=70),
            SongPlan("one context", 40, characters=24),
            SongPlan("long", 87, characters=150),  # the last window is moved left
            SongPlan("whole advances", 80, characters=9),
            SongPlan("short, primed", 13, prompt=17, characters=61),
            SongPlan("long, primed", 60, prompt=23, characters=101),
            SongPlan("no lyrics", 44),
        ),
    )


def _in_one_sequence() -> Variant:
    codec = _codec(
        40, [3, 1, 1], [0.5, 0.5, 0.25], embed_dim=8, res_conv_width=6, res_conv_depth=2, multipliers=[1, 2, 1]
    )
    top = _top(
        "1b-lyrics",
        codec,
        [11, 13],
        n_ctx=38,
        hidden_size=24,
        num_layers=48,  # the 16th and the 32nd attend to the lyrics, the 48th to all
        n_heads=2,
        blocks=8,
        nb_relevant_lyric_tokens=26,  # no multiple of the blocks: attention to the lyrics covers 32 positions
        lyric_vocab_size=79,
        encoder_loss_fraction=0.3,
        alignment_layer=31,
        alignment_head=0,
    )
    middle = _upsampler(
        1,
        codec,
        [6, 8],
        n_ctx=36,
        hidden_size=16,
        num_layers=5,
        n_heads=2,
        blocks=6,
        res_conv_width=6,
        res_conv_depth=4,
        res_dilation_cycle=3,
        conv_res_scale=True,
    )
    bottom = _upsampler(
        2,
        codec,
        [6, 8],
        n_ctx=40,
        hidden_size=24,
        num_layers=3,
        n_heads=3,
        blocks=4,
        attn_res_scale=True,
        res_conv_width=8,
        res_conv_depth=2,
        res_dilation_cycle=None,
        res_convolution_multiplier=2,
    )
    return Variant(
        name="one-sequence",
        style="1b-lyrics",
        seed=2,
        config={
            "vqvae_config": codec,
            "prior_config_list": [top, middle, bottom],
            "sampling_rate": 11_025,
            "timing_dims": 12,
            "min_duration": 0.111,  # a window is 0.1103 s
            "max_duration": 0.6,
            "max_nb_genres": 2,
        },
        songs=(
            SongPlan("short", 24, characters=12),
            SongPlan("one context", 38, characters=64),
            SongPlan("long", 81, characters=140),
            SongPlan("whole advances", 76, characters=26),
            SongPlan("short, primed", 15, prompt=14, characters=90),
            SongPlan("long, primed", 50, prompt=25, characters=75),
        ),
        layout="safetensors",
        kept="embedding",
        numbered=True,
    )


def _without_lyrics() -> Variant:
    codec = _codec(
        64,
        [3, 2, 2],
        [0.125, 0.5, 0.5],
        embed_dim=8,
        res_conv_width=4,
        res_conv_depth=3,
        multipliers=[2, 1, 1],
        res_dilation_cycle=2,
    )
    top = _top("5b", codec, [12, 10], n_ctx=32, hidden_size=32, num_layers=6, n_heads=4, blocks=4)
    middle = _upsampler(
        1,
        codec,
        [12, 10],
        n_ctx=64,
        hidden_size=16,
        num_layers=3,
        n_heads=1,
        blocks=16,
        res_conv_width=12,
        res_conv_depth=5,
        res_dilation_cycle=4,
        conv_res_scale=True,
    )
    bottom = _upsampler(
        2,
        codec,
        [12, 10],
        n_ctx=80,
        hidden_size=16,
        num_layers=3,
        n_heads=2,
        blocks=8,
        res_conv_width=6,
        res_conv_depth=2,
        res_dilation_cycle=8,
    )
    return Variant(
        name="no-lyrics",
        style="5b",
        seed=3,
        config={
            "vqvae_config": codec,
            "prior_config_list": [top, middle, bottom],
            "sampling_rate": 44_100,
            "timing_dims": 24,
            "min_duration": 0.1,  # a window is 0.093 s
            "max_duration": 0.4,
            "max_nb_genres": 5,
        },
        songs=(SongPlan("short", 21), SongPlan("long, primed", 30, prompt=11)),
        layout="safetensors shards",
        kept="head",
    )


def _other_head(style: Style) -> Variant:
    """Return a smaller model whose head is tied if that of the released one is not, and vice versa."""
    codec = _codec(32, [1, 1, 1], [0.5, 0.5, 0.5], embed_dim=6, res_conv_width=4, res_conv_depth=1)
    tied = style == "5b-lyrics"
    letters = V3[::-1][: 78 if tied else 77]  # not the alphabet of a released model
    encoder = _encoder(12, len(letters) + 1, hidden_size=8, num_layers=2, n_heads=1, blocks=3)
    top = _top(
        style,
        codec,
        [5, 6],
        n_ctx=36,
        hidden_size=16,
        num_layers=19 if tied else 16,
        n_heads=2,
        blocks=6,
        merged_decoder=not tied,
        nb_relevant_lyric_tokens=12,
        lyric_vocab_size=len(letters) + 1,
        encoder_config=encoder if tied else None,
    )
    upsampler = {"num_layers": 2, "n_heads": 1, "blocks": 4, "merged_decoder": True}
    convolutions = {"res_conv_width": 4, "res_conv_depth": 2, "res_dilation_cycle": None}
    middle = _upsampler(1, codec, [5, 6], n_ctx=32, hidden_size=12, **upsampler, **convolutions)
    bottom = _upsampler(2, codec, [5, 6], n_ctx=48, hidden_size=12, **upsampler, **convolutions)
    return Variant(
        name="encoder-tied" if tied else "one-sequence-untied",
        style=style,
        seed=4,
        config={
            "vqvae_config": codec,
            "prior_config_list": [top, middle, bottom],
            "sampling_rate": 8_000,
            "timing_dims": 10,
            "min_duration": 0,
            "max_duration": 0.3,
            "max_nb_genres": 2,
        },
        songs=(SongPlan("long, primed", 41, prompt=10, characters=50),),
        layout="safetensors" if tied else "bin shards",
        letters=letters,
    )


GOLDEN = (
    _with_encoder(),
    _in_one_sequence(),
    _without_lyrics(),
    _other_head("5b-lyrics"),
    _other_head("1b-lyrics"),
)
"""Models that together have every kind of layer of both top priors and of the upsamplers."""


def drawn(style: Style, seed: int) -> Variant:
    """Return a model of a style with random sizes: widths, depths, heads, blocks, contexts, alphabets, hops."""
    dice = random.Random(f"{style} {seed}")
    stride = dice.choice([2, 2, 4])
    lowest, step = (dice.choice([1, 2, 3]), dice.choice([1, 1, 2])) if stride == 2 else (1, 1)
    codec = _codec(
        dice.randint(30, 90),
        [lowest, step, step],
        dice.choice([[0.125, 0.5, 0.5], [0.25, 0.5, 0.25], [0.5, 0.25, 0.5]]),
        strides=[stride] * 3,
        embed_dim=dice.choice([6, 10, 16]),
        res_conv_width=dice.choice([4, 7, 8]),
        res_conv_depth=dice.randint(1, 4),
        multipliers=dice.choice([[2, 1, 1], [1, 1, 1], [1, 2, 3]]),
        res_dilation_cycle=dice.choice([None, 2, 3]),
        res_dilation_growth_rate=dice.choice([2, 3]),
    )
    ratio = stride**step
    upper_labels = [dice.randint(6, 15), dice.randint(6, 15)]
    labels = [dice.randint(6, 30), dice.randint(6, 30)] if style == "1b-lyrics" else upper_labels

    top_blocks = dice.choice([4, 6, 8, 12])
    context, lyrics = top_blocks * dice.randint(-(-48 // top_blocks), 72 // top_blocks), 0
    if style == "1b-lyrics":
        lyrics = 2 * dice.randint(4, 12)
        context -= lyrics
    characters = {"1b-lyrics": lyrics, "5b": 0}.get(style, 2 * dice.choice([2, 3, 6]) * dice.choice([2, 3]))
    letters = "".join(dice.sample(V3, dice.randint(60, len(V3)))) if characters and dice.random() < 0.4 else None
    alphabet = 1 + len(letters or (V3 if style == "1b-lyrics" else V2))
    shallow, deep = {"5b-lyrics": (12, 30), "1b-lyrics": (14, 50)}.get(style, (2, 7))
    top = _top(
        style,
        codec,
        labels,
        n_ctx=context,
        blocks=top_blocks,
        num_layers=dice.randint(shallow, deep),
        **_heads(dice),
        nb_relevant_lyric_tokens=characters,
        lyric_vocab_size=alphabet,
        encoder_loss_fraction=dice.choice([0.1, 0.4]),
        attn_res_scale=dice.random() < 0.2,
        merged_decoder=dice.random() < 0.5,
    )
    if style == "5b-lyrics":
        blocks = dice.choice([block for block in (2, 3, 4, 6) if characters % block == 0])
        encoder = _encoder(characters, alphabet, num_layers=dice.randint(1, 5), blocks=blocks, **_heads(dice))
        top["encoder_config"] = encoder

    def upsampler(level: int) -> dict[str, Any]:
        blocks = dice.choice([4, 8, 12])
        most = min(context // 2 * ratio ** (level - 1), 96 // ratio) // blocks  # the shortest song fills a window
        return _upsampler(
            level,
            codec,
            upper_labels,
            n_ctx=blocks * ratio * dice.randint(1, most),
            blocks=blocks,
            num_layers=dice.randint(1, 5),
            **_heads(dice),
            attn_res_scale=dice.random() < 0.3,
            merged_decoder=dice.random() < 0.3,
            res_conv_width=dice.randint(3, 12),
            res_conv_depth=dice.randint(1, 6),
            res_dilation_cycle=dice.choice([None, 2, 3]),
            conv_res_scale=dice.random() < 0.5,
            res_convolution_multiplier=dice.choice([1, 2]),
        )

    rate = dice.choice([8_000, 16_000, 22_050, 44_100])
    hop = stride ** (lowest + 2 * step)
    window = context * hop / rate
    long = dice.randint(context + 1, 3 * context)
    prompt = dice.randint(1, context - 1)

    def song(name: str, new: int, prompt: int = 0) -> SongPlan:
        return SongPlan(name, new, prompt, dice.randint(3, 5 * characters) if characters else None)

    return Variant(
        name=f"{style}-{seed}",
        style=style,
        seed=seed,
        config={
            "vqvae_config": codec,
            "prior_config_list": [top, upsampler(1), upsampler(2)],
            "sampling_rate": rate,
            "timing_dims": dice.randint(5, 40),
            "min_duration": dice.choice([0, round(1.01 * window, 4)]),
            "max_duration": round(dice.uniform(5, 10) * window, 3),
            "max_nb_genres": dice.randint(2, 5),
        },
        songs=(
            song("short", dice.randint((context + 1) // 2, context - 1)),
            song("one context", context),
            song("long", long),
            song("primed", dice.randint(context // 2, 2 * context), prompt),
            song("primed by more than a context", dice.randint(1, context), dice.randint(context + 1, 2 * context)),
        ),
        layout=dice.choice(["bin shards", "safetensors", "safetensors shards"]),
        kept=dice.choice(["both", "embedding", "head"]),
        numbered=dice.random() < 0.5,
        letters=letters,
    )


def _heads(dice: random.Random) -> dict[str, Any]:
    """Return a random width, number of heads and inner widths that fit together."""
    heads, size, share = dice.choice([1, 2, 3]), dice.randint(4, 7), dice.choice([0.25, 0.25, 0.5])
    return {
        "hidden_size": round(heads * size / share),
        "n_heads": heads,
        "attention_multiplier": share,
        "mlp_multiplier": dice.choice([0.5, 1.0, 1.0, 2.0]),
    }
