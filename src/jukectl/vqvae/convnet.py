"""The encoder and the decoder of one level: strided blocks of dilated residual stacks, mirrored."""

from typing import Any

from torch import Tensor, nn

from jukectl.codes.level import Level
from jukectl.nn.dilated import Conv1d, DownsampleBlock, UpsampleBlock, residual_scale, to_channels_last
from jukectl.vqvae.config import VQVAEConfig


class Encoder(nn.Module):
    """Audio to latents at one level. B batch, N samples, T = N / hop frames, D latent width."""

    def __init__(self, config: VQVAEConfig, level: Level) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            DownsampleBlock(
                1 if step == 0 else config.latent_width,
                config.widths[level],
                config.latent_width,
                **block_shape(config, level, step),
            )
            for step in range(level + 1)
        )
        self.reach = _reach(config, level)

    def forward(self, audio: Tensor) -> Tensor:
        """Audio (B, N), N a multiple of the hop, to latents (B, T, D)."""
        signal = to_channels_last(audio.unsqueeze(1))
        for block in self.blocks:
            signal = block(signal)
        return signal.squeeze(2).transpose(1, 2)


class Decoder(nn.Module):
    """Latents of one level to audio."""

    def __init__(self, config: VQVAEConfig, level: Level) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            UpsampleBlock(
                config.latent_width,
                config.widths[level],
                config.latent_width if step > 0 or config.audio_head else 1,
                reverse=True,
                balanced=config.upsampling == "balanced",
                **block_shape(config, level, step),
            )
            for step in reversed(range(level + 1))
        )
        self.head = Conv1d(config.latent_width, 1, 3, padding=1) if config.audio_head else nn.Identity()
        self.reach = _reach(config, level)

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (B, T, D) to audio (B, N)."""
        signal = to_channels_last(latents.transpose(1, 2))
        for block in self.blocks:
            signal = block(signal)
        audio: Tensor = self.head(signal)
        return audio.squeeze(2).squeeze(1)


def block_shape(config: VQVAEConfig, level: Level, step: int) -> dict[str, Any]:
    """Return the settings shared by block `step` of the encoder and the decoder."""
    return {
        "depth": config.depths[level],
        "downs": config.downs[step],
        "stride": config.strides[step],
        "growth": config.dilation_growth,
        "cycle": config.dilation_cycle,
        "scale": residual_scale(config.depths[level], config.scale_residuals),
        "hidden_multiplier": config.hidden_multiplier,
    }


def _reach(config: VQVAEConfig, level: Level) -> int:
    """Codes to either side beyond which nothing changes a code's latent, or the audio of a code's own span.

    Walks from the waveform up; every convolution adds its half-width at the rate it works at.
    """
    depth, growth = config.depths[level], config.dilation_growth
    stack = sum(growth ** (index % (config.dilation_cycle or depth)) for index in range(depth))
    reach, hop = 1, 1  # in audio samples; 1 for the head's convolution
    for step in range(level + 1):
        for _ in range(config.downs[step]):
            reach += hop * config.strides[step]  # half of the strided kernel, rounded up
            hop *= config.strides[step]
            reach += hop * stack
        reach += hop  # the block's projection, kernel 3
    return -(-reach // hop) + 1
