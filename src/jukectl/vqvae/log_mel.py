"""Levels that encode and decode log-mel spectra, not waveforms, so that their codes do not depend on the phase.

The waveform of a note is another one each time it is played, and so are the codes of a level that encodes waveforms. A
level that encodes log-mel spectra gives equal music equal codes, which cost a prior far fewer bits. Its decoder writes
log-mel spectra too; audio is made of them by Griffin and Lim's iterations. All log-mel levels have a latent for every
code of the top; the codes of a lower one are the stages of a residual quantizer.

B batch, N audio samples, S = N / mel_hop spectra, L latents, M mel bands, D latent width.
"""

from functools import cache
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jukectl.codes.level import Level
from jukectl.nn.dilated import (
    Conv1d,
    ConvTranspose1d,
    ResidualStack,
    residual_scale,
    to_channels_last,
)
from jukectl.vqvae.config import VQVAEConfig

ITERATIONS = 32  # of Griffin and Lim
MOMENTUM = 0.99  # of their accelerated form (Perraudin et al. 2013)
GOLDEN_RATIO = 0.6180339887498949
CENTRE, SPREAD = 3.0, 3.0  # about the mean and the standard deviation of log-mel spectra, for the networks


class LogMelEncoder(nn.Module):
    """Audio to latents by way of log-mel spectra."""

    def __init__(self, config: VQVAEConfig, level: Level) -> None:
        super().__init__()
        self.config = config
        width, halvings = config.widths[level], _halvings(config)
        self.expand = Conv1d(len(mel_filters(config)), width, 3, padding=1)
        self.stacks = nn.ModuleList(_stack(config, level) for _ in range(halvings + 1))
        self.downs = nn.ModuleList(Conv1d(width, width, 4, 2, 1) for _ in range(halvings))
        self.project = Conv1d(width, config.codebook_width(level), 3, padding=1)
        self.reach = _reach(config, level)

    def forward(self, audio: Tensor) -> Tensor:
        """Audio (B, N), N a multiple of the hop, to latents (B, L, D)."""
        whole = F.pad(audio, (0, -audio.shape[-1] % self.config.hop(Level.TOP)))
        return self.latents(log_mel_spectra(whole, self.config))

    def latents(self, spectra: Tensor) -> Tensor:
        """Log-mel spectra (B, M, S) to latents (B, L, D), each of root mean square 1.

        Without a bound they would outgrow the codebook, whose shorter vectors would be the nearest to nearly all.
        """
        signal = self.expand(to_channels_last((spectra - CENTRE) / SPREAD))
        signal = self.stacks[0](signal)
        for down, stack in zip(self.downs, self.stacks[1:], strict=True):
            signal = stack(down(signal))
        projected: Tensor = self.project(signal)  # (B, D, 1, T)
        latents = projected.squeeze(2).transpose(1, 2).float()
        return F.normalize(latents, dim=-1) * sqrt(latents.shape[-1])


