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
"""Codec of all published models: hops of 8, 32 and 128 samples at 44.1 kHz."""

# Both upsamplers are shared by all models. Their timing labels are stored in the files but not used: an upsampler is
# conditioned on artist, genre and the codes above, so these configurations have no `timing`.
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
# The middle upsampler scales the residuals of its conditioner; the bottom one does not. Nothing else differs.
MIDDLE = replace(
    BOTTOM,
    level=Level.MIDDLE,
    hop=CODEC.hop(Level.MIDDLE),
    conditioner=ConditionerConfig(width=1_024, depth=16, downs=2, growth=3, cycle=8, scale_residuals=True),
)

# One stack: 384 lyric tokens and 6,144 codes in one sequence with a merged vocabulary, whose head may therefore sample
# a lyric token in place of a code (`drawable`). It has its own set of names: one genre of 604, and 7,898 artists.
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
    # The minimum is just above one window of 17.83 s. A song must be longer than that, and shorter than 600 s.
    timing=TimingConfig(bins=64, min_seconds=17.84, max_seconds=600.0),
    lyrics=LyricsConfig(characters=384, alphabet=79, drawable=True, alignment_layer=63, alignment_head=0),
    pattern=in_one_sequence(72),
    init_scale=0.2,
)
# The 5B priors have the names of the upsamplers: 4,111 artists, and up to five words of 120 as a genre.
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
# The 72 layers of the 5B prior, and seven more that attend to the lyrics' encoder.
TOP_5B_LYRICS = replace(
    TOP_5B,
    depth=79,
    timing=TimingConfig(bins=128, min_seconds=23.8, max_seconds=600.0),
    lyrics=LyricsConfig(
        characters=512,
        alphabet=80,
        encoder=EncoderConfig(width=1_280, depth=18, heads=4, blocks=32, init_scale=0.7),
        # the head that follows the words, for karaoke subtitles; found by inspection when the model was published
        alignment_layer=68,
        alignment_head=2,
    ),
    pattern=with_encoder(79),
    tied_head=False,  # with an encoder, embedding and head are two tensors in the published file
)

TOPS: Mapping[str, PriorConfig] = {"1b-lyrics": TOP_1B_LYRICS, "5b-lyrics": TOP_5B_LYRICS, "5b": TOP_5B}
"""Top prior of each model, by the model's name. All models share codec and upsamplers.

Whether a head is tied to the embedding is determined from the weights of a file, whatever these configurations say.
"""

ADVANCE: Mapping[Level, float] = {Level.TOP: 0.125, Level.MIDDLE: 0.5, Level.BOTTOM: 0.5}
"""Advance of a window at release, as a fraction of the context; smaller at the top, where coherence matters most."""


def published_priors(name: str) -> dict[Level, PriorConfig]:
    """Return the priors of a published model."""
    return {Level.TOP: TOPS[name], Level.MIDDLE: MIDDLE, Level.BOTTOM: BOTTOM}


def published_as(priors: Mapping[Level, PriorConfig]) -> str | None:
    """Return the published model whose top prior has the size of these priors' top; None if there is none."""
    top = priors.get(Level.TOP)
    return next((name for name, one in TOPS.items() if top is not None and _size(top) == _size(one)), None)


def _size(config: PriorConfig) -> tuple[object, ...]:
    lyrics = config.lyrics
    return (
        *(config.context, config.width, config.depth, config.heads, config.blocks),
        *(config.codebook_size, config.artists, config.genres),
        (lyrics.characters, lyrics.alphabet, lyrics.encoder is None) if lyrics else None,
    )
