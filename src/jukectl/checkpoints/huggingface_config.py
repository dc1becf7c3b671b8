"""Translation between the config.json of a Hugging Face folder and our configurations.

Its priors count from the top: `prior_0` is the top prior. Missing keys have the defaults of the port's classes. Values
that our models do not support are refused with their key.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any, TypeVar

from jukectl.checkpoints.jsonfile import Fields, read_json
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadModel
from jukectl.prior.config import (
    FACTORED,
    AttentionKind,
    ConditionerConfig,
    EncoderConfig,
    LyricsConfig,
    PriorConfig,
    StackConfig,
    TimingConfig,
    in_one_sequence,
    with_encoder,
)
from jukectl.vqvae.config import VQVAEConfig

MODEL_TYPE = "jukebox"
DEEPEST = 1_024  # layers; the largest published model has 79
HOP_FRACTIONS = (0.125, 0.5, 0.5)  # from the top down; other code lists them from the bottom up
DENSE = "full_dense_attention"
# Orders of attention layers by the port's names: factored attention alone (2 in the originals), with attention to an
# encoder (10), with attention to lyric tokens in the same sequence (12).
PATTERNS: Mapping[str, Callable[[int], tuple[AttentionKind, ...]]] = {  # by depth
    DENSE: lambda depth: (AttentionKind.DENSE,),
    "raw_column_previous_row_attention": lambda depth: FACTORED,
    "large_separated_enc_dec_w_lyrics": with_encoder,
    "enc_dec_with_lyrics": in_one_sequence,
}

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class PortConfig:
    """Configuration of a model, as in a config.json."""

    vqvae: VQVAEConfig
    priors: Mapping[Level, PriorConfig]
    advance: Mapping[Level, float]  # of a window, as a fraction of the context


def read_config(path: Path) -> PortConfig:
    """Read a config.json. Raise BadModel with the key that is wrong or unsupported."""
    fields = Fields(read_json(path), str(path))
    # a file without `model_type` counts if it has one of the keys that only Jukebox models have
    kind = fields.values.get("model_type", MODEL_TYPE)
    if kind != MODEL_TYPE or not {"vqvae_config", "prior_config_list", "prior_0"} & fields.values.keys():
        raise BadModel(f"{path} describes no Jukebox model")
    # without it priors have no labels at all, and so no tensors for artist, genre and timing
    if not fields.flag("metadata_conditioning", True):
        raise fields.wrong("metadata_conditioning", "true")
    codec = fields.object("vqvae_config")
    vqvae = _made(codec, lambda: _vqvae(codec, fields.whole("sampling_rate", 44_100)))
    count = fields.whole("nb_priors", len(Level), least=0, most=len(Level))
    # fewer than three priors are a model too: the missing ones are the lowest levels
    levels = {level: _prior_fields(fields, index) for index, level in enumerate(TOP_DOWN[:count])}
    # it may be at the top level, in the codec's part, or in both
    advance = _fractions(fields if "hop_fraction" in fields else codec)
    return PortConfig(
        vqvae,
        {level: _made(one, lambda: _prior(one, level, vqvae, fields)) for level, one in levels.items()},  # noqa: B023
        {level: advance[index] for index, level in enumerate(levels)},
    )


def _made(fields: Fields, make: Callable[[], _Made]) -> _Made:
    """Make a configuration. Raise what its checks report as BadModel."""
    try:
        return make()
    except (ValueError, OverflowError) as error:
        raise BadModel(f"{fields.where}: {error}") from error


def _prior_fields(fields: Fields, index: int) -> Fields:
    """Return the fields of one prior, from a list or from its own key: the port writes one form and reads the other."""
    listed = fields.values.get("prior_config_list")
    if listed is None:
        return fields.object(f"prior_{index}")
    if not isinstance(listed, list) or len(listed) <= index:
        raise fields.wrong("prior_config_list", f"a list of at least {index + 1}, as nb_priors has it")
    key = f"prior_config_list[{index}]"
    return Fields({key: listed[index]}, fields.where).object(key)


def _fractions(fields: Fields) -> list[float]:
    given = fields.values.get("hop_fraction", HOP_FRACTIONS)
    if not isinstance(given, list | tuple) or len(given) != len(Level):
        raise fields.wrong("hop_fraction", f"a list of {len(Level)} numbers")
    values = Fields({f"hop_fraction[{index}]": value for index, value in enumerate(given)}, fields.where)
    return [values.number(key, 0.5, least=1e-6, most=1.0) for key in values.values]


def _only(fields: Fields, key: str, value: Any, why: str) -> None:
    """Raise BadModel if a key has any value but the only one that our models support."""
    if fields.values.get(key, value) != value:
        raise BadModel(f"{fields.where}: {key} is {fields.values[key]!r:.80}, but {why}")


def _vqvae(fields: Fields, sample_rate: int) -> VQVAEConfig:
    levels = len(Level)
    # each check names the key and the only value, instead of a misfit of tensors later
    _only(fields, "levels", levels, f"models here have {levels} levels")
    _only(fields, "conv_input_shape", 1, "models here are mono")
    _only(fields, "act_fn", "relu", "codecs here have relu alone")
    # width and depth of the residual stacks at each level are multiples of a common one; null stands for 1
    unscaled = fields.values.get("multipliers", (2, 1, 1)) is None
    multipliers = (1,) * levels if unscaled else fields.wholes("multipliers", (2, 1, 1), count=levels, most=64)
    width, depth = fields.whole("res_conv_width", 32, most=2**14), fields.whole("res_conv_depth", 4, most=64)
    # the limits on sizes are far above any model: they keep a forged file from describing terabytes
    return VQVAEConfig(
        sample_rate=sample_rate,
        downs=fields.wholes("res_downs_t", (3, 2, 2), count=levels, most=16),
        strides=fields.wholes("res_strides_t", (2, 2, 2), count=levels, most=256),
        codebook_size=fields.whole("nb_discrete_codes", 2_048, least=2, most=2**16),
        latent_width=fields.whole("embed_dim", 64, most=2**14),
        widths=tuple(width * one for one in multipliers),
        depths=tuple(depth * one for one in multipliers),
        dilation_growth=fields.whole("res_dilation_growth_rate", 3, most=64),
        dilation_cycle=_cycle(fields),
        hidden_multiplier=fields.whole("res_convolution_multiplier", 1, most=64),
        scale_residuals=fields.flag("conv_res_scale", False),
    )


def _cycle(fields: Fields) -> int | None:
    # null: dilation grows through the whole stack
    if fields.values.get("res_dilation_cycle") is None:
        return None
    return fields.whole("res_dilation_cycle", 1, most=DEEPEST)


def _prior(fields: Fields, level: Level, vqvae: VQVAEConfig, model: Fields) -> PriorConfig:
    """Return one prior's configuration. Timing and genre slots are those of `model`, the whole file."""
    codes = fields.whole("music_vocab_size", 2_048, most=2**16)
    # two keys for one number; a difference would make codes without an embedding
    if codes != vqvae.codebook_size:
        raise BadModel(
            f"{fields.where}: music_vocab_size is {codes}, but the codec has {vqvae.codebook_size} (nb_discrete_codes)"
        )
    # genres first, then artists
    genres, artists = fields.wholes("metadata_dims", (604, 7_898), count=2)
    width, depth = fields.whole("hidden_size", 2_048, most=2**17), fields.whole("num_layers", 72, most=DEEPEST)
    return PriorConfig(
        level=level,
        context=fields.whole("n_ctx", 6_144, most=2**24),
        width=width,
        depth=depth,
        heads=fields.whole("n_heads", 2),
        blocks=fields.whole("blocks", 64),
        hop=vqvae.hop(level),
        sample_rate=vqvae.sample_rate,
        codebook_size=codes,
        artists=artists,
        genres=genres,
        genre_slots=model.whole("max_nb_genres", 5, most=1_024),
        # the port ignores the timing labels of upsamplers, as the original does
        timing=_timing(model) if level is Level.TOP else None,
        conditioner=None if level is Level.TOP else _conditioner(fields, level, vqvae),
        lyrics=_lyrics(fields),
        pattern=_pattern(fields, depth),
        # without merged vocabularies the port ties the head to the embedding
        tied_head=not fields.flag("merged_decoder", True),
        **_stack(fields),
    )


