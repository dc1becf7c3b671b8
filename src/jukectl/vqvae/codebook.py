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
    """Nearest-neighbour quantizer. B batch, T codes, D latent width, K codebook size.

    With several `stages`, each latent has as many codes: the first is of the latent, each other one of what the vectors
    before it leave over (Zeghidour et al. 2021). Every stage has its own K / stages of the vectors, in turn, so that a
    code tells its stage.
    """

    vectors: Tensor  # (K, D)

    def __init__(self, codebook_size: int, latent_width: int, stages: int = 1) -> None:
        super().__init__()
        self.stages = stages
        self.register_buffer("vectors", torch.zeros(codebook_size, latent_width))

    @torch.no_grad()
    def encode(self, latents: Tensor) -> Tensor:
        """Return the codes (B, T), int64, of the vectors nearest to latents (B, T / stages, D)."""
        rest = latents.reshape(-1, latents.shape[-1]).to(self.vectors.dtype)
        stages = []
        for stage in range(self.stages):
            stages.append(self.nearest(rest, stage))
            rest = rest - self.vectors[stages[-1]] if stage + 1 < self.stages else rest
        return torch.stack(stages, dim=-1).view(*latents.shape[:-2], -1)

    @torch.no_grad()
    def nearest(self, latents: Tensor, stage: int) -> Tensor:
        """Return the codes (n,), int64, of the vectors of one stage that are nearest to latents (n, D)."""
        size = len(self.vectors) // self.stages
        vectors = self.vectors[stage * size : (stage + 1) * size]
        # |z - e|^2 = |z|^2 - 2 z.e + |e|^2, and |z|^2 is the same for every e
        half_norms = vectors.square().sum(1) / 2
        with torch.autocast(latents.device.type, enabled=False):  # in bfloat16 another vector often seems nearer
            nearest = [
                torch.addmm(half_norms, rows, vectors.T, alpha=-1).argmin(-1) for rows in torch.split(latents, ROWS)
            ]
        return torch.cat(nearest) + stage * size

    def decode(self, codes: Tensor) -> Tensor:
        """Return the sums (B, ceil(T / stages), D) of the vectors of each latent's codes, of all codes (B, T)."""
        whole = F.embedding(codes, self.vectors)
        if self.stages == 1:
            return whole
        padded = F.pad(whole, (0, 0, 0, -codes.shape[-1] % self.stages))
        return padded.view(*codes.shape[:-1], -1, self.stages, whole.shape[-1]).sum(-2)

    @torch.no_grad()
    def rests(self, latents: Tensor, codes: Tensor) -> Tensor:
        """Return what each of the codes (B, T) stands for (n, D): the latents less the vectors of the stages before."""
        flat = latents.reshape(-1, 1, latents.shape[-1]).to(self.vectors.dtype)
        vectors = F.embedding(codes, self.vectors).view(-1, self.stages, flat.shape[-1])
        return (flat - (vectors.cumsum(1) - vectors)).flatten(0, 1)


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
        """Set every vector to a random one of the latents (B, T / stages, D), or of what stages before leave over."""
        rest = latents.reshape(-1, latents.shape[-1]).to(codebook.vectors.dtype)
        size = len(codebook.vectors) // codebook.stages
        for stage in range(codebook.stages):
            rests = rest.repeat_interleave(codebook.stages, dim=0)
            mine = slice(stage * size, (stage + 1) * size)
            codebook.vectors[mine] = self._picks(codebook, rests, generator, NoPeers())[mine]
            rest = rest - codebook.vectors[codebook.nearest(rest, stage)]
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
        """Update the averages with this process's share of a batch: latents (B, T / stages, D), their codes (B, T).

        `generator` must be in the same state in all processes. The returned usage is that of the whole batch.
        """
        size = len(codebook.vectors)
        flat = codebook.rests(latents, codes).to(self.sums.dtype)
        numbers = peers.sum(torch.bincount(codes.flatten(), minlength=size).to(self.counts.dtype))
        totals = peers.sum(torch.zeros_like(self.sums).index_add_(0, codes.flatten(), flat))
        self.sums.mul_(self.decay).add_(totals, alpha=1 - self.decay)
        self.counts.mul_(self.decay).add_(numbers, alpha=1 - self.decay)

        used = int((self.counts >= USED_SHARE * numbers.mean()).sum())
        dead = self.counts < self.threshold
        if dead.any():
            self.sums[dead] = self._picks(codebook, flat, generator, peers)[dead] * numbers.mean()
            self.counts[dead] = numbers.mean()
        known = self.counts > SMALLEST_COUNT  # without restarts, unused vectors do not move
        codebook.vectors[known] = self.sums[known] / self.counts[known].unsqueeze(1)

        return CodebookUsage(entropy_bits(numbers.cpu().numpy()), used, int(dead.sum()))

    def _picks(self, codebook: Codebook, rests: Tensor, generator: torch.Generator, peers: Peers) -> Tensor:
        """Pick a random one of what codes stand for (n, D) for every vector (K, D), of the vector's stage.

        There is a little noise in them if there are fewer than vectors.
        """
        size, width = codebook.vectors.shape
        total = len(rests) * peers.world
        if total >= size:
            rows = torch.randperm(total, generator=generator)[:size]
            noise = torch.zeros(())
        else:
            rows = torch.randint(total, (size,), generator=generator)
            noise = torch.randn(size, width, generator=generator) * 0.01 / width**0.5
        stages = codebook.stages
        rows = rows // stages * stages + torch.arange(size) // (size // stages)
        rows = rows.to(rests.device) - peers.rank * len(rests)  # those of this process's share are 0 and up
        mine = (rows >= 0) & (rows < len(rests))
        picks = torch.zeros_like(codebook.vectors)
        picks[mine] = rests[rows[mine]]
        return peers.sum(picks) + noise.to(rests)
