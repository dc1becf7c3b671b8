"""Encoder and decoder of a level: lengths and receptive fields."""

import math
from dataclasses import replace

import pytest
import torch

from jukectl.codes.level import Level
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.convnet import Decoder, Encoder

levels = pytest.mark.parametrize("level", Level)


def all_paths_open(network):
    """Return the network with positive weights, so that no ReLU hides a path, in float64 for its far ends."""
    network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(0.5, 1.5).div_(max(1, parameter[0].numel()))
    return network


@levels
def test_encoder_and_decoder_change_lengths_by_the_hop(config, level):
    encoder, decoder = Encoder(config, level), Decoder(config, level)
    for frames in (1, 2, 7):
        latents = encoder(torch.randn(2, frames * config.hop(level)))
        assert latents.shape == (2, frames, config.latent_width)
        assert decoder(latents).shape == (2, frames * config.hop(level))


@levels
def test_the_encoders_reach_is_sufficient_and_tight(config, level):
    encoder, hop = all_paths_open(Encoder(config, level)), config.hop(level)
    frame = encoder.reach + 2
    audio = torch.rand(1, (2 * frame + 1) * hop, dtype=torch.float64, requires_grad=True)
    encoder(audio)[0, frame].sum().backward()

    seen = audio.grad[0].nonzero().flatten()
    before = math.ceil((frame * hop - seen.min().item()) / hop)
    after = math.ceil((seen.max().item() + 1) / hop) - (frame + 1)
    assert encoder.reach - 2 <= max(before, after) <= encoder.reach


@levels
def test_the_decoders_reach_is_sufficient_and_tight(config, level):
    decoder, hop = all_paths_open(Decoder(config, level)), config.hop(level)
    frame = decoder.reach + 2
    latents = torch.rand(1, 2 * frame + 1, config.latent_width, dtype=torch.float64, requires_grad=True)
    decoder(latents)[0, frame * hop : (frame + 1) * hop].sum().backward()

    seen = latents.grad[0].any(dim=-1).nonzero().flatten()
    before, after = frame - seen.min().item(), seen.max().item() - frame
    assert decoder.reach - 2 <= max(before, after) <= decoder.reach


@levels
@pytest.mark.parametrize("network", [Encoder, Decoder])
def test_scaled_residuals_equal_plain_ones_with_scaled_weights(network, level):
    config = VQVAEConfig(widths=(4, 4, 4), latent_width=4, depths=(8, 4, 4), downs=(1, 1, 1), scale_residuals=True)
    scaled, plain = network(config, level), network(replace(config, scale_residuals=False), level)
    weights = {name: torch.randn_like(tensor) for name, tensor in scaled.state_dict().items()}
    scaled.load_state_dict(weights)
    branches = {name for name in weights if ".stacks." in name and ".project." in name}
    smaller = {name: tensor / math.sqrt(config.depths[level]) for name, tensor in weights.items() if name in branches}
    plain.load_state_dict(weights | smaller)
    signal = torch.randn(2, 4 * config.hop(level)) if network is Encoder else torch.randn(2, 4, config.latent_width)
    torch.testing.assert_close(scaled(signal), plain(signal), rtol=1e-4, atol=1e-4)
    plain.load_state_dict(weights)
    assert not torch.allclose(scaled(signal), plain(signal))
