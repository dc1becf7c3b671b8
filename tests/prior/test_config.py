import tomllib
from dataclasses import replace
from typing import Any

import pytest
import tomlkit

from jukectl.codes.level import Level
from jukectl.errors import UnknownName
from jukectl.prior.config import (
    FACTORED,
    AttentionKind,
    BeatConfig,
    ConditionerConfig,
    LyricsConfig,
    PriorConfig,
    TimingConfig,
    in_one_sequence,
    with_encoder,
)


def test_a_config_goes_through_toml_unchanged(
    top: PriorConfig, upsampler: PriorConfig, encoded: PriorConfig, published_merged: PriorConfig
) -> None:
    for config in (
        top,
        upsampler,
        encoded,
        published_merged,
        replace(top, pattern=(AttentionKind.DENSE,), tied_head=False),
        replace(
            top, pattern=(AttentionKind.DENSE, AttentionKind.WINDOW), window=8, positions="rotary", beats=BeatConfig()
        ),
    ):
        written = tomlkit.dumps(config.to_dict())
        assert PriorConfig.from_dict(tomllib.loads(written)) == config


def test_a_config_with_learned_positions_is_written_as_before_there_were_others(top: PriorConfig) -> None:
    assert {"positions", "window"}.isdisjoint(top.to_dict())


def test_the_pattern_starts_over_until_the_depth_is_reached(top: PriorConfig) -> None:
    assert replace(top, depth=5).kinds == (*FACTORED, *FACTORED[:2])


def test_the_published_orders_are_those_of_the_lyrics_models() -> None:
    """Order 10 is (1,2,3)x3 and then seven times ((1,2,3)x3, 6); order 12 has 7, 7, 0 in turn at every 16th layer."""
    numbers = {0: "dense", 1: "row", 2: "column", 3: "previous_row", 6: "encoder", 7: "lyrics"}
    ten = [1, 2, 3] * 3 + ([1, 2, 3] * 3 + [6]) * 7
    assert [str(kind) for kind in with_encoder(79)] == [numbers[number] for number in ten]
    twelve = [(7, 7, 0)[depth % 3] if depth % 16 == 15 else (1, 2, 3)[depth % 3] for depth in range(72)]
    assert [str(kind) for kind in in_one_sequence(72)] == [numbers[number] for number in twelve]


def test_attention_to_lyrics_sees_448_keys_in_the_published_model(merged: PriorConfig) -> None:
    lyrics = replace(merged.lyrics, characters=384)
    assert replace(merged, context=6144, blocks=64, lyrics=lyrics).stack.lyric_keys == 448


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"pattern": (AttentionKind.LYRICS,)}, "lyrics in one sequence"),
        ({"positions": "sinusoidal"}, "one of learned, rotary, got 'sinusoidal'"),
        ({"positions": "rotary", "attention_ratio": 10 / 64}, "even width, got 10 for 2 heads"),
        ({"pattern": (AttentionKind.WINDOW,)}, "go together"),
        ({"window": 8}, "go together"),
        ({"window": 0}, "window must be a positive integer"),
        ({"pattern": (AttentionKind.ENCODER,), "lyrics": LyricsConfig(characters=6, alphabet=9)}, "an encoder"),
        ({"lyrics": LyricsConfig(characters=9, alphabet=9)}, "multiple of blocks, got 9 characters"),
        (
            {"pattern": (AttentionKind.LYRICS,), "lyrics": LyricsConfig(characters=9, alphabet=9, apart=True)},
            "lyrics in one sequence",
        ),
        ({"lyrics": LyricsConfig(characters=9, alphabet=9, apart=True)}, "the pattern has none"),
        ({"scale_depth": 0}, "scale_depth"),
    ],
)
def test_attention_needs_the_lyrics_it_attends_to(changes: dict[str, Any], named: str, top: PriorConfig) -> None:
    with pytest.raises(ValueError, match=named):
        replace(top, **changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"characters": 0}, "characters"),
        ({"alphabet": 1.5}, "alphabet"),
        ({"loss_share": -0.1}, "loss_share"),
        ({"characters": 8}, "multiple of the encoder's blocks"),
        ({"drawable": True}, "drawable"),
        ({"apart": True}, "apart"),
        ({"apart": True, "encoder": None, "drawable": True}, "apart"),
    ],
)
def test_a_lyrics_config_that_cannot_be_built_names_what_is_wrong(
    changes: dict[str, Any], named: str, encoded: PriorConfig
) -> None:
    with pytest.raises(ValueError, match=named):
        replace(encoded.lyrics, **changes)


