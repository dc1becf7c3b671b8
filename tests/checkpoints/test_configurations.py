"""Configurations of the published models."""

from math import prod

import pytest

from jukectl.checkpoints.configurations import BOTTOM, CODEC, MIDDLE, TOPS, published_as, published_priors
from jukectl.checkpoints.layout import shapes_of
from jukectl.codes.level import Level
from jukectl.prior.config import AttentionKind


def numbers(config):
    return sum(map(prod, shapes_of(config).values()))


SIZES = {"1b-lyrics": 942_643_200, "5b-lyrics": 5_640_506_800, "5b": 5_050_622_400}


@pytest.mark.parametrize("name", TOPS)
def test_published_configurations_have_the_published_numbers_of_parameters(name):
    parts = {"vqvae": CODEC, **{level.label: config for level, config in published_priors(name).items()}}
    assert {part: numbers(config) for part, config in parts.items()} == {
        "vqvae": 1_878_979,
        "top": SIZES[name],
        "middle": 981_298_176,
        "bottom": 981_298_176,
    }


def test_published_configurations_have_the_published_windows_and_rates():
    assert [CODEC.hop(level) for level in Level] == [8, 32, 128]
    assert [config.hop for config in (BOTTOM, MIDDLE)] == [8, 32]
    for top in TOPS.values():
        shortest = top.window_samples / top.sample_rate
        assert 0 < top.timing.min_seconds - shortest < 40  # just above one window, but for 5b
        assert (top.hop, top.sample_rate, top.timing.max_seconds) == (128, 44_100, 600)
    assert [config.conditioner.scale_residuals for config in (MIDDLE, BOTTOM)] == [True, False]


def test_published_alignment_layers_attend_to_lyrics():
    for name, kind in (("1b-lyrics", AttentionKind.LYRICS), ("5b-lyrics", AttentionKind.ENCODER)):
        top = TOPS[name]
        assert top.kinds[top.lyrics.alignment_layer] is kind
        assert top.lyrics.alignment_head < top.heads
    assert TOPS["1b-lyrics"].stack.lyric_keys == 448


@pytest.mark.parametrize("name", TOPS)
def test_a_published_model_is_recognized_by_its_sizes(name):
    assert published_as(published_priors(name)) == name
    assert published_as({Level.BOTTOM: BOTTOM}) is None
