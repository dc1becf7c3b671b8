"""The configurations of the published models."""

from collections.abc import Mapping
from dataclasses import replace

from jukectl.codes.level import Level
from jukectl.prior.config import (
    ConditionerConfig,
    EncoderConfig,
    LyricsConfig,
    PriorConfig,
    TimingConfig,
    in_one_sequence,
    with_encoder,
)
from jukectl.vqvae.config import VQVAEConfig

CODEC = VQVAEConfig()
"""The codec of all of them."""

BOTTOM = PriorConfig(
    level=Level.BOTTOM,
    context=8_192,
    width=1_920,
    depth=72,
    heads=1,
    blocks=128,
    hop=CODEC.hop(Level.BOTTOM),
    artists=4_111,
    genres=120,
    genre_slots=5,
    conditioner=ConditionerConfig(width=1_024, depth=16, downs=2, growth=3, cycle=8),
    init_scale=0.4,
)
MIDDLE = replace(
    BOTTOM,
    level=Level.MIDDLE,
    hop=CODEC.hop(Level.MIDDLE),
    conditioner=ConditionerConfig(width=1_024, depth=16, downs=2, growth=3, cycle=8, scale_residuals=True),
)

TOP_1B_LYRICS = PriorConfig(
    level=Level.TOP,
    context=6_144,
    width=2_048,
    depth=72,
    heads=2,
    blocks=64,
    hop=CODEC.hop(Level.TOP),
    artists=7_898,
    genres=604,
    genre_slots=1,
    timing=TimingConfig(bins=64, min_seconds=17.84, max_seconds=600.0),
    lyrics=LyricsConfig(characters=384, alphabet=79, drawable=True, alignment_layer=63, alignment_head=0),
    pattern=in_one_sequence(72),
    init_scale=0.2,
)
TOP_5B = PriorConfig(
    level=Level.TOP,
    context=8_192,
    width=4_800,
    depth=72,
    heads=8,
    blocks=128,
    hop=CODEC.hop(Level.TOP),
    artists=4_111,
    genres=120,
    genre_slots=5,
    timing=TimingConfig(bins=128, min_seconds=60.0, max_seconds=600.0),
    init_scale=0.1,
)
TOP_5B_LYRICS = replace(
    TOP_5B,
    depth=79,
    timing=TimingConfig(bins=128, min_seconds=23.8, max_seconds=600.0),
    lyrics=LyricsConfig(
        characters=512,
        alphabet=80,
        encoder=EncoderConfig(width=1_280, depth=18, heads=4, blocks=32, init_scale=0.7),
        alignment_layer=68,
        alignment_head=2,
    ),
    pattern=with_encoder(79),
    tied_head=False,
)

TOPS: Mapping[str, PriorConfig] = {"1b-lyrics": TOP_1B_LYRICS, "5b-lyrics": TOP_5B_LYRICS, "5b": TOP_5B}
"""The top prior of each model, by the model's name. All share codec and upsamplers.

Whether a top prior's head is tied to its embedding is seen from its weights, whatever is said here.
"""

ADVANCE: Mapping[Level, float] = {Level.TOP: 0.125, Level.MIDDLE: 0.5, Level.BOTTOM: 0.5}
"""How far a window moves on, in contexts, as it was at release."""


def published_priors(name: str) -> dict[Level, PriorConfig]:
    """The priors of a published model."""
    return {Level.TOP: TOPS[name], Level.MIDDLE: MIDDLE, Level.BOTTOM: BOTTOM}


def published_as(priors: Mapping[Level, PriorConfig]) -> str | None:
    """The published model whose top prior is of the same size as that of these; None where none is."""
    top = priors.get(Level.TOP)
    return next((name for name, one in TOPS.items() if top is not None and _size(top) == _size(one)), None)


def _size(config: PriorConfig) -> tuple[object, ...]:
    lyrics = config.lyrics
    return (
        *(config.context, config.width, config.depth, config.heads, config.blocks),
        *(config.codebook_size, config.artists, config.genres),
        (lyrics.characters, lyrics.alphabet, lyrics.encoder is None) if lyrics else None,
    )
