"""Sizes of models have limits, which every description of a model meets when it is read."""

import dataclasses
from pathlib import Path

import pytest

from jukectl.checkpoints.card import ModelCard, vqvae_config
from jukectl.checkpoints.configurations import CODEC, published_priors
from jukectl.codes.level import Level
from jukectl.errors import BadModel
from jukectl.nn.limits import check_dilations, check_number
from jukectl.prior.config import (
    AdapterConfig,
    AttentionKind,
    BeatConfig,
    ConditionerConfig,
    LyricsConfig,
    MidiConfig,
    PriorConfig,
)
from jukectl.vqvae.config import VQVAEConfig

PRIOR = {"level": Level.TOP, "context": 64, "width": 32, "depth": 3, "heads": 2, "blocks": 8, "hop": 128}
MAKERS = {
    VQVAEConfig: {},
    PriorConfig: PRIOR,
    ConditionerConfig: {"width": 8, "depth": 2, "downs": 2},
    MidiConfig: {},
    BeatConfig: {},
    AdapterConfig: {},
    LyricsConfig: {"characters": 8, "alphabet": 9},
}
HUGE = {int: 10**20, float: 1e308}
FREE = {"alignment_head", "mel_floor"}  # an index of a layer; a power, which is no size


@pytest.mark.parametrize("kind", MAKERS)
def test_no_size_of_a_model_is_without_a_limit(kind):
    for field in dataclasses.fields(kind):
        if field.type in HUGE and field.name not in FREE:
            with pytest.raises(ValueError, match=rf"{field.name}|width|context|blocks"):
                kind(**{**MAKERS[kind], field.name: HUGE[field.type]})


@pytest.mark.parametrize("name", ["downs", "strides", "widths", "depths"])
def test_no_list_of_sizes_is_without_a_limit(name):
    with pytest.raises(ValueError, match=r"at most|samples"):
        vqvae_config({name: [2, 2, 2 * 10**15]})
    with pytest.raises(ValueError, match="a code of"):
        VQVAEConfig(downs=(16, 16, 16))


def test_published_models_are_far_below_the_limits():
    for name in ("1b-lyrics", "5b-lyrics", "5b"):
        for config in published_priors(name).values():
            assert dataclasses.replace(
                config, width=4 * config.width, depth=4 * config.depth, pattern=(AttentionKind.ROW,)
            )
    assert dataclasses.replace(CODEC, widths=tuple(64 * one for one in CODEC.widths))


def test_dilations_end_before_they_leave_all_music():
    check_dilations(3, None, [8, 4])
    check_dilations(64, 4, [1_024])
    check_dilations(2, None, [25])
    with pytest.raises(ValueError, match="grows by 2 over 26 blocks"):
        check_dilations(2, None, [26])


@pytest.mark.parametrize("value", [True, "3", 1.5, None, [3], 0, -1, float("nan")])
def test_a_size_is_a_positive_whole_number(value):
    with pytest.raises(ValueError, match="width must be a positive integer"):
        check_number("width", value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hidden_multiplier = 1.0", "hidden_multiplier = 1e308", "hidden_multiplier must be at most 64"),
        ("width = 32", "width = 99999999999999999999", "width must be at most 131072"),
        ("width = 32", "width = 4000000000000000000", "width must be at most 131072"),
        ("depth = 3", "depth = 1000000000", "depth must be at most 1024"),
        ("depths = [2, 2, 2]", "depths = [2, 2, 1000000]", "depth must be at most 1024"),
        ("artists = 3", "artists = 1000000000000", "artists must be at most 1048576"),
        ("growth = 3", "growth = 64\ndepth = 1000", "depth"),
        ('name = "tiny"', "name = 3", "name must be text, got 3"),
        ("temperature = 0.98", "temperature = inf", "sampling.top.temperature must be a number"),
        ("temperature = 0.98", "temperature = [1]", "sampling.top.temperature must be a number"),
        ("tied_head = true", "tied_head = [1]", "tied_head must be true or false"),
        ("genre_slots = 2", "genre_slots = 2\nscale_depth = [1]", "scale_depth must be a single value"),
        ("[sampling.top]", "[sampling]", "sampling.temperature must be a table"),
        ("downs = [1, 1, 1]", 'downs = ["a", 1, 1]', "downs"),
        ("scale_residuals = false", "scale_residuals = 7", "scale_residuals must be true or false"),
    ],
)
def test_a_card_with_impossible_sizes_is_refused_in_one_line(old, new, message, tiny_model):
    text = (tiny_model / "model.toml").read_text()
    assert old in text
    with pytest.raises(BadModel, match="is not") as caught:
        ModelCard.parse(text.replace(old, new, 1), Path("model.toml"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
