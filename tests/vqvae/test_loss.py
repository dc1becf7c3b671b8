"""Terms of the codec's loss."""

from typing import Any

import numpy as np
import pytest
import torch

from jukectl.audio.mel import attack_distance, band_distance, peak_distance
from jukectl.vqvae.loss import Scale, terms
from jukectl.vqvae.model import Reconstruction


def reconstruction(audio, latents=None, quantized=None):
    latents = torch.zeros(len(audio), 3, 2) if latents is None else latents
    return Reconstruction(
        audio, latents, latents if quantized is None else quantized, torch.zeros(len(audio), 3).long()
    )


@pytest.fixture
def target():
    return 0.3 * torch.randn(3, 4_096, generator=torch.Generator().manual_seed(1))


def test_the_loss_of_an_exact_reconstruction_is_zero(target):
    parts = terms(reconstruction(target), target, Scale.of(target), 100)
    assert [float(one) for one in (parts.spectral, parts.waveform, parts.worst, parts.commitment)] == [0, 0, 0, 0]


def test_silence_has_a_loss_of_one_at_any_loudness(target):
    for gain in (1.0, 0.01):
        loud = gain * target
        parts = terms(reconstruction(0 * loud), loud, Scale.of(loud), 100)
        assert float(parts.waveform) == pytest.approx(1, rel=1e-5)
        assert float(parts.spectral) == pytest.approx(1, rel=1e-5)


def test_the_waveform_terms_are_mean_squares_over_the_power(target):
    audio = target + 0.1 * torch.randn(target.shape)
    scale = Scale(power=0.09, magnitude=1.0)
    parts = terms(reconstruction(audio), target, scale, worst_samples=10)

    squares = (audio - target).double().numpy() ** 2
    assert float(parts.waveform) == pytest.approx(squares.mean() / 0.09, rel=1e-5)
    assert float(parts.worst) == pytest.approx(np.sort(squares, axis=1)[:, -10:].mean() / 0.09, rel=1e-5)


def test_the_worst_samples_of_a_short_clip_are_all_samples(target):
    parts = terms(reconstruction(0.5 * target), target, Scale.of(target), worst_samples=10**6)
    torch.testing.assert_close(parts.worst, parts.waveform)


def test_mel_bands_are_compared_if_a_sample_rate_is_given(target):
    result = reconstruction(0.5 * target)
    assert float(terms(result, target, Scale.of(target), 100).mel) == 0
    assert float(terms(result, target, Scale.of(target), 100, mel_rate=22_050).mel) == pytest.approx(
        np.log(4), rel=0.05
    )


def test_the_spectral_term_is_the_distance_of_magnitudes_at_three_resolutions(target):
    audio = 0.7 * target
    scale = Scale(power=1.0, magnitude=5.0)
    expected = 0.0
    for n_fft, hop, window in ((2_048, 240, 1_200), (1_024, 120, 600), (512, 50, 240)):
        options: dict[str, Any] = {
            "hop_length": hop,
            "win_length": window,
            "pad_mode": "constant",
            "return_complex": True,
        }
        shape = torch.hann_window(window, dtype=torch.float64)
        pair = [torch.stft(one.double(), n_fft, window=shape, **options).abs() for one in (audio, target)]
        expected += float((pair[0] - pair[1]).square().sum(dim=(1, 2)).sqrt().mean())

    parts = terms(reconstruction(audio), target, scale, 100)
    assert float(parts.spectral) == pytest.approx(expected / 5, rel=1e-4)


def test_the_commitment_term_has_gradients_for_latents_only(target):
    latents = torch.randn(3, 5, 2, requires_grad=True)
    vectors = torch.randn(3, 5, 2)
    parts = terms(reconstruction(target, latents, vectors), target, Scale.of(target), 100)

    expected = (latents - vectors).square().mean()
    torch.testing.assert_close(parts.commitment, expected)
    parts.commitment.backward()
    torch.testing.assert_close(latents.grad, 2 * (latents - vectors).detach() / latents.numel())


def test_the_loss_scale_is_the_power_and_the_distance_to_silence(target):
    scale = Scale.of(target)
    assert scale.power == pytest.approx(float(target.double().square().mean()), rel=1e-5)
    assert Scale.of(2 * target).magnitude == pytest.approx(2 * scale.magnitude, rel=1e-5)


def bands(*rises):
    """Log-mel spectra (1, 2, frames) of two bands: one silent, one that rises in these steps."""
    return torch.stack([torch.zeros(len(rises) + 1), torch.tensor([0.0, *rises]).cumsum(0)])[None]


def test_the_attack_term_penalises_smearing_that_band_terms_ignore():
    sharp, smeared = bands(0.0, 4.0, 0.0, 0.0), bands(0.0, 2.0, 2.0, 0.0)
    far = bands(1.0, 4.0, 0.0, -1.0)  # as far away as the smeared one or farther, with the same attack
    assert band_distance(far, sharp) >= band_distance(smeared, sharp)
    assert attack_distance(far, sharp) < attack_distance(smeared, sharp)
    assert attack_distance(sharp + 3, sharp) == 0


def test_errors_in_loud_bands_count_more_in_the_peak_distance():
    target = bands(8.0, 0.0, 0.0)
    softer, noisier = target.clone(), target.clone()
    softer[0, 1, 1:] -= 2
    noisier[0, 0, 1:] += 2
    assert band_distance(softer, target) == band_distance(noisier, target)
    assert peak_distance(softer, target, 0.0) > 4 * peak_distance(noisier, target, 0.0)
    assert peak_distance(target, target, 0.0) == 0
    assert peak_distance(bands(0.0), bands(0.0), 0.0) == 0  # of silence
