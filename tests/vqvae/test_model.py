"""The VQ-VAE: three independent autoencoders."""

from dataclasses import replace

import pytest
import torch

from jukectl.codes.level import Level
from jukectl.vqvae.log_mel import LogMelDecoder
from jukectl.vqvae.loss import Scale, terms
from jukectl.vqvae.model import VQVAE

levels = pytest.mark.parametrize("level", Level)


@levels
def test_decoding_the_codes_of_audio_keeps_its_length(vqvae, level):
    batch, samples = 3, 3 * vqvae.config.hop(Level.TOP)
    codes = vqvae.encode(torch.randn(batch, samples), level)

    assert codes.shape == (batch, samples // vqvae.config.hop(level))
    assert codes.dtype == torch.int64
    assert 0 <= codes.min() <= codes.max() < vqvae.config.codebook_size
    assert vqvae.decode(codes, level).shape == (batch, samples)


def output(result):
    """What a forward pass ends with: audio, or the spectra of a log-mel level."""
    return result.audio if result.spectra is None else result.spectra


def decoded(autoencoder, latents):
    """The same of a decoder."""
    decoder = autoencoder.decoder
    return decoder.spectra(latents) if isinstance(decoder, LogMelDecoder) else decoder(latents)


@levels
def test_the_forward_pass_is_encoding_and_decoding(vqvae, level):
    audio = torch.randn(2, 2 * vqvae.config.hop(Level.TOP))
    result = vqvae.autoencoder(level)(audio)

    assert torch.equal(result.codes, vqvae.encode(audio, level))
    torch.testing.assert_close(output(result), decoded(vqvae.autoencoder(level), result.quantized))
    vectors = vqvae.autoencoder(level).codebook.vectors[result.codes]  # (B, T, D)
    stages = vqvae.config.stages(level)
    torch.testing.assert_close(result.quantized, vectors.unflatten(1, (-1, stages)).sum(2))


def test_without_quantization_latents_go_straight_to_the_decoder(vqvae):
    autoencoder = vqvae.autoencoder(Level.MIDDLE)
    audio = torch.randn(2, 2 * vqvae.config.hop(Level.TOP))
    result = autoencoder(audio, quantize=False)

    torch.testing.assert_close(output(result), decoded(autoencoder, autoencoder.encoder(audio)))
    assert result.codes.shape == (2, 0)
    assert torch.equal(result.latents, result.quantized)


def test_gradients_pass_the_codebook_straight_through(vqvae):
    autoencoder = vqvae.autoencoder(Level.BOTTOM)
    audio = torch.randn(2, 4 * vqvae.config.hop(Level.TOP))
    target = torch.randn_like(output(autoencoder(audio)))

    latents = autoencoder.encoder(audio)
    vectors = autoencoder.codebook.decode(autoencoder.codebook.encode(latents)).requires_grad_()
    (at_the_vectors,) = torch.autograd.grad((decoded(autoencoder, vectors) - target).square().sum(), vectors)
    weights = list(autoencoder.encoder.parameters())
    expected = torch.autograd.grad(latents, weights, at_the_vectors)  # as if the latents had been the vectors

    found = torch.autograd.grad((output(autoencoder(audio)) - target).square().sum(), weights)
    assert any(gradient.abs().max() > 1e-3 for gradient in found)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


@levels
def test_the_loss_of_a_level_has_gradients_in_that_level_alone(vqvae, level):
    audio = torch.randn(2, 4 * vqvae.config.hop(Level.TOP))
    parts = terms(vqvae.autoencoder(level)(audio), audio, Scale.of(audio), 100)
    (parts.spectral + parts.waveform + parts.worst + parts.mel + parts.commitment).backward()

    moved = {name.split(".")[1] for name, one in vqvae.named_parameters() if one.grad is not None and one.grad.any()}
    assert moved == {level.label}
    assert all(one.grad is not None for one in vqvae.autoencoder(level).parameters())


def test_a_codec_may_hold_a_subset_of_levels(config):
    vqvae = VQVAE(config, (Level.TOP,))
    assert {name.split(".")[1] for name in vqvae.state_dict()} == {"top"}
    assert vqvae.decode(torch.zeros(1, 2, dtype=torch.int64), Level.TOP).shape == (1, 2 * config.hop(Level.TOP))
    with pytest.raises(KeyError):
        vqvae.autoencoder(Level.BOTTOM)


@levels
def test_a_codec_without_codebooks_passes_latents_on(config, level):
    autoencoder = VQVAE(replace(config, codebook_size=0)).autoencoder(level)
    audio = torch.randn(2, 2 * config.hop(Level.TOP))
    result = autoencoder(audio)

    assert autoencoder.codebook is None
    assert not list(autoencoder.buffers())
    assert result.codes.shape == (2, 0)
    assert torch.equal(output(result), decoded(autoencoder, autoencoder.encoder(audio)))
    output(result).square().sum().backward()  # nothing stands between decoder and encoder
    assert any(one.grad is not None and one.grad.any() for one in autoencoder.encoder.parameters())
