"""Configurations of a VQ-VAE."""

import pytest

from jukectl.checkpoints.card import vqvae_config
from jukectl.codes.level import Level
from jukectl.vqvae.config import VQVAEConfig


def test_vqvae_defaults_are_the_published_codec():
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
def test_an_invalid_vqvae_field_is_named_with_its_value(field, value):
    with pytest.raises(ValueError, match=field) as caught:
        VQVAEConfig(**{field: value})
    assert str(value).strip("()").split(",")[0] in str(caught.value)


def test_a_vqvae_may_have_no_codebook():
    assert VQVAEConfig(codebook_size=0).codebook_size == 0


def test_a_codec_without_variants_keeps_the_old_file_format():
    assert set(VQVAEConfig().to_dict()) == {
        "sample_rate", "downs", "strides", "codebook_size", "latent_width", "widths", "depths", "dilation_growth",
        "hidden_multiplier", "scale_residuals", "audio_head",
    }  # fmt: skip


def test_a_log_mel_codec_reads_back_unchanged():
    config = VQVAEConfig(strides=(16, 4, 8), downs=(1, 1, 1), front_end="log_mel", mel_spacing=0.02)
    written = config.to_dict()
    assert (written["front_end"], written["mel_spacing"]) == ("log_mel", 0.02)
    assert vqvae_config(written) == config
    assert [config.is_log_mel(level) for level in Level] == [False, False, True]


@pytest.mark.parametrize(
    ("field", "value"),
    [("front_end", "cepstrum"), ("upsampling", "nearest"), ("mel_hop", 192), ("mel_window", 1_000), ("mel_floor", 0.0)],
)
def test_a_mistake_in_a_variant_is_named_too(field, value):
    with pytest.raises(ValueError, match=field):
        VQVAEConfig(**{"strides": (16, 4, 8), "downs": (1, 1, 1), "front_end": "log_mel", field: value})
