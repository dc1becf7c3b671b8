"""The hierarchical autoencoder: dependencies between its levels, and decoding without the lower codes."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from jukectl.codes.level import Level
from jukectl.vqvae.codebook import CodebookLearner
from jukectl.vqvae.config import VQVAEConfig

CONFIG = VQVAEConfig(widths=(4, 4, 4), latent_width=4, codebook_size=16)  # the published shape, with tiny widths


@pytest.fixture
def hierarchy(script: Callable[[str], ModuleType]) -> Any:
    """A model in which every layer and every code changes the output."""
    torch.manual_seed(0)
    model = script("hierarchical").HierarchicalVQVAE(CONFIG)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():  # residual branches are initialised to zero
                parameter.normal_(std=0.2)
        noise = torch.randn(2, 32 * CONFIG.hop(Level.TOP))
        for level, result in model(noise, quantize=False).items():
            codebook = model.codebook(level)
            CodebookLearner(codebook).start(codebook, result.latents, torch.Generator().manual_seed(0))
    return model


@pytest.fixture
def audio() -> Tensor:
    return torch.randn(2, 4 * CONFIG.hop(Level.TOP))


def test_hierarchical_levels_have_codes_at_their_hops_and_share_one_audio(hierarchy, audio):
    results = hierarchy(audio)
    for level, result in results.items():
        frames = audio.shape[1] // CONFIG.hop(level)
        assert result.codes.shape == (2, frames)
        assert result.latents.shape == result.quantized.shape == (2, frames, CONFIG.latent_width)
        assert torch.equal(result.quantized, hierarchy.codebook(level).vectors[result.codes])
        assert result.audio is results[Level.BOTTOM].audio
    assert results[Level.BOTTOM].audio.shape == audio.shape


def test_decoding_all_hierarchical_codes_equals_the_forward_pass(hierarchy, audio):
    results = hierarchy(audio)
    decoded = hierarchy.decode({level: result.codes for level, result in results.items()})
    torch.testing.assert_close(decoded, results[Level.BOTTOM].audio)


def test_decoding_top_codes_alone_ignores_the_lower_codebooks(hierarchy, audio):
    codes = {level: result.codes for level, result in hierarchy(audio).items()}
    alone = hierarchy.decode({Level.TOP: codes[Level.TOP]})
    assert alone.shape == audio.shape
    for level in (Level.BOTTOM, Level.MIDDLE):
        hierarchy.codebook(level).vectors.normal_()
    assert torch.equal(hierarchy.decode({Level.TOP: codes[Level.TOP]}), alone)
    assert not torch.allclose(hierarchy.decode(codes), alone)


def test_latents_depend_on_upper_codebooks_and_never_on_lower_ones(hierarchy, audio):
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


def test_one_loss_has_gradients_in_every_part_of_the_hierarchy(hierarchy, audio):
    hierarchy(audio)[Level.BOTTOM].audio.square().sum().backward()
    parts = {tuple(name.split(".")[:2]) for name, _ in hierarchy.named_parameters()}
    moved = {tuple(name.split(".")[:2]) for name, one in hierarchy.named_parameters() if one.grad.any()}
    assert moved == parts


def test_without_codebooks_the_latents_are_passed_on_unchanged(hierarchy, audio):
    for result in hierarchy(audio, quantize=False).values():
        assert torch.equal(result.latents, result.quantized)
        assert result.codes.shape == (2, 0)
