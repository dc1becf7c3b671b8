"""Chunk length of the codec: memory for a length, and the longest that fits."""

from functools import cache

from jukectl.codes.level import Level
from jukectl.nn.unallocated import unallocated
from jukectl.vqvae.chunks import CHUNK_SECONDS
from jukectl.vqvae.codebook import ROWS
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.model import VQVAE

NUMBER = 4  # bytes: the codec is in float32
LIBRARIES = 32 * 2**20  # bytes that the mathematical libraries allocate when first used
SMALLEST = 1.0  # seconds

SIGNALS = 20
"""Tensors of the widest signal that exist at once: those of a block, and buffers of the kernels for each length."""


def settle_chunk(config: VQVAEConfig, level: Level, memory: int) -> float:
    """Return the longest chunk in seconds that fits in `memory` bytes, from `CHUNK_SECONDS` by halves to `SMALLEST`."""
    seconds = CHUNK_SECONDS
    while seconds > SMALLEST and codec_bytes(config, level, seconds) > memory:
        seconds = max(seconds / 2, SMALLEST)
    return seconds


def codec_bytes(config: VQVAEConfig, level: Level, seconds: float) -> int:
    """Return the peak bytes of a level of the codec, weights included, for chunks of `seconds`."""
    reach, parameters = _about(config, level)
    codes = round(seconds * config.codes_per_second(level)) + 2 * reach
    samples = codes * config.hop(level)
    if config.is_log_mel(level):
        spectra = samples // config.mel_hop
        signals = 4 * spectra * config.mel_window + SIGNALS * spectra * config.widths[level]
        return LIBRARIES + NUMBER * (parameters + max(signals, min(codes, ROWS) * config.codebook_size))
    widest = 2 * config.latent_width * codes
    for step in range(level + 1):  # from the waveform up, the order of the encoder; the decoder reverses it
        for _ in range(config.downs[step]):
            samples //= config.strides[step]
            widest = max(widest, samples * config.widths[level])
    distances = min(codes, ROWS) * config.codebook_size
    return LIBRARIES + NUMBER * (parameters + max(SIGNALS * widest, distances))


@cache
def _about(config: VQVAEConfig, level: Level) -> tuple[int, int]:
    """Return the reach in codes and the number of parameters of a level."""
    with unallocated():
        vqvae = VQVAE(config, (level,))
    tensors = vqvae.state_dict().values()
    return vqvae.autoencoder(level).decoder.reach, sum(tensor.numel() for tensor in tensors)
