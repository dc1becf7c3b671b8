"""Encoding and decoding of any length in chunks, with constant memory and the result of a single pass.

Each chunk is computed with the neighbouring frames that it depends on (the network's reach), whose output is dropped.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
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
    """Yield chunks of at most `size` frames that cover 0..total, each with up to `reach` frames on both sides."""
    for start in range(0, total, size):
        yield _chunk(start, total, size=size, reach=reach)


def _chunk(start: int, total: int, *, size: int, reach: int) -> Chunk:
    stop = min(start + size, total)
    return Chunk(start, stop, max(0, start - reach), min(total, stop + reach))


@torch.inference_mode()
def encode(
    vqvae: VQVAE,
    audio: Tensor,
    level: Level,
    *,
    chunk_seconds: float = CHUNK_SECONDS,
    watch: Callable[[int], None] = lambda frames: None,
) -> Tensor:
    """Encode audio (B, N) to codes (B, N // hop) on the CPU, int64. Samples after the last whole code are dropped."""
    hop = vqvae.config.hop(level)
    reach = vqvae.autoencoder(level).encoder.reach
    pieces = []
    for chunk in plan_chunks(audio.shape[-1] // hop, size=_frames(vqvae, level, chunk_seconds), reach=reach):
        codes = vqvae.encode(audio[:, chunk.from_ * hop : chunk.to * hop], level)
        pieces.append(codes[:, chunk.start - chunk.from_ : chunk.stop - chunk.from_].cpu())
        watch(chunk.stop)
    return torch.cat(pieces, dim=1) if pieces else torch.zeros(len(audio), 0, dtype=torch.int64)


class StreamEncoder:
    """Encodes audio of one level block by block, in the chunks of `encode`; keeps only what the next chunk needs."""

    def __init__(self, vqvae: VQVAE, level: Level, *, multiple: int, chunk_seconds: float = CHUNK_SECONDS) -> None:
        """Prepare to encode audio, truncated at its end to a `multiple` of samples (a multiple of the hop)."""
        self._vqvae = vqvae
        self._level = level
        self._hop = vqvae.config.hop(level)
        self._multiple = multiple
        self._size = _frames(vqvae, level, chunk_seconds)
        self._reach = vqvae.autoencoder(level).encoder.reach
        self._audio = torch.zeros(0)  # from the frame _first on
        self._first = 0
        self._frames = 0  # encoded so far
        self._codes: list[np.ndarray] = []

    def push(self, audio: Tensor) -> None:
        """Add the next samples (n,)."""
        self._audio = torch.cat([self._audio, audio])
        total = self._known()
        while self._frames + self._size + self._reach <= total:
            self._encode(_chunk(self._frames, total, size=self._size, reach=self._reach))

    def finish(self) -> np.ndarray:
        """Return all codes (frames,), uint16, after the last samples."""
        total = self._known()
        while self._frames < total:
            self._encode(_chunk(self._frames, total, size=self._size, reach=self._reach))
        return np.concatenate(self._codes) if self._codes else np.zeros(0, dtype=np.uint16)

    def _known(self) -> int:
        """Return the number of complete frames, which further audio cannot change."""
        samples = self._first * self._hop + len(self._audio)
        return samples // self._multiple * self._multiple // self._hop

    @torch.inference_mode()
    def _encode(self, chunk: Chunk) -> None:
        device = next(self._vqvae.parameters()).device
        span = self._audio[(chunk.from_ - self._first) * self._hop : (chunk.to - self._first) * self._hop]
        codes = self._vqvae.encode(span[None].to(device), self._level)
        wanted = codes[0, chunk.start - chunk.from_ : chunk.stop - chunk.from_]
        self._codes.append(wanted.cpu().numpy().astype(np.uint16))
        self._frames = chunk.stop
        first = max(0, chunk.stop - self._reach)
        self._audio, self._first = self._audio[(first - self._first) * self._hop :].clone(), first


@torch.inference_mode()
def decode(vqvae: VQVAE, codes: Tensor, level: Level, *, chunk_seconds: float = CHUNK_SECONDS) -> Iterator[Tensor]:
    """Yield the audio of codes (B, T) piece by piece: tensors (B, n) on the CPU that join without a seam."""
    hop = vqvae.config.hop(level)
    reach = vqvae.autoencoder(level).decoder.reach
    for chunk in plan_chunks(codes.shape[-1], size=_frames(vqvae, level, chunk_seconds), reach=reach):
        audio = vqvae.decode(codes[:, chunk.from_ : chunk.to], level)
        start = (chunk.start - chunk.from_) * hop
        yield audio[:, start : start + (chunk.stop - chunk.start) * hop].cpu()


def settled(vqvae: VQVAE, level: Level, codes: int) -> int:
    """Return how many of so many codes have audio that further codes do not change. Decoding may begin after them."""
    stages = vqvae.config.stages(level)
    return max(0, codes - vqvae.autoencoder(level).decoder.reach) // stages * stages


def _frames(vqvae: VQVAE, level: Level, seconds: float) -> int:
    stages = vqvae.config.stages(level)  # chunks begin where a latent does
    return max(1, round(seconds * vqvae.config.codes_per_second(level) / stages)) * stages