def _stack(fields: Fields) -> dict[str, Any]:
    """Return the fields that a prior and its lyrics encoder share."""
    _only(fields, "act_fn", "quick_gelu", "priors here have quick_gelu alone")
    return {
        "attention_ratio": fields.number("attention_multiplier", 0.25, most=64),
        "mlp_ratio": fields.number("mlp_multiplier", 1.0, most=64),
        "scale_residuals": fields.flag("attn_res_scale", False),
        "init_scale": fields.number("init_scale", 0.2) or 1.0,  # no effect on trained weights, but must be above 0
    }


def _pattern(fields: Fields, depth: int) -> tuple[AttentionKind, ...]:
    name = fields.values.get("attention_pattern", "enc_dec_with_lyrics")
    if not isinstance(name, str) or name not in PATTERNS:
        raise fields.wrong("attention_pattern", f"one of {', '.join(PATTERNS)}")
    pattern = PATTERNS[name](depth)
    # a model too shallow for its first special layer equals plain factored attention: then the configurations are equal
    return FACTORED if all(kind is FACTORED[layer % 3] for layer, kind in enumerate(pattern)) else pattern


def _timing(model: Fields) -> TimingConfig:
    # min_duration 0, as in some files, shifts the bins of the total length: it must be kept as it is
    return TimingConfig(
        bins=model.whole("timing_dims", 64),
        min_seconds=model.number("min_duration", 0),
        max_seconds=model.number("max_duration", 600.0),
    )


