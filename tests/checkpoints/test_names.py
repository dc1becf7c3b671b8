"""Names of tensors in the other formats."""

import pytest
from foreign_models import CODEC, ENCODED, LOWER, MERGED

from jukectl.checkpoints.layout import shapes_of
from jukectl.checkpoints.names import originals_of_prior, originals_of_vqvae, port_of_prior, port_of_vqvae
from jukectl.codes.level import Level


@pytest.mark.parametrize("config", [ENCODED, MERGED, *LOWER.values()])
def test_every_tensor_of_a_prior_has_a_unique_name_in_each_format(config):
    ours = shapes_of(config)
    assert len({port_of_prior(name) for name in ours}) == len(ours)
    theirs = [other for name in ours for other in originals_of_prior(name)]
    assert len(set(theirs)) == len(theirs) >= len(ours)


def test_every_tensor_of_a_codec_has_a_unique_name_in_each_format():
    ours = shapes_of(CODEC)
    assert len(set(map(port_of_vqvae(CODEC), ours))) == len(ours)
    theirs = [other for name in ours for other in originals_of_vqvae(CODEC)(name)]
    assert len(set(theirs)) == len(theirs) >= len(ours)


@pytest.mark.parametrize(
    ("ours", "port", "original"),
    [
        ("codes.weight", "prior.embed_tokens.weight", "prior.x_emb.weight"),
        (
            "transformer.blocks.18.attention.kv.bias",
            "prior.transformer._attn_mods.18.attn.c_enc_kv.bias",
            "prior.transformer._attn_mods.18.attn.c_enc_kv.b",
        ),
        (
            "place.upsample.stacks.1.blocks.15.project.weight",
            "conditioner_blocks.upsampler.upsample_block.2.resnet_block.15.conv1d_2.weight",
            "conditioner_blocks.0.cond.model.2.0.model.15.model.3.weight",
        ),
        (
            "place.upsample.ups.1.bias",
            "conditioner_blocks.upsampler.upsample_block.3.bias",
            "conditioner_blocks.0.cond.model.2.1.bias",
        ),
        ("lyrics.project.weight", "encoder.proj_in.weight", "prime_state_proj.w"),
    ],
)
def test_names_of_prior_tensors_are_the_published_ones(ours, port, original):
    assert port_of_prior(ours) == port
    assert originals_of_prior(ours)[0] == original


@pytest.mark.parametrize(
    ("rest", "port", "original"),
    [
        (
            "encoder.blocks.2.project.bias",
            "encoders.2.level_blocks.2.proj_out.bias",
            "encoders.2.level_blocks.2.model.1.bias",
        ),
        (
            "encoder.blocks.0.project.bias",  # after two strided convolutions, not one
            "encoders.2.level_blocks.0.proj_out.bias",
            "encoders.2.level_blocks.0.model.2.bias",
        ),
        (
            "decoder.blocks.2.stacks.1.blocks.3.dilated.weight",  # ours from the top down
            "decoders.2.level_blocks.0.upsample_block.2.resnet_block.3.conv1d_1.weight",
            "decoders.2.level_blocks.0.model.2.0.model.3.model.1.weight",
        ),
        ("codebook.vectors", "bottleneck.level_blocks.2.codebook", "bottleneck.level_blocks.2.k"),
    ],
)
def test_names_of_codec_tensors_are_the_published_ones(rest, port, original):
    ours = f"levels.{Level.TOP.label}.{rest}"
    assert port_of_vqvae(CODEC)(ours) == port
    assert originals_of_vqvae(CODEC)(ours)[0] == original


def test_a_tensor_without_a_foreign_name_is_an_error():
    with pytest.raises(KeyError, match=r"artist_genre\.mood has no other name"):
        port_of_prior("artist_genre.mood")
