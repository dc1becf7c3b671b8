"""Short-time Fourier magnitudes, and two distances between them: one to train on and one to report."""

from dataclasses import dataclass
from functools import cache
from math import inf, log10

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class StftSetting:
    """One resolution of the short-time Fourier transform; everything in audio samples."""

    n_fft: int
    hop: int  # samples from one frame to the next
    window: int  # length of the Hann window, centred in the n_fft samples of a frame

    def __post_init__(self) -> None:
        if not (self.hop > 0 and 0 < self.window <= self.n_fft):
            raise ValueError(f"needs 0 < hop and 0 < window <= n_fft, got {self}")

    @property
    def bins(self) -> int:
        """Frequencies of a frame, from zero to half the sample rate."""
        return self.n_fft // 2 + 1

    def frames(self, length: int) -> int:
        """Frames of a signal of that many samples: one centred at every hop-th sample, the first included."""
        return 1 + length // self.hop


SETTINGS = (
    StftSetting(n_fft=2048, hop=240, window=1200),
    StftSetting(n_fft=1024, hop=120, window=600),
    StftSetting(n_fft=512, hop=50, window=240),
)
"""The resolutions of the multi-resolution spectral loss (arXiv 2005.00341, section 3.3 and its hyperparameters)."""

BLOCK_FRAMES = 4096
"""Frames that `spectral_convergence_db` holds at a time: some 200 MB at its default setting, whatever the length."""


def magnitudes(audio: Tensor, setting: StftSetting) -> Tensor:
    """STFT magnitudes (B, F, frames) of audio (B, N), with silence before and after it, so that any N > 0 will do.

    In float32 at least, whatever autocast is on: half precision cannot hold the range of a spectrum.
    """
    padding = setting.n_fft // 2
    return _framed_magnitudes(F.pad(_at_least_float32(audio), (padding, padding)), setting)


def multi_resolution_distance(
    predicted: Tensor, target: Tensor, settings: tuple[StftSetting, ...] = SETTINGS
) -> Tensor:
    """Return the spectral loss of predicted and target audio (both (B, N)), a scalar (arXiv 2005.00341, section 3.3).

    For each setting and each item the L2 norm over all frequencies and frames of the difference of magnitudes; summed
    over the settings, averaged over the batch. The norm is not divided by the signal's: a nearly silent clip would blow
    up. So it grows with loudness and with the square root of the length. Gradients are finite everywhere: where a
    magnitude or a whole difference is zero, they are zero.
    """
    if predicted.shape != target.shape:
        raise ValueError(f"needs two signals of one shape, got {tuple(predicted.shape)} and {tuple(target.shape)}")
    distances = [
        torch.linalg.vector_norm(magnitudes(predicted, setting) - magnitudes(target, setting), dim=(1, 2))  # (B,)
        for setting in settings
    ]
    return torch.stack(distances).sum(dim=0).mean()


@torch.no_grad()
def spectral_convergence_db(
    target: Tensor | np.ndarray,
    predicted: Tensor | np.ndarray,
    *,
    n_fft: int = 2048,
    hop: int = 256,
    window: int = 1536,
) -> float:
    """Spectral convergence 20 log10(|S - S'| / |S|) of two signals (N,) in dB: lower is better, -inf is exact.

    S is the target's magnitudes, S' the prediction's. A silent prediction scores 0. Against a silent target there is no
    scale to measure by: a silent prediction scores -inf, any other +inf. Samples that are not finite give nan.
    """
    setting = StftSetting(n_fft=n_fft, hop=hop, window=window)
    pair = _at_least_float32(torch.stack([torch.as_tensor(target), torch.as_tensor(predicted)]))  # (2, N)
    if pair.ndim != 2:
        raise ValueError(f"needs two signals (N,), got {tuple(pair.shape[1:])}")
    frames = setting.frames(pair.shape[1])
    padding = n_fft // 2
    pair = F.pad(pair, (padding, padding))

    error_power = target_power = 0.0
    for first in range(0, frames, BLOCK_FRAMES):
        last = min(first + BLOCK_FRAMES, frames) - 1
        of_target, of_predicted = _framed_magnitudes(pair[:, first * hop : last * hop + n_fft], setting)
        error_power += (of_target - of_predicted).square().sum(dtype=torch.float64).item()
        target_power += of_target.square().sum(dtype=torch.float64).item()
    if error_power == 0:
        return -inf
    if target_power == 0:
        return inf
    return 10 * log10(error_power / target_power)


def _framed_magnitudes(padded: Tensor, setting: StftSetting) -> Tensor:
    """Magnitudes (B, F, frames) of the frames that lie wholly in padded (B, n)."""
    with torch.autocast(padded.device.type, enabled=False):
        spectrum = torch.stft(
            padded,
            setting.n_fft,
            hop_length=setting.hop,
            win_length=setting.window,
            window=_hann(setting.window, padded.device, padded.dtype),
            center=False,
            return_complex=True,
        )  # (B, F, frames)
        return spectrum.abs()  # its gradient is 0 at 0, where that of sqrt(re^2 + im^2) would be nan


def _at_least_float32(audio: Tensor) -> Tensor:
    return audio.to(torch.promote_types(audio.dtype, torch.float32))


@cache
def _hann(length: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):  # made in inference mode, the cached window would be refused by autograd later
        return torch.hann_window(length, device=device, dtype=dtype)