def _conditioner(fields: Fields, level: Level, vqvae: VQVAEConfig) -> ConditionerConfig:
    index = TOP_DOWN.index(level)  # the port uses the entry of the prior's own number, counted from the top
    config = ConditionerConfig(
        width=fields.whole("res_conv_width", 128, most=2**14),
        depth=fields.whole("res_conv_depth", 3, most=64),
        downs=fields.wholes("res_downs_t", (3, 2, 2), count=len(Level), most=16)[index],
        stride=fields.wholes("res_strides_t", (2, 2, 2), count=len(Level), most=256)[index],
        growth=fields.whole("res_dilation_growth_rate", 1, most=64),
        cycle=_cycle(fields),
        scale_residuals=fields.flag("conv_res_scale", False),
        hidden_multiplier=fields.whole("res_convolution_multiplier", 1, most=64),
        codebook_size=vqvae.codebook_size,
    )
    # the conditioner must upsample by exactly the ratio of the codec's levels, or its output has another length
    if config.ratio != vqvae.ratio(level):
        raise BadModel(
            f"{fields.where}: res_downs_t[{index}] and res_strides_t[{index}] make {config.ratio} {level.label} codes "
            f"of one above, but the codec has {vqvae.ratio(level)}"
        )
    return config


def _lyrics(fields: Fields) -> LyricsConfig | None:
    # 0 lyric tokens: no lyrics. Otherwise `is_encoder_decoder` selects one stack (true) or a separate encoder (false),
    # contrary to what its name says
    characters = fields.whole("nb_relevant_lyric_tokens", 384, least=0)
    merged = fields.flag("is_encoder_decoder", True)
    if not characters:
        if merged:
            raise fields.wrong("nb_relevant_lyric_tokens", "over 0 where is_encoder_decoder is true")
        return None
    # defaults would describe an encoder of 2,048 x 72, which is in no file: better to name the missing key
    if not merged and fields.values.get("encoder_config") is None:
        raise BadModel(f"{fields.where}: encoder_config is missing, where there are lyrics beside the codes")
    encoder = fields.object("encoder_config")
    layer, head = _shown(fields)
    return LyricsConfig(
        characters=characters,
        alphabet=fields.whole("lyric_vocab_size", 80),
        encoder=None if merged else _made(encoder, lambda: _encoder(encoder)),
        loss_share=fields.number("encoder_loss_fraction", 0.4),
        drawable=merged,  # one stack: the head covers both vocabularies, and nothing masks the lyric part
        alignment_layer=layer,
        alignment_head=head,
    )


def _shown(fields: Fields) -> tuple[int | None, int]:
    """Return the layer and head whose attention follows the words; None if the model has no such layer."""
    # the defaults are those of 5b-lyrics, which files of smaller models may hold although they have no such layer
    layer = fields.whole("alignment_layer", 68, least=0)
    head = fields.whole("alignment_head", 2, least=0)
    depth, heads = fields.whole("num_layers", 72, most=DEEPEST), fields.whole("n_heads", 2)
    pattern = _pattern(fields, depth)
    shown = (AttentionKind.LYRICS, AttentionKind.ENCODER)
    if layer >= depth or head >= heads or pattern[layer % len(pattern)] not in shown:
        return None, 0
    return layer, head


