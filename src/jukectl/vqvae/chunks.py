"""Encoding and decoding of any length in chunks: memory stays flat, and the result is the unchunked one.

Every chunk is given the neighbours that its result depends on (the network's reach), and what those give is cut off.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from jukectl.codes.level import Level
from jukectl.vqvae.model import VQVAE

CHUNK_SECONDS = 8.0  # of audio, without the neighbours


@dataclass(frozen=True)
class Chunk:
    """A span of frames, and the wider one that must be computed for it."""

    start: int
    stop: int
    from_: int  # first frame fed to the network
    to: int  # one past the last


def plan_chunks(total: int, *, size: int, reach: int) -> Iterator[Chunk]:
    """Chunks of at most `size` frames that cover 0..total, each with `reach` frames around it where there are any."""
    for start in range(0, total, size):
        stop = min(start + size, total)
        yield Chunk(start, stop, max(0, start - reach), min(total, stop + reach))


@torch.inference_mode()
def encode(
    vqvae: VQVAE,
    audio: Tensor,
    level: Level,
    *,
    chunk_seconds: float = CHUNK_SECONDS,
    watch: Callable[[int], None] = lambda frames: None,
) -> Tensor:
    """Audio (B, N) to codes (B, N // hop) on the CPU, int64. Samples past the last whole code are left out."""
    hop = vqvae.config.hop(level)
    reach = vqvae.autoencoder(level).encoder.reach
    pieces = []
    for chunk in plan_chunks(audio.shape[-1] // hop, size=_frames(vqvae, level, chunk_seconds), reach=reach):
        codes = vqvae.encode(audio[:, chunk.from_ * hop : chunk.to * hop], level)
        pieces.append(codes[:, chunk.start - chunk.from_ : chunk.stop - chunk.from_].cpu())
        watch(chunk.stop)
    return torch.cat(pieces, dim=1) if pieces else torch.zeros(len(audio), 0, dtype=torch.int64)


@torch.inference_mode()
def decode(vqvae: VQVAE, codes: Tensor, level: Level, *, chunk_seconds: float = CHUNK_SECONDS) -> Iterator[Tensor]:
    """The audio of codes (B, T), piece by piece: tensors (B, n) on the CPU that follow one another without a seam."""
    hop = vqvae.config.hop(level)
    reach = vqvae.autoencoder(level).decoder.reach
    for chunk in plan_chunks(codes.shape[-1], size=_frames(vqvae, level, chunk_seconds), reach=reach):
        audio = vqvae.decode(codes[:, chunk.from_ : chunk.to], level)
        start = (chunk.start - chunk.from_) * hop
        yield audio[:, start : start + (chunk.stop - chunk.start) * hop].cpu()


def _frames(vqvae: VQVAE, level: Level, seconds: float) -> int:
    return max(1, round(seconds * vqvae.config.codes_per_second(level)))
