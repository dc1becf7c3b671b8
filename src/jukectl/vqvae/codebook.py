"""The bottleneck of one level: a codebook learned by moving averages, with random restarts.

Jukebox, section 3.1; the moving averages are those of van den Oord et al. 2017, appendix A.1.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jukectl.codes.archive import entropy_bits

ROWS = 8_192  # latents compared with the codebook at once, which bounds the memory for distances
USED_SHARE = 0.25  # of the mean usage, from which a vector counts as used
SMALLEST_COUNT = 1e-5  # mean usage below which the ratio of a vector's averages is dominated by rounding


class Codebook(nn.Module):
    """Nearest-neighbour quantizer. B batch, T frames, D latent width, K codebook size."""

    vectors: Tensor  # (K, D)

    def __init__(self, codebook_size: int, latent_width: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(codebook_size, latent_width))

    @torch.no_grad()
    def encode(self, latents: Tensor) -> Tensor:
        """Return the codes (B, T), int64, of the vectors nearest to latents (B, T, D)."""
        # |z - e|^2 = |z|^2 - 2 z.e + |e|^2, and |z|^2 is the same for every e
        half_norms = self.vectors.square().sum(1) / 2
        flat = latents.reshape(-1, latents.shape[-1]).to(self.vectors.dtype)
        nearest = []
        with torch.autocast(latents.device.type, enabled=False):  # in bfloat16 another vector often seems nearer
            for rows in torch.split(flat, ROWS):
                nearest.append(torch.addmm(half_norms, rows, self.vectors.T, alpha=-1).argmin(-1))
        return torch.cat(nearest).view(latents.shape[:-1])

    def decode(self, codes: Tensor) -> Tensor:
        """Return the vectors (B, T, D) of codes (B, T)."""
        return F.embedding(codes, self.vectors)


@dataclass(frozen=True)
class CodebookUsage:
    """Codebook usage of a batch."""

    entropy: float  # bits, of the codes of this batch
    used: int  # vectors used at least a quarter as often as the mean
    restarted: int  # vectors set to a random latent


class Peers(Protocol):
    """Processes that train one codebook together, each with an equal share of a step's latents."""

    @property
    def rank(self) -> int:
        """Index of this process's share."""
        ...

    @property
    def world(self) -> int:
        """Number of processes."""
        ...

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of the tensors of all processes, bit-identical on each."""
        ...


class NoPeers:
    """A single process."""

    rank = 0
    world = 1

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the tensor unchanged."""
        return tensor


class CodebookLearner(nn.Module):
    """Moves a codebook towards the latents assigned to it, and restarts unused vectors.

    Each vector is the ratio of two moving averages: the sum of its latents and their number. A vector whose number
    falls below `threshold` per batch is set to a random latent of the batch, with the mean usage.

    Several processes sum their statistics and pick from all their latents, so that their codebooks are the same, bit
    for bit, and are what a single process would have of the whole batch.
    """

    sums: Tensor  # (K, D)
    counts: Tensor  # (K,)
    started: Tensor  # () bool

    def __init__(self, codebook: Codebook, *, decay: float = 0.99, threshold: float = 1.0) -> None:
        super().__init__()
        self.decay = decay
        self.threshold = threshold  # 0 never restarts
        self.register_buffer("sums", torch.zeros_like(codebook.vectors))
        self.register_buffer("counts", torch.zeros(len(codebook.vectors)))
        self.register_buffer("started", torch.tensor(False))

    @torch.no_grad()
    def start(self, codebook: Codebook, latents: Tensor, generator: torch.Generator) -> None:
        """Set every vector to a random one of the latents (B, T, D)."""
        codebook.vectors.copy_(self._picks(codebook, latents, generator, NoPeers()))
        self.take_up(codebook)

    @torch.no_grad()
    def take_up(self, codebook: Codebook) -> None:
        """Start the averages from the codebook's present vectors."""
        self.counts.fill_(math.e * self.threshold or 1.0)  # a restart after 1/(1 - decay) steps of disuse
        self.sums.copy_(codebook.vectors * self.counts[0])
        self.started.fill_(True)

    @torch.no_grad()
    def update(
        self,
        codebook: Codebook,
        latents: Tensor,
        codes: Tensor,
        generator: torch.Generator,
        peers: Peers = NoPeers(),  # noqa: B008, it holds nothing
    ) -> CodebookUsage:
        """Update the averages with this process's share of a batch: latents (B, T, D) and their codes (B, T).

        `generator` must be in the same state in all processes. The returned usage is that of the whole batch.
        """
        size, width = codebook.vectors.shape
        flat = latents.reshape(-1, width).to(self.sums.dtype)
        numbers = peers.sum(torch.bincount(codes.flatten(), minlength=size).to(self.counts.dtype))
        totals = peers.sum(torch.zeros_like(self.sums).index_add_(0, codes.flatten(), flat))
        self.sums.mul_(self.decay).add_(totals, alpha=1 - self.decay)
        self.counts.mul_(self.decay).add_(numbers, alpha=1 - self.decay)

        used = int((self.counts >= USED_SHARE * numbers.mean()).sum())
        dead = self.counts < self.threshold
        if dead.any():
            self.sums[dead] = self._picks(codebook, latents, generator, peers)[dead] * numbers.mean()
            self.counts[dead] = numbers.mean()
        known = self.counts > SMALLEST_COUNT  # without restarts, unused vectors do not move
        codebook.vectors[known] = self.sums[known] / self.counts[known].unsqueeze(1)

        return CodebookUsage(entropy_bits(numbers.cpu().numpy()), used, int(dead.sum()))

    def _picks(self, codebook: Codebook, latents: Tensor, generator: torch.Generator, peers: Peers) -> Tensor:
        """Pick a random latent for every vector (K, D), with a little noise if there are fewer latents than vectors."""
        size, width = codebook.vectors.shape
        flat = latents.reshape(-1, width).to(self.sums.dtype)
        total = len(flat) * peers.world
        if total >= size:
            rows = torch.randperm(total, generator=generator)[:size]
            noise = torch.zeros(())
        else:
            rows = torch.randint(total, (size,), generator=generator)
            noise = torch.randn(size, width, generator=generator) * 0.01 / width**0.5
        rows = rows.to(flat.device) - peers.rank * len(flat)  # those of this process's share are 0 and up
        mine = (rows >= 0) & (rows < len(flat))
        picks = torch.zeros_like(codebook.vectors)
        picks[mine] = flat[rows[mine]]
        return peers.sum(picks) + noise.to(flat)