def _encoder(fields: Fields) -> EncoderConfig:
    depth = fields.whole("num_layers", 72, most=DEEPEST)
    return EncoderConfig(
        width=fields.whole("hidden_size", 2_048, most=2**17),
        depth=depth,
        heads=fields.whole("n_heads", 2),
        blocks=fields.whole("blocks", 64),
        pattern=_pattern(fields, depth),
        **_stack(fields),
    )


def write_config(config: PortConfig) -> dict[str, Any]:
    """Return a config.json for the port. Raise BadModel if the port has no such model."""
    count = len(config.priors)
    # the port numbers priors from the top without gaps
    if set(config.priors) != set(TOP_DOWN[:count]):
        raise _unknown("a prior without the ones above it")
    # one number for all priors there; unused slots are empty, so the largest serves all
    if len({prior.genre_slots for prior in config.priors.values()}) > 1:
        slots = max(prior.genre_slots for prior in config.priors.values())
    else:
        slots = next((prior.genre_slots for prior in config.priors.values()), 1)
    top = config.priors.get(Level.TOP)  # absent from a codec alone, which is a model too
    if top is not None and top.timing is None:
        raise _unknown("a top prior without timing")
    timing = top.timing if top is not None and top.timing is not None else TimingConfig()
    fractions = [config.advance.get(level, default) for level, default in zip(TOP_DOWN, HOP_FRACTIONS, strict=True)]
    # `hop_fraction` is in two places of the port's own files
    return {
        "architectures": ["JukeboxModel"],
        "model_type": MODEL_TYPE,
        "sampling_rate": config.vqvae.sample_rate,
        "timing_dims": timing.bins,
        "min_duration": timing.min_seconds,
        "max_duration": timing.max_seconds,
        "max_nb_genres": slots,
        "metadata_conditioning": True,
        "hop_fraction": fractions,
        "nb_priors": count,
        "vqvae_config": {**_vqvae_values(config.vqvae), "hop_fraction": fractions},
        **{
            f"prior_{index}": _prior_values(config.priors[level], index, config.vqvae)
            for index, level in enumerate(TOP_DOWN[:count])
        },
    }


def _unknown(what: str) -> BadModel:
    return BadModel(f"the Hugging Face format has no model like this: it has no {what.removeprefix('a ')}")


