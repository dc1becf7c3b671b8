"""Log mel bands: the filters are librosa's, and the distance hears an envelope where it is weak."""

import numpy as np
import pytest
import torch

from jukectl.audio.mel import BANDS, FLOOR, SETTING, level_distance, log_mel, log_mel_distance, mel_filters
from jukectl.audio.spectral import multi_resolution_distance
from jukectl.librosa import load_librosa

RATE = 22_050  # Hz


def vowel(formant, *, pitch=220.0, seconds=0.5):
    """A harmonic sound (1, N) with the lowest harmonic strong, and a weak formant at `formant` Hz."""
    times = torch.arange(round(seconds * RATE)) / RATE
    wave = 0.1 * torch.sin(2 * np.pi * pitch * times)
    for harmonic in range(2, 30):
        frequency = harmonic * pitch
        strength = 0.01 * np.exp(-(((frequency - formant) / 300) ** 2))
        wave = wave + strength * torch.sin(2 * np.pi * frequency * times)
    return wave[None]


def test_filters_are_those_of_librosa():
    expected = load_librosa().filters.mel(sr=RATE, n_fft=SETTING.n_fft, n_mels=BANDS, htk=True, norm=None)
    np.testing.assert_allclose(mel_filters(RATE).numpy(), expected, atol=1e-4)


def test_the_log_mel_of_silence_is_the_floor_and_no_audio_is_below_it():
    assert log_mel(torch.zeros(2, 1000), RATE).numpy() == pytest.approx(np.log(FLOOR))
    assert (log_mel(torch.randn(2, 1000), RATE) >= np.log(FLOOR)).all()


def test_doubling_the_level_is_a_distance_of_log_four_far_above_the_floor():
    noise = 0.3 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    assert float(log_mel_distance(2 * noise, noise, RATE)) == pytest.approx(np.log(4), abs=0.02)
    assert float(log_mel_distance(noise, noise, RATE)) == 0


def test_in_the_mel_distance_a_weak_formant_counts_more_than_phase_or_loudness():
    """What the term is for: another vowel is far, the same one two decibels louder is near."""
    one, other, louder = vowel(1000), vowel(2400), 1.3 * vowel(1000)
    assert log_mel_distance(one, other, RATE) > 2 * log_mel_distance(one, louder, RATE)
    assert multi_resolution_distance(one, other) < multi_resolution_distance(one, louder)


def test_gradients_are_finite_at_silence():
    audio = torch.zeros(1, 2048, requires_grad=True)
    log_mel_distance(audio, vowel(1000)[:, :2048], RATE).backward()
    assert audio.grad is not None and torch.isfinite(audio.grad).all()


def test_the_mel_distance_refuses_signals_of_different_lengths():
    with pytest.raises(ValueError, match="one shape"):
        log_mel_distance(torch.zeros(1, 1000), torch.zeros(1, 999), RATE)


def test_levels_are_those_of_powers_added_up_and_smooth_spectra_of_noise_are_too_quiet():
    powers = torch.distributions.Exponential(1.0).sample((1, 320, 400))
    smooth = powers.log().mean(2, keepdim=True).expand(1, 320, 400)  # what a mean absolute or squared error asks for
    louder = torch.zeros(1, 320, 400)  # the logarithm of the mean power
    quiet, right = level_distance(smooth, powers.log()), level_distance(louder, powers.log())
    assert float(quiet) == pytest.approx(0.577, abs=0.05)  # Euler's constant: the mean of the logarithm, 2.5 dB below
    assert float(right) < 0.25
