"""STFT magnitudes and the two distances between them."""

from math import inf, isnan, log10

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from jukectl.audio import spectral
from jukectl.audio.spectral import SETTINGS, StftSetting, magnitudes, multi_resolution_distance, spectral_convergence_db

SMALL = StftSetting(n_fft=64, hop=16, window=48)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.1


def by_the_formula(audio, setting):
    """Frame by frame, by numpy's transform: the window in the middle of n_fft samples, silence around it all."""
    padded = np.pad(audio.astype(np.float64), setting.n_fft // 2)
    window = np.zeros(setting.n_fft)
    left = (setting.n_fft - setting.window) // 2
    window[left : left + setting.window] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(setting.window) / setting.window)
    starts = range(0, len(padded) - setting.n_fft + 1, setting.hop)
    return np.stack([np.abs(np.fft.rfft(padded[at : at + setting.n_fft] * window)) for at in starts], axis=1)


def test_the_stft_settings_are_those_of_the_paper():
    assert [(s.n_fft, s.hop, s.window) for s in SETTINGS] == [(2048, 240, 1200), (1024, 120, 600), (512, 50, 240)]


@pytest.mark.parametrize("setting", [*SETTINGS, SMALL])
def test_stft_magnitudes_follow_the_formula(setting):
    audio = noise(2, 3000)
    ours = magnitudes(audio, setting)
    assert ours.shape == (2, setting.bins, setting.frames(3000))
    for item, signal in zip(ours.numpy(), audio.numpy(), strict=True):
        np.testing.assert_allclose(item, by_the_formula(signal, setting), atol=1e-4)


@given(length=st.integers(1, 300))
@settings(deadline=None, max_examples=30)
def test_signals_of_any_length_have_magnitudes_and_a_distance(length):
    assert magnitudes(noise(1, length), SMALL).shape == (1, 33, 1 + length // 16)
    assert torch.isfinite(multi_resolution_distance(noise(1, length), noise(1, length, seed=1)))


def test_the_spectral_distance_sums_the_norms_of_differences_over_settings():
    predicted, target = noise(3, 2000), noise(3, 2000, seed=1)
    expected = np.mean(
        [
            sum(np.linalg.norm(by_the_formula(p, s) - by_the_formula(t, s)) for s in SETTINGS)
            for p, t in zip(predicted.numpy(), target.numpy(), strict=True)
        ]
    )
    assert multi_resolution_distance(predicted, target).item() == pytest.approx(expected, rel=1e-5)


def test_the_distance_is_not_divided_by_the_norm_of_the_signal():
    predicted, target = noise(1, 2000), noise(1, 2000, seed=1)
    once = multi_resolution_distance(predicted, target)
    assert multi_resolution_distance(predicted / 10, target / 10).item() == pytest.approx(once.item() / 10, rel=1e-4)


def test_equal_signals_have_a_spectral_distance_of_zero():
    assert multi_resolution_distance(noise(2, 2000), noise(2, 2000)) == 0


@pytest.mark.parametrize("predicted", [torch.zeros(2, 1500), noise(2, 1500)], ids=["silence", "noise"])
@pytest.mark.parametrize("target", [torch.zeros(2, 1500), noise(2, 1500)], ids=["of silence", "of noise"])
def test_the_gradient_is_finite_at_silence_and_at_equality(predicted, target):
    predicted = predicted.clone().requires_grad_()
    multi_resolution_distance(predicted, target).backward()
    assert torch.isfinite(predicted.grad).all()


def test_the_gradient_is_that_of_finite_differences():
    predicted = noise(1, 96).double().requires_grad_()
    target = noise(1, 96, seed=1).double()
    assert torch.autograd.gradcheck(lambda p: multi_resolution_distance(p, target, (SMALL,)), predicted)


def test_descending_the_gradient_brings_the_signals_together():
    target = noise(1, 1000)
    predicted = noise(1, 1000, seed=1).requires_grad_()
    optimiser = torch.optim.Adam([predicted], lr=0.01)
    first = multi_resolution_distance(predicted, target, (SMALL,)).item()
    for _ in range(40):
        optimiser.zero_grad()
        multi_resolution_distance(predicted, target, (SMALL,)).backward()
        optimiser.step()
    assert multi_resolution_distance(predicted, target, (SMALL,)).item() < first / 2


def test_autocast_and_half_precision_input_do_not_coarsen_the_spectrum():
    predicted, target = noise(1, 2000), noise(1, 2000, seed=1)
    exact = multi_resolution_distance(predicted, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert multi_resolution_distance(predicted, target) == exact
    assert magnitudes(predicted.bfloat16(), SMALL).dtype == torch.float32


def test_a_window_made_in_inference_mode_serves_training_later():
    setting = StftSetting(n_fft=32, hop=8, window=26)
    with torch.inference_mode():
        magnitudes(noise(1, 100), setting)
    magnitudes(noise(1, 100).requires_grad_(), setting).sum().backward()


def test_the_spectral_distance_refuses_signals_of_different_shapes():
    with pytest.raises(ValueError, match="one shape"):
        multi_resolution_distance(noise(1, 100), noise(2, 100))
    with pytest.raises(ValueError, match=r"\(N,\)"):
        spectral_convergence_db(noise(1, 100), noise(1, 100))


@pytest.mark.parametrize("numbers", [(64, 0, 48), (64, 16, 0), (64, 16, 65)])
def test_an_invalid_stft_setting_is_refused(numbers):
    with pytest.raises(ValueError, match="window <= n_fft"):
        StftSetting(*numbers)


def test_spectral_convergence_is_the_formula_in_decibels():
    target, predicted = noise(5000).numpy(), noise(5000, seed=1).numpy()
    setting = StftSetting(n_fft=2048, hop=256, window=1536)
    s, s_predicted = by_the_formula(target, setting), by_the_formula(predicted, setting)
    expected = 20 * log10(np.linalg.norm(s - s_predicted) / np.linalg.norm(s))
    assert spectral_convergence_db(target, predicted) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("decibels", [-40, -20, -6])
def test_spectral_convergence_of_a_louder_copy_is_its_gain_error(decibels):
    target = noise(5000)
    assert spectral_convergence_db(target, target * (1 + 10 ** (decibels / 20))) == pytest.approx(decibels, abs=0.01)


def test_long_signals_are_measured_block_by_block_to_the_same_result(monkeypatch):
    target, predicted = noise(20_000), noise(20_000, seed=1)
    whole = spectral_convergence_db(target, predicted)
    for frames in (1, 7, 79):
        monkeypatch.setattr(spectral, "BLOCK_FRAMES", frames)
        assert spectral_convergence_db(target, predicted) == pytest.approx(whole, abs=1e-9)


def test_spectral_convergence_is_defined_for_silence_and_nan():
    silence, sound = torch.zeros(3000), noise(3000)
    assert spectral_convergence_db(sound, sound) == -inf
    assert spectral_convergence_db(silence, silence) == -inf
    assert spectral_convergence_db(silence, sound) == inf
    assert spectral_convergence_db(sound, silence) == 0
    assert isnan(spectral_convergence_db(sound, sound * torch.nan))
