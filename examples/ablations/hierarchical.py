"""One autoencoder of all three levels, after VQ-VAE-2: for comparison only, no model of jukectl's is made of it.

Its levels share the work, and nothing makes the top one do its part: the lower codes can carry all there is. That is
why the codec has separate autoencoders instead (Jukebox, section 3; VQ-VAE-2 is Razavi et al. 2019, arXiv 1906.00446).
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
    """Encoders in a chain, and codes from the top down. B batch, N samples, T frames of a level, D latent width.

    A level's latents are made of what its encoder hears and of the decoded codes above; its decoder is given its own
    codes and the same. The bottom decoder writes the audio.
    """

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__()
        self.config = config
        width = config.latent_width
        self.encoders = nn.ModuleDict()
        self.merges = nn.ModuleDict()  # what is heard and what comes from above, to latents
        self.codebooks = nn.ModuleDict()
        self.decoders = nn.ModuleDict()
        for level in Level:
            shape = block_shape(config, level, level)
            heard = 1 if level is Level.BOTTOM else width
            written = 1 if level is Level.BOTTOM and not config.audio_head else width
            sources = 1 if level is Level.TOP else 2
            self.encoders[level.label] = DownsampleBlock(heard, config.widths[level], width, **shape)
            self.merges[level.label] = Conv1d(sources * width, width, 1) if sources > 1 else nn.Identity()
            self.codebooks[level.label] = Codebook(config.codebook_size, width)
            self.decoders[level.label] = UpsampleBlock(
                sources * width, config.widths[level], written, reverse=True, **shape
            )
        self.head = Conv1d(width, 1, 3, padding=1) if config.audio_head else nn.Identity()

    def codebook(self, level: Level) -> Codebook:
        """The codebook of one level."""
        module = self.codebooks[level.label]
        assert isinstance(module, Codebook)
        return module

    def forward(self, audio: Tensor, *, quantize: bool = True) -> dict[Level, Reconstruction]:
        """Audio (B, N), N a multiple of the top hop, there and back; every level's result holds the one audio (B, N).

        The gradient passes the codebooks straight through. Without `quantize` the latents go on as they are.
        """
        heard = self._heard(audio)
        latents, quantized, codes = {}, {}, {}
        carried: Tensor | None = None
        for level in DOWNWARDS:
            latents[level] = _to_frames(self.merges[level.label](_beside(heard[level], carried))).float()
            if quantize:
                codes[level] = self.codebook(level).encode(latents[level].detach())
                quantized[level] = self.codebook(level).decode(codes[level])
            else:
                codes[level] = torch.zeros(len(audio), 0, dtype=torch.int64, device=audio.device)
                quantized[level] = latents[level]
            passed = latents[level] + (quantized[level] - latents[level]).detach()
            carried = self.decoders[level.label](_beside(_from_frames(passed), carried))
        written = self._written(carried)
        return {level: Reconstruction(written, latents[level], quantized[level], codes[level]) for level in Level}

    def decode(self, codes: Mapping[Level, Tensor]) -> Tensor:
        """The audio (B, T * hop) of the top codes (B, T) and of the lower ones given; the rest count as zeros."""
        carried: Tensor | None = None
        batch, frames = codes[Level.TOP].shape
        for level in DOWNWARDS:
            codebook = self.codebook(level)
            length = frames * self.config.hop(Level.TOP) // self.config.hop(level)
            nothing = codebook.vectors.new_zeros(batch, length, self.config.latent_width)
            vectors = codebook.decode(codes[level]) if level in codes else nothing
            carried = self.decoders[level.label](_beside(_from_frames(vectors), carried))
        return self._written(carried)

    def _heard(self, audio: Tensor) -> dict[Level, Tensor]:
        """What the encoders make of audio (B, N): (B, D, 1, T) of each level."""
        heard, signal = {}, to_channels_last(audio.unsqueeze(1))
        for level in Level:
            signal = heard[level] = self.encoders[level.label](signal)
        return heard

    def _written(self, carried: Tensor | None) -> Tensor:
        audio: Tensor = self.head(carried)
        return audio.squeeze(2).squeeze(1)


def _beside(signal: Tensor, carried: Tensor | None) -> Tensor:
    """Channels of a level's own beside those from above, (B, D, 1, T) each; the top has none above it."""
    return signal if carried is None else torch.cat([signal, carried], dim=1)


def _to_frames(signal: Tensor) -> Tensor:
    """(B, D, 1, T) to (B, T, D)."""
    return signal.squeeze(2).transpose(1, 2)


def _from_frames(latents: Tensor) -> Tensor:
    """(B, T, D) to (B, D, 1, T)."""
    return to_channels_last(latents.transpose(1, 2))