def _vqvae_values(config: VQVAEConfig) -> dict[str, Any]:
    # the port scales widths and depths by common multipliers: find them from the depths, and check the widths
    unit = gcd(*config.depths)
    multipliers = [depth // unit for depth in config.depths]
    width = config.widths[0] // multipliers[0]
    if [width * one for one in multipliers] != list(config.widths):
        raise _unknown("codec whose widths are to each other otherwise than its depths")
    if not config.audio_head:
        raise _unknown("codec without a last convolution")
    if config.front_end != "waveform" or config.upsampling != "transposed":
        raise _unknown("codec with a log-mel front end or balanced upsampling")
    return {
        "model_type": "jukebox_vqvae",
        "act_fn": "relu",
        "levels": len(Level),
        "conv_input_shape": 1,
        "nb_discrete_codes": config.codebook_size,
        "embed_dim": config.latent_width,
        "res_downs_t": list(config.downs),
        "res_strides_t": list(config.strides),
        "multipliers": multipliers,
        "res_conv_width": width,
        "res_conv_depth": unit,
        **_convolutions(
            config.dilation_growth, config.dilation_cycle, config.hidden_multiplier, config.scale_residuals
        ),
    }


def _convolutions(growth: int, cycle: int | None, hidden: float, scaled: bool) -> dict[str, Any]:
    # ours may be fractions, as in small codecs; the port multiplies channels by a whole number
    if hidden != int(hidden):
        raise _unknown(f"convolutions whose inner width is {hidden} of the outer one: it must be a whole number of it")
    return {
        "res_dilation_growth_rate": growth,
        "res_dilation_cycle": cycle,
        "res_convolution_multiplier": int(hidden),
        "conv_res_scale": scaled,
    }


def _prior_values(config: PriorConfig, index: int, vqvae: VQVAEConfig) -> dict[str, Any]:
    conditioner, lyrics = config.conditioner, config.lyrics
    # what our own models have and the port has not is refused with a sentence each
    if lyrics and lyrics.apart:
        raise _unknown("prior that reads lyrics apart from the codes by the same blocks")
    if config.midi:
        raise _unknown("prior that follows notes")
    if config.beats:
        raise _unknown("prior that follows beats")
    if config.positions != "learned":
        raise _unknown(f"prior with {config.positions} positions")
    if config.scale_depth not in (None, config.depth) and config.scale_residuals:
        raise _unknown("prior whose blocks are scaled for fewer blocks than there are")
    if lyrics and not lyrics.encoder and not lyrics.drawable:
        raise _unknown("prior in one sequence with lyrics that draws no characters for codes")
    # all levels' values stand in each prior's part, and each conditioner's replaces the entry of its own number
    downs, strides = list(vqvae.downs), list(vqvae.strides)
    values: dict[str, Any] = {}
    if conditioner is not None:
        downs[index], strides[index] = conditioner.downs, conditioner.stride
        values = {
            "res_conv_width": conditioner.width,
            "res_conv_depth": conditioner.depth,
            **_convolutions(
                conditioner.growth, conditioner.cycle, conditioner.hidden_multiplier, conditioner.scale_residuals
            ),
        }
    elif index:
        raise _unknown("prior below the top that is not conditioned on the codes above")
    if lyrics is not None and lyrics.alignment_layer is not None:
        values |= {"alignment_layer": lyrics.alignment_layer, "alignment_head": lyrics.alignment_head}
    return {
        "model_type": "jukebox_prior",
        "level": index,  # from the top, unlike the numbers in original file names
        "music_vocab_size": config.codebook_size,
        "metadata_dims": [config.genres, config.artists],
        "n_ctx": config.context,
        "res_downs_t": downs,
        "res_strides_t": strides,
        "merged_decoder": not config.tied_head,
        # true for one stack, see `_lyrics`
        "is_encoder_decoder": lyrics is not None and lyrics.encoder is None,
        "nb_relevant_lyric_tokens": lyrics.characters if lyrics else 0,
        **({"lyric_vocab_size": lyrics.alphabet, "encoder_loss_fraction": lyrics.loss_share} if lyrics else {}),
        "encoder_config": _encoder_values(lyrics, config) if lyrics and lyrics.encoder else None,
        **_stack_values(config, config.stack),
        **values,
    }


def _encoder_values(lyrics: LyricsConfig, config: PriorConfig) -> dict[str, Any]:
    assert lyrics.encoder is not None
    # the encoder is a prior too in the port, of lyric tokens in place of codes
    return {
        "model_type": "jukebox_prior",
        "n_ctx": lyrics.characters,
        "nb_relevant_lyric_tokens": lyrics.characters,
        "lyric_vocab_size": lyrics.alphabet,
        "is_encoder_decoder": False,
        "merged_decoder": not config.tied_head,
        **_stack_values(lyrics.encoder, lyrics.encoder.stack(lyrics.characters)),
    }


def _stack_values(config: PriorConfig | EncoderConfig, stack: StackConfig) -> dict[str, Any]:
    return {
        "act_fn": "quick_gelu",
        "mask": True,  # causal; the port's default is not
        "hidden_size": config.width,
        "num_layers": config.depth,
        "n_heads": config.heads,
        "blocks": config.blocks,
        "attention_pattern": _named(stack.kinds),
        "attention_multiplier": config.attention_ratio,
        "mlp_multiplier": config.mlp_ratio,
        "attn_res_scale": config.scale_residuals,
        "init_scale": config.init_scale,
    }


def _named(kinds: Sequence[AttentionKind]) -> str:
    """Return the port's name of an order of attention layers."""
    for name, pattern in PATTERNS.items():
        order = pattern(len(kinds))
        if name != DENSE and all(kind is order[layer % len(order)] for layer, kind in enumerate(kinds)):
            return name  # never the dense one: it has a name, but constructing it fails in the port
    raise _unknown(f"prior with this order of attention: {', '.join(dict.fromkeys(map(str, kinds)))}")
