"""One autoencoder of all levels: what each of them is made of, and what may be left out."""

import pytest
import torch

from jukectl.codes.level import Level
from jukectl.vqvae.codebook import CodebookLearner
from jukectl.vqvae.hierarchical import HierarchicalVQVAE


@pytest.fixture
def hierarchy(config) -> HierarchicalVQVAE:
    """One in which every layer and every vector has a say."""
    model = HierarchicalVQVAE(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():  # residual branches begin at zero
                parameter.normal_(std=0.2)
        for level, result in model(torch.randn(2, 32 * config.hop(Level.TOP)), quantize=False).items():
            codebook = model.codebook(level)
            CodebookLearner(codebook).start(codebook, result.latents, torch.Generator().manual_seed(0))
    return model


@pytest.fixture
def audio(config):
    return torch.randn(2, 4 * config.hop(Level.TOP))


def test_every_level_has_codes_at_its_hop_and_all_share_one_audio(hierarchy, audio):
    results = hierarchy(audio)
    config = hierarchy.config
    for level, result in results.items():
        frames = audio.shape[1] // config.hop(level)
        assert result.codes.shape == (2, frames)
        assert result.latents.shape == result.quantized.shape == (2, frames, config.latent_width)
        assert torch.equal(result.quantized, hierarchy.codebook(level).vectors[result.codes])
        assert result.audio is results[Level.BOTTOM].audio
    assert results[Level.BOTTOM].audio.shape == audio.shape


def test_decoding_all_codes_is_the_second_half_of_a_pass(hierarchy, audio):
    results = hierarchy(audio)
    decoded = hierarchy.decode({level: result.codes for level, result in results.items()})
    torch.testing.assert_close(decoded, results[Level.BOTTOM].audio)


def test_the_top_alone_sounds_the_same_whatever_the_lower_codes_are(hierarchy, audio):
    codes = {level: result.codes for level, result in hierarchy(audio).items()}
    alone = hierarchy.decode({Level.TOP: codes[Level.TOP]})
    assert alone.shape == audio.shape
    for level in (Level.BOTTOM, Level.MIDDLE):
        hierarchy.codebook(level).vectors.normal_()  # nor what they stand for
    assert torch.equal(hierarchy.decode({Level.TOP: codes[Level.TOP]}), alone)
    assert not torch.allclose(hierarchy.decode(codes), alone)


def test_lower_codes_are_of_what_the_codes_above_left(hierarchy, audio):
    """Other top vectors change the latents below them, and nothing below changes those above."""
    before = hierarchy(audio)
    hierarchy.codebook(Level.TOP).vectors.normal_()
    after = hierarchy(audio)
    assert torch.equal(before[Level.TOP].latents, after[Level.TOP].latents)
    for level in (Level.BOTTOM, Level.MIDDLE):
        assert not torch.allclose(before[level].latents, after[level].latents)

    hierarchy.codebook(Level.BOTTOM).vectors.normal_()
    again = hierarchy(audio)
    for level in Level:
        assert torch.equal(after[level].latents, again[level].latents)


def test_one_loss_moves_every_part(hierarchy, audio):
    hierarchy(audio)[Level.BOTTOM].audio.square().sum().backward()
    parts = {tuple(name.split(".")[:2]) for name, _ in hierarchy.named_parameters()}
    moved = {tuple(name.split(".")[:2]) for name, one in hierarchy.named_parameters() if one.grad.any()}
    assert moved == parts


def test_without_codebooks_latents_go_on_as_they_are(hierarchy, audio):
    for result in hierarchy(audio, quantize=False).values():
        assert torch.equal(result.latents, result.quantized)
        assert result.codes.shape == (2, 0)
