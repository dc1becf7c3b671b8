"""Terms of the reconstruction loss: waveform, spectrum and commitment (Jukebox, section 3.3 and appendix B)."""

from dataclasses import dataclass
from math import log

from torch import Tensor

from jukectl.audio.mel import FLOOR, attack_distance, band_distance, level_distance, log_mel, peak_distance
from jukectl.audio.spectral import multi_resolution_distance
from jukectl.vqvae.model import Reconstruction


@dataclass(frozen=True)
class Scale:
    """Average level of the music, which makes the weights of the terms independent of loudness."""

    power: float  # mean square of a sample
    magnitude: float  # mean over clips of the spectral distance to silence

    @classmethod
    def of(cls, audio: Tensor) -> "Scale":
        """Measure the scale of clips (B, N)."""
        return cls(float(audio.square().mean()), float(multi_resolution_distance(audio, 0 * audio)))


@dataclass(frozen=True)
class Terms:
    """The terms of a batch's loss, each a scalar."""

    spectral: Tensor
    waveform: Tensor
    worst: Tensor
    mel: Tensor
    attack: Tensor
    peaks: Tensor
    level: Tensor
    commitment: Tensor


def terms(result: Reconstruction, target: Tensor, scale: Scale, worst_samples: int, mel_rate: int = 0) -> Terms:
    """Loss terms of a reconstruction of `target` (B, N).

    spectral: L2 distance of magnitudes at several resolutions, over the data's mean; waveform: mean squared error over
    the data's power; worst: the same over each clip's `worst_samples` worst samples; mel: distance of log mel bands at
    the sample rate `mel_rate`, attack: of their change in time, peaks: squared, by loudness, level: of broad bands, all
    four 0 without it; commitment: mean square of latents less their codebook vectors. A log-mel level has the last five
    alone, of its own spectra.
    """
    if result.spectra is not None and result.target_spectra is not None:
        nothing, spectra = target.new_zeros(()), result.spectra.float()
        bands = _band_terms(spectra, result.target_spectra, result.floor)
        return Terms(nothing, nothing, nothing, *bands, commitment(result))
    audio = result.audio.float()
    squares = (audio - target).square()
    bands = (audio.new_zeros(()),) * 4
    if mel_rate:
        bands = _band_terms(log_mel(audio, mel_rate), log_mel(target, mel_rate), log(FLOOR))
    return Terms(
        multi_resolution_distance(audio, target) / scale.magnitude,
        squares.mean() / scale.power,
        squares.topk(min(worst_samples, squares.shape[-1]), dim=-1).values.mean() / scale.power,
        *bands,
        commitment(result),
    )


def _band_terms(predicted: Tensor, target: Tensor, floor: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the mel, attack, peaks and level terms of log-mel spectra."""
    return (
        band_distance(predicted, target),
        attack_distance(predicted, target),
        peak_distance(predicted, target, floor),
        level_distance(predicted, target),
    )


def commitment(result: Reconstruction) -> Tensor:
    """Return the mean square distance of latents to their codebook vectors."""
    return (result.latents - result.quantized).square().mean()
