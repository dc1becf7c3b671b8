"""Spectral envelopes: powers of a few broad bands on the mel scale, and distances of them."""

from functools import cache
from math import log10

import torch
from torch import Tensor

from jukectl.audio.spectral import StftSetting, magnitudes

BANDS = 40
SETTING = StftSetting(n_fft=512, hop=128, window=256)  # too short at 22 kHz to tell the harmonics of a voice apart
SILENCE_WEIGHT = 2.0  # of a silent band among peaks, of which a loud one has some 10
BROAD_BANDS = 16
FLOOR = 1e-2  # power; a full-scale sine has some 4,000. What is quieter counts as silence


def log_mel_distance(predicted: Tensor, target: Tensor, sample_rate: int) -> Tensor:
    """Return the mean absolute difference of the log-mel band powers of two signals (B, N), a scalar.

    Vowels and consonants differ in their envelope, which may be weak beside the lowest harmonics. The logarithm weights
    it like loud bands, which dominate `multi_resolution_distance`. Later codecs use it too (Kumar et al. 2023).
    """
    if predicted.shape != target.shape:
        raise ValueError(f"needs two signals of one shape, got {tuple(predicted.shape)} and {tuple(target.shape)}")
    return band_distance(log_mel(predicted, sample_rate), log_mel(target, sample_rate))


def band_distance(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference of two log-mel spectra (B, M, frames), a scalar."""
    return (predicted - target).abs().mean()


def peak_distance(predicted: Tensor, target: Tensor, floor: float) -> Tensor:
    """Return the mean squared difference of two log-mel spectra (B, M, frames), weighted by how loud a band is.

    `floor` is the value of silence. The median that `band_distance` asks for leaves out partials whose places are not
    quite certain, and with them the notes; here the partials count most. Weights are 1 in the mean.
    """
    weights = target - floor + SILENCE_WEIGHT
    return (weights * (predicted - target).square()).mean() / weights.mean()


def attack_distance(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference of how two log-mel spectra (B, M, frames) change in time, a scalar.

    `band_distance` forgives an attack that is spread over several frames; its change from frame to frame is then far
    too small, which counts here.
    """
    return band_distance(predicted.diff(dim=2), target.diff(dim=2))


def level_distance(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference of the levels of broad bands of two log-mel spectra (B, M, frames), a scalar.

    The logarithm of a power that is not quite certain, such as a band of noise, is smaller in the mean than that of its
    mean: without this term decoded noise and chords are too quiet by 3 dB and more.
    """
    return band_distance(_levels(predicted), _levels(target))


def _levels(spectra: Tensor) -> Tensor:
    """Return the logarithms of the powers (B, BROAD_BANDS, frames) of neighbouring bands together."""
    return torch.stack([part.logsumexp(dim=1) for part in spectra.chunk(BROAD_BANDS, dim=1)], dim=1)


def log_mel(audio: Tensor, sample_rate: int) -> Tensor:
    """Return natural logarithms of mel band powers (B, BANDS, frames) of audio (B, N)."""
    power = magnitudes(audio, SETTING).square()  # (B, F, frames)
    filters = mel_filters(sample_rate).to(power)
    with torch.autocast(power.device.type, enabled=False):
        return (filters @ power + FLOOR).log()


@cache
def mel_filters(sample_rate: int) -> Tensor:
    """Return triangles (BANDS, F) evenly spaced on the mel scale, each from one neighbour's centre to the other's."""
    with torch.inference_mode(False):
        frequencies = torch.linspace(0, sample_rate / 2, SETTING.bins)
        highest = 2595 * log10(1 + sample_rate / 2 / 700)  # mel
        edges = 700 * (10 ** (torch.linspace(0, highest, BANDS + 2)[:, None] / 2595) - 1)  # Hz
        rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
        falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
        return torch.minimum(rising, falling).clamp(min=0)
