"""The VQ-VAE: audio to codes and back, at three independent levels."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn

from jukectl.codes.level import Level
from jukectl.vqvae.codebook import Codebook
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.convnet import Decoder, Encoder
from jukectl.vqvae.log_mel import LogMelDecoder, LogMelEncoder, log_mel_spectra


@dataclass(frozen=True)
class Reconstruction:
    """One level's pass from audio to audio, with what its losses need."""

    audio: Tensor  # (B, N); (B, 0) for a log-mel level, whose losses need none
    latents: Tensor  # (B, T / stages, D) before the codebook
    quantized: Tensor  # (B, T / stages, D) after it; the latents themselves without quantization
    codes: Tensor  # (B, T); (B, 0) without quantization
    spectra: Tensor | None = None  # (B, M, S) log-mel, of a log-mel level
    target_spectra: Tensor | None = None  # (B, M, S) those of the input audio
    floor: float = 0.0  # their value for silence


class Autoencoder(nn.Module):
    """One level: encoder, codebook, decoder. B batch, N samples, T = N / hop.

    With a `codebook_size` of 0 there is no codebook, to measure encoder and decoder without a bottleneck.
    """

    def __init__(self, config: VQVAEConfig, level: Level) -> None:
        super().__init__()
        log_mel = config.is_log_mel(level)
        self.floor = log(config.mel_floor)
        self.encoder: Encoder | LogMelEncoder = (LogMelEncoder if log_mel else Encoder)(config, level)
        size = config.codebook_size
        self.codebook = Codebook(size, config.codebook_width(level), config.stages(level)) if size else None
        self.decoder: Decoder | LogMelDecoder = (LogMelDecoder if log_mel else Decoder)(config, level)

    def forward(self, audio: Tensor, *, quantize: bool = True) -> Reconstruction:
        """Encode and decode audio (B, N); gradients pass the codebook straight through.

        A log-mel level stops at its spectra, which its losses compare. Without `quantize`, or a codebook, the decoder's
        input is the latents, and there are no codes.
        """
        if isinstance(self.encoder, LogMelEncoder) and isinstance(self.decoder, LogMelDecoder):
            target = log_mel_spectra(audio, self.encoder.config)
            passed, latents, quantized, codes = self._quantized(self.encoder.latents(target).float(), quantize)
            return Reconstruction(
                audio[:, :0], latents, quantized, codes, self.decoder.spectra(passed), target, self.floor
            )
        passed, latents, quantized, codes = self._quantized(self.encoder(audio).float(), quantize)
        return Reconstruction(self.decoder(passed), latents, quantized, codes)

    def _quantized(self, latents: Tensor, quantize: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the decoder's input, the latents and their vectors, all (B, T / stages, D), and the codes (B, T)."""
        if self.codebook is None or not quantize:
            no_codes = torch.zeros(len(latents), 0, dtype=torch.int64, device=latents.device)
            return latents, latents, latents, no_codes
        codes = self.codebook.encode(latents.detach())
        quantized = self.codebook.decode(codes)
        # straight through: the value of the vectors with the gradient of the latents
        return latents + (quantized - latents).detach(), latents, quantized, codes


class VQVAE(nn.Module):
    """Three separate autoencoders of one waveform. B batch, N samples, T codes."""

    def __init__(self, config: VQVAEConfig, levels: Iterable[Level] = tuple(Level)) -> None:
        super().__init__()
        self.config = config
        self.levels = nn.ModuleDict({level.label: Autoencoder(config, level) for level in levels})

    def autoencoder(self, level: Level) -> Autoencoder:
        """Return the autoencoder of one level."""
        module = self.levels[level.label]
        assert isinstance(module, Autoencoder)
        return module

    def codebook(self, level: Level) -> Codebook:
        """Return the codebook of one level; the codec must have codebooks."""
        codebook = self.autoencoder(level).codebook
        assert codebook is not None
        return codebook

    def encode(self, audio: Tensor, level: Level) -> Tensor:
        """Encode audio (B, N), N a multiple of the level's hop, to codes (B, N / hop), int64."""
        codes = self.codebook(level).encode(self.autoencoder(level).encoder(audio))
        return codes[:, : audio.shape[1] // self.config.hop(level)]

    def decode(self, codes: Tensor, level: Level) -> Tensor:
        """Decode codes (B, T) to audio (B, T * hop)."""
        audio: Tensor = self.autoencoder(level).decoder(self.codebook(level).decode(codes))
        return audio[:, : codes.shape[1] * self.config.hop(level)]