class LogMelDecoder(nn.Module):
    """Latents to log-mel spectra, and to audio."""

    def __init__(self, config: VQVAEConfig, level: Level) -> None:
        super().__init__()
        self.config = config
        width, halvings = config.widths[level], _halvings(config)
        self.project = Conv1d(config.codebook_width(level), width, 3, padding=1)
        self.stacks = nn.ModuleList(_stack(config, level, reverse=True) for _ in range(halvings + 1))
        self.ups = nn.ModuleList(ConvTranspose1d(width, width, 4, 2, 1) for _ in range(halvings))
        self.head = Conv1d(width, len(mel_filters(config)), 3, padding=1)
        overlap = config.mel_window // config.mel_hop - 1  # spectra to either side that share samples with one
        blurred = -(-(ITERATIONS + 1) * overlap * config.mel_hop // config.hop(Level.TOP))  # latents to either side
        self.reach = _reach(config, level) + blurred * config.stages(level)

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (B, L, D) to audio (B, N)."""
        with torch.autocast(latents.device.type, enabled=False):
            magnitudes = linear_magnitudes(self.spectra(latents).float(), self.config)
            return griffin_lim(magnitudes, self.config.mel_window, self.config.mel_hop)

    def spectra(self, latents: Tensor) -> Tensor:
        """Latents (B, L, D) to log-mel spectra (B, M, S)."""
        signal = self.stacks[0](self.project(to_channels_last(latents.transpose(1, 2))))
        for up, stack in zip(self.ups, self.stacks[1:], strict=True):
            signal = stack(up(signal))
        spectra: Tensor = self.head(signal)
        return spectra.squeeze(2) * SPREAD + CENTRE


def log_mel_spectra(audio: Tensor, config: VQVAEConfig) -> Tensor:
    """Return natural logarithms of mel band powers (B, M, S) of audio (B, N).

    Spectrum s is centred in the samples s * mel_hop to (s + 1) * mel_hop; before and after the audio is silence.
    """
    with torch.autocast(audio.device.type, enabled=False):
        spectra = _transform(audio.float(), config.mel_window, config.mel_hop)  # (B, S, F)
        filters = mel_filters(config).to(audio.device)
        powers: Tensor = spectra.abs().square() @ filters.T  # (B, S, M)
        return (powers + config.mel_floor).log().transpose(1, 2)


def linear_magnitudes(spectra: Tensor, config: VQVAEConfig) -> Tensor:
    """Return STFT magnitudes (B, S, F) that have about these log-mel spectra (B, M, S): smooth within a band."""
    filters = mel_filters(config).to(spectra.device)  # (M, F)
    powers = (spectra.exp() - config.mel_floor).clamp(min=0).transpose(1, 2)  # (B, S, M)
    return ((powers / filters.sum(1).clamp(min=0.5)) @ filters).sqrt()


@cache
def mel_filters(config: VQVAEConfig) -> Tensor:
    """Return triangular filters (M, F) that add up to 1 at every frequency.

    Their middles are a bin apart at low frequencies and `mel_spacing` of their frequency above. The bands of the mel
    scale proper are too wide there to tell neighbouring notes apart.
    """
    with torch.inference_mode(False), torch.device("cpu"):
        middles, last = [0.0], config.mel_window / 2  # in bins
        while middles[-1] < last:
            middles.append(middles[-1] + max(1.0, config.mel_spacing * middles[-1]))
        bins, places = torch.arange(last + 1), torch.tensor(middles)[:, None]
        widths = places.diff(dim=0)
        rising = torch.cat([torch.ones(1, 1), widths])
        falling = torch.cat([widths, torch.ones(1, 1)])
        return torch.minimum(1 + (bins - places) / rising, 1 - (bins - places) / falling).clamp(min=0)


def griffin_lim(magnitudes: Tensor, window: int, hop: int, iterations: int = ITERATIONS) -> Tensor:
    """Return audio (B, S * hop) with about these STFT magnitudes (B, S, F), deterministic (Griffin and Lim 1984).

    The phases of all frames begin alike, so a piece of the spectra gives the same audio as the whole, save near its
    ends; and as if by chance from one frequency to the next, since those of a pulse would end in higher peaks.
    """
    places = torch.arange(magnitudes.shape[-1], device="cpu", dtype=torch.float64)  # some devices have no float64
    turns = (places * places * GOLDEN_RATIO) % 1  # spread evenly, without a random generator
    spectra = torch.polar(magnitudes, (2 * torch.pi * turns).to(magnitudes).expand_as(magnitudes))
    before = spectra
    for _ in range(iterations):
        again = _transform(_overlap_add(spectra, window, hop), window, hop)
        further = torch.view_as_real(before).lerp(torch.view_as_real(again), 1 + MOMENTUM)  # (B, S, F, 2)
        lengths = torch.hypot(*further.unbind(-1)).clamp(min=1e-20)
        spectra = torch.view_as_complex(further.mul_((magnitudes / lengths)[..., None]))
        before = again
    return _overlap_add(spectra, window, hop)


def _transform(audio: Tensor, window: int, hop: int) -> Tensor:
    """Audio (B, N) to spectra (B, S, F), complex."""
    padding = (window - hop) // 2
    frames = F.pad(audio, (padding, padding)).unfold(-1, window, hop)
    spectra: Tensor = torch.fft.rfft(frames * _hann(window, audio.device))
    return spectra


def _overlap_add(spectra: Tensor, window: int, hop: int) -> Tensor:
    """Spectra (B, S, F), complex, to audio (B, S * hop): the least-squares inverse of `_transform`."""
    taper = _hann(window, spectra.device)
    frames = torch.fft.irfft(spectra, n=window) * taper  # (B, S, window)
    weights = _added(taper.square().expand(1, *frames.shape[1:]), hop).clamp(min=1e-6)
    padding = (window - hop) // 2
    return (_added(frames, hop) / weights)[:, padding:-padding]


def _added(frames: Tensor, hop: int) -> Tensor:
    """Frames (B, S, window), each `hop` after the one before, to their sum (B, (S - 1) * hop + window)."""
    batch, count, window = frames.shape
    parts = frames.reshape(batch, count, window // hop, hop)
    total = frames.new_zeros(batch, count + window // hop - 1, hop)
    for part in range(window // hop):
        total[:, part : part + count] += parts[:, :, part]
    return total.flatten(1)


@cache
def _hann(window: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        taper: Tensor = torch.hann_window(window, device=device)
    return taper


def _stack(config: VQVAEConfig, level: Level, *, reverse: bool = False) -> ResidualStack:
    depth = config.depths[level]
    return ResidualStack(
        config.widths[level],
        depth,
        growth=config.dilation_growth,
        cycle=config.dilation_cycle,
        reverse=reverse,
        scale=residual_scale(depth, config.scale_residuals),
        hidden_multiplier=config.hidden_multiplier,
    )


def _halvings(config: VQVAEConfig) -> int:
    """Return how many convolutions of stride 2 lead from the rate of spectra to that of latents."""
    return (config.hop(Level.TOP) // config.mel_hop).bit_length() - 1


def _reach(config: VQVAEConfig, level: Level) -> int:
    """Return the codes to either side beyond which nothing changes a code's latent, or the spectra of a code's span.

    It is a multiple of the stages.
    """
    depth = config.depths[level]
    stack: int = sum(config.dilation_growth ** (index % (config.dilation_cycle or depth)) for index in range(depth))
    reach = -(-(config.mel_window - config.mel_hop) // (2 * config.mel_hop)) + 1 + stack  # in spectra
    hop = 1
    for _ in range(_halvings(config)):
        reach += 2 * hop
        hop *= 2
        reach += hop * stack
    return (-(-(reach + hop) // hop) + 1) * config.stages(level)
