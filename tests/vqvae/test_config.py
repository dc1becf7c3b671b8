"""The shape of a VQ-VAE."""

import pytest

from jukectl.codes.level import Level
from jukectl.vqvae.config import VQVAEConfig


def test_the_defaults_are_the_published_model():
    config = VQVAEConfig()
    assert [config.hop(level) for level in Level] == [8, 32, 128]
    assert [config.ratio(level) for level in Level] == [4, 4, 1]
    assert [config.codes_per_second(level) for level in Level] == [5512.5, 1378.125, 344.53125]
    assert (config.sample_rate, config.codebook_size, config.latent_width) == (44_100, 2_048, 64)


@pytest.mark.parametrize(
    ("downs", "strides", "hops"),
    [
        ((3, 2, 2), (2, 2, 2), [8, 32, 128]),
        ((1, 1, 1), (16, 4, 4), [16, 64, 256]),
        ((2, 1, 3), (4, 6, 2), [16, 96, 768]),
    ],
)
def test_a_hop_is_the_product_of_the_strides_up_to_its_level(downs, strides, hops):
    config = VQVAEConfig(downs=downs, strides=strides)
    assert [config.hop(level) for level in Level] == hops
    for level in (Level.BOTTOM, Level.MIDDLE):
        assert config.hop(level) * config.ratio(level) == config.hop(level.above)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("downs", (1, 1)),
        ("widths", (4, 0, 4)),
        ("strides", (3, 2, 2)),
        ("codebook_size", 1),
        ("codebook_size", 65_537),
        ("sample_rate", 0),
        ("latent_width", -1),
        ("dilation_cycle", 0),
        ("hidden_multiplier", 0.0),
    ],
)
def test_a_mistake_is_named_with_its_field_and_value(field, value):
    with pytest.raises(ValueError, match=field) as caught:
        VQVAEConfig(**{field: value})
    assert str(value).strip("()").split(",")[0] in str(caught.value)


def test_a_codebook_may_be_left_out():
    assert VQVAEConfig(codebook_size=0).codebook_size == 0
