"""One autoencoder of all three levels after VQ-VAE-2 (Razavi et al. 2019, arXiv 1906.00446), for comparison only.

Its levels share the work, and nothing makes the top level contribute: the lower codes can carry all information. That
is why the codec has separate autoencoders instead (Jukebox, section 3).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from jukectl.codes.level import Level
from jukectl.nn.dilated import Conv1d, DownsampleBlock, UpsampleBlock, to_channels_last
from jukectl.vqvae.codebook import Codebook
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.convnet import block_shape
from jukectl.vqvae.model import Reconstruction

DOWNWARDS = tuple(reversed(Level))


class HierarchicalVQVAE(nn.Module):
    """Encoders from the bottom up, codes from the top down. B batch, N samples, T frames of a level, D latent width.

    The latents of a level are computed from its encoder's output and the decoded codes of the level above; its decoder
    has its own codes and the same decoded codes as inputs. The bottom decoder produces the audio.
    """

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__()
        self.config = config
        width = config.latent_width
        self.encoders = nn.ModuleDict()
        self.merges = nn.ModuleDict()  # output of the encoder and of the decoder above to latents
        self.codebooks = nn.ModuleDict()
        self.decoders = nn.ModuleDict()
        for level in Level:
            shape = block_shape(config, level, level)
            encoded = 1 if level is Level.BOTTOM else width  # channels: the audio, or the encoder below
            decoded = 1 if level is Level.BOTTOM and not config.audio_head else width
            sources = 1 if level is Level.TOP else 2  # of latents and of decoders; the top has no level above it
            self.encoders[level.label] = DownsampleBlock(encoded, config.widths[level], width, **shape)
            self.merges[level.label] = Conv1d(sources * width, width, 1) if sources > 1 else nn.Identity()
            self.codebooks[level.label] = Codebook(config.codebook_size, width)
            self.decoders[level.label] = UpsampleBlock(
                sources * width, config.widths[level], decoded, reverse=True, **shape
            )
        self.head = Conv1d(width, 1, 3, padding=1) if config.audio_head else nn.Identity()

    def codebook(self, level: Level) -> Codebook:
        """Return the codebook of one level."""
        module = self.codebooks[level.label]
        assert isinstance(module, Codebook)
        return module

    def forward(self, audio: Tensor, *, quantize: bool = True) -> dict[Level, Reconstruction]:
        """Encode and decode audio (B, N), N a multiple of the top hop; all results share one audio (B, N).

        Gradients pass the codebooks straight through. Without `quantize` the decoders' inputs are the latents.
        """
        encoded = self._encode(audio)
        latents, quantized, codes = {}, {}, {}
        carried: Tensor | None = None
        for level in DOWNWARDS:
            latents[level] = _to_frames(self.merges[level.label](_joined(encoded[level], carried))).float()
            if quantize:
                codes[level] = self.codebook(level).encode(latents[level].detach())
                quantized[level] = self.codebook(level).decode(codes[level])
            else:
                codes[level] = torch.zeros(len(audio), 0, dtype=torch.int64, device=audio.device)
                quantized[level] = latents[level]
            # the value is the quantized one, the gradient that of the latents
            passed = latents[level] + (quantized[level] - latents[level]).detach()
            carried = self.decoders[level.label](_joined(_from_frames(passed), carried))
        decoded = self._audio(carried)
        return {level: Reconstruction(decoded, latents[level], quantized[level], codes[level]) for level in Level}

    def decode(self, codes: Mapping[Level, Tensor]) -> Tensor:
        """Decode the top codes (B, T) and any lower ones to audio (B, T * hop); missing codes are zero vectors."""
        carried: Tensor | None = None
        batch, frames = codes[Level.TOP].shape
        for level in DOWNWARDS:
            codebook = self.codebook(level)
            length = frames * self.config.hop(Level.TOP) // self.config.hop(level)
            zeros = codebook.vectors.new_zeros(batch, length, self.config.latent_width)
            vectors = codebook.decode(codes[level]) if level in codes else zeros
            carried = self.decoders[level.label](_joined(_from_frames(vectors), carried))
        return self._audio(carried)

    def _encode(self, audio: Tensor) -> dict[Level, Tensor]:
        """Return the encoders' outputs (B, D, 1, T) for audio (B, N), by level."""
        encoded, signal = {}, to_channels_last(audio.unsqueeze(1))
        for level in Level:
            signal = encoded[level] = self.encoders[level.label](signal)
        return encoded

    def _audio(self, carried: Tensor | None) -> Tensor:
        audio: Tensor = self.head(carried)
        return audio.squeeze(2).squeeze(1)


def _joined(signal: Tensor, carried: Tensor | None) -> Tensor:
    """Concatenate the channels of a level and those from above, (B, D, 1, T) each; None at the top."""
    return signal if carried is None else torch.cat([signal, carried], dim=1)


def _to_frames(signal: Tensor) -> Tensor:
    """Reshape (B, D, 1, T) to (B, T, D)."""
    return signal.squeeze(2).transpose(1, 2)


def _from_frames(latents: Tensor) -> Tensor:
    """Reshape (B, T, D) to (B, D, 1, T)."""
    return to_channels_last(latents.transpose(1, 2))