def test_an_encoder_attends_to_characters_alone(encoded: PriorConfig) -> None:
    with pytest.raises(ValueError, match="pattern"):
        replace(encoded.lyrics.encoder, pattern=(AttentionKind.ENCODER,))
    with pytest.raises(ValueError, match="heads cannot share"):
        replace(encoded.lyrics.encoder, heads=3)


@pytest.mark.parametrize(
    ("changes", "inner"),
    [  # PUBLISHED_MODELS.md: width, heads, blocks and context of the upsamplers, 5b and 1b
        ({"context": 8192, "width": 1920, "depth": 72, "heads": 1, "blocks": 128, "artists": 4111, "genres": 120}, 480),
        ({"context": 8192, "width": 4800, "depth": 79, "heads": 8, "blocks": 128, "genre_slots": 5}, 1200),
        ({"context": 6144, "width": 2048, "depth": 72, "heads": 2, "blocks": 64, "artists": 7898, "genres": 604}, 512),
    ],
)
def test_published_sizes_can_be_configured(changes: dict[str, Any], inner: int, top: PriorConfig) -> None:
    config = replace(top, **changes, timing=TimingConfig(bins=128, min_seconds=23.8))
    assert config.attention_width == inner
    assert config.mlp_width == config.width
    assert config.block * config.blocks == config.context


def test_the_published_conditioner_brings_four_codes_for_one(upsampler: PriorConfig) -> None:
    conditioner = ConditionerConfig(width=1024, depth=16, downs=2, stride=2, growth=3, cycle=8, scale_residuals=True)
    assert conditioner.ratio == 4
    assert replace(upsampler, context=8192, blocks=128, conditioner=conditioner).upper_context == 2048


def test_a_window_is_as_long_as_its_codes(top: PriorConfig) -> None:
    assert replace(top, context=8192, blocks=128, hop=128).window_samples == 1_048_576  # 23.777 s at 44.1 kHz


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"width": 0}, "width"),
        ({"depth": -1}, "depth"),
        ({"context": 24.0}, "context"),
        ({"heads": True}, "heads"),
        ({"codebook_size": "2048"}, "codebook_size"),
        ({"blocks": 5}, "multiple of blocks"),
        ({"heads": 3}, "3 heads cannot share"),
        ({"attention_ratio": 0.01}, "attention_ratio"),
        ({"pattern": ()}, "pattern"),
        ({"conditioner": ConditionerConfig(width=8, depth=1, downs=1)}, "not both"),
        ({"timing": None, "conditioner": ConditionerConfig(width=8, depth=1, downs=4)}, "ratio 16"),
    ],
)
def test_a_config_that_cannot_be_built_names_what_is_wrong(
    changes: dict[str, Any], named: str, top: PriorConfig
) -> None:
    with pytest.raises(ValueError, match=named):
        replace(top, **changes)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 10.0), (10.0, 10.0), (0.0, 0.0)])
def test_timing_needs_a_span_of_lengths(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="_seconds"):
        TimingConfig(min_seconds=low, max_seconds=high)


def test_an_odd_stride_is_refused() -> None:
    with pytest.raises(ValueError, match="stride must be even"):
        ConditionerConfig(width=8, depth=1, downs=1, stride=3)


def test_a_dict_with_an_unknown_or_missing_field_is_refused_by_name(top: PriorConfig) -> None:
    values = top.to_dict()
    with pytest.raises(ValueError, match="no field n_ctx"):
        PriorConfig.from_dict(values | {"n_ctx": 3})
    with pytest.raises(ValueError, match="width"):
        PriorConfig.from_dict({name: value for name, value in values.items() if name != "width"})
    with pytest.raises(ValueError, match="sideways"):
        PriorConfig.from_dict(values | {"pattern": ["sideways"]})
    with pytest.raises(UnknownName, match="attic"):
        PriorConfig.from_dict(values | {"level": "attic"})


def test_the_level_is_kept_by_name(top: PriorConfig) -> None:
    assert top.to_dict()["level"] == "top"
    assert PriorConfig.from_dict(top.to_dict()).level is Level.TOP
