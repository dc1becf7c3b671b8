"""Low-rank adapters: fine-tuning of a prior by few parameters, its own weights frozen (Hu et al. 2021, LoRA).

A layer x W + b becomes x (W + s D U) + b: D (in, rank) and U (rank, out) are trained, W and b are frozen. U is
initialised to zero, so an adapted prior first computes what the prior does. New names get whole embedding rows.
"""

import math
from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jukectl.prior.config import AdapterConfig, Target
from jukectl.prior.layers import Affine
from jukectl.prior.model import Prior

ARTISTS = "artist_genre.artist"
GENRES = "artist_genre.genre"
"""Embeddings that grow with the vocabulary."""


class LowRank(nn.Module):
    """x D U, initialised to zero."""

    def __init__(self, width_in: int, width_out: int, rank: int) -> None:
        super().__init__()
        # only one factor is zero: with both, neither would have a gradient. This std keeps x D at the variance of x
        self.down = nn.Parameter(torch.empty(width_in, rank).normal_(std=1 / math.sqrt(width_in)))
        self.up = nn.Parameter(torch.zeros(rank, width_out))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        return (x @ self.down) @ self.up  # in this order: D U is as large as W


class LowRankAffine(Affine):
    """A frozen affine map plus a scaled low-rank term that is trained."""

    def __init__(self, base: Affine, term: LowRank, scale: float) -> None:
        nn.Module.__init__(self)  # the weights are those of `base`, not new ones
        self.weight = base.weight
        self.bias = base.bias
        self.term = term
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        term: Tensor = self.term(x)
        return super().forward(x) + self.scale * term

    def step(self, x: Tensor, alpha: float = 1.0, beta: float = 1.0) -> Tensor:
        """Return alpha x (W + s D U) + beta b, (R, out), for rows (R, in)."""
        term: Tensor = self.term(x)
        return super().step(x, alpha, beta) + alpha * self.scale * term


class NewRows(nn.Module):
    """Last rows of an embedding, which are trained."""

    def __init__(self, embedding: nn.Embedding, count: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(embedding.weight[-count:].detach().clone())


class PartlyNewEmbedding(nn.Embedding):
    """An embedding that is frozen except for its last rows."""

    def __init__(self, base: nn.Embedding, new: NewRows) -> None:
        known = base.weight[: -len(new.rows)].detach()
        super().__init__(len(known), base.embedding_dim, _weight=known)
        self.weight.requires_grad_(False)
        self.new = new

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids (...) to vectors (..., width)."""
        # one table of all rows for each pass: a few thousand rows cost less than two lookups and a choice between them
        return F.embedding(ids, torch.cat([self.weight, self.new.rows]))


class Adapter(nn.Module):
    """Trained parameters of an adapted prior. Tensors are named after the prior's layer, with .down, .up or .rows.

    Modules are nested as in the prior, so that a state dict of the adapter alone has these names.
    """

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, part in parts.items():
            *path, last = name.split(".")
            place: nn.Module = self
            for step in path:
                if step not in dict(place.named_children()):
                    place.add_module(step, nn.Module())
                place = place.get_submodule(step)
            place.add_module(last, part)


def attach(prior: Prior, config: AdapterConfig, *, new_artists: int = 0, new_genres: int = 0) -> Adapter:
    """Adapt a prior in place: freeze it, and return the adapter, which alone is trained from now on.

    The last `new_artists` and `new_genres` rows of those embeddings are trained too, see `grow_vocabulary`.
    """
    prior.requires_grad_(False)  # before the adapter is attached, whose parameters stay trainable
    parts: dict[str, nn.Module] = {}
    for name in targets_of(prior, config.targets):
        base = prior.get_submodule(name)
        assert isinstance(base, Affine)
        parts[name] = term = LowRank(base.weight.shape[0], base.weight.shape[1], config.rank)
        _replace(prior, name, LowRankAffine(base, term, config.scale))
    for name, count in ((ARTISTS, new_artists), (GENRES, new_genres)):
        if count:
            embedding = prior.get_submodule(name)
            assert isinstance(embedding, nn.Embedding)
            parts[name] = new = NewRows(embedding, count)
            _replace(prior, name, PartlyNewEmbedding(embedding, new))
    return Adapter(parts).to(prior.device)


def targets_of(prior: Prior, targets: Iterable[Target]) -> list[str]:
    """Return the names of the layers that `targets` select, in every block."""
    names = [f"transformer.blocks.{number}.{target}" for number in range(prior.config.depth) for target in targets]
    # cross-attention has no qkv: its queries and keys come from different sequences
    return [name for name in names if _layer(prior, name) is not None]


@torch.no_grad()
def merge(prior: Prior, tensors: Mapping[str, Tensor], scale: float) -> None:
    """Add the low-rank terms of an adapter, `scale` times D U, to the weights of a prior, in place.

    `tensors` are those of an Adapter; embedding rows among them are ignored. Raises ValueError for a layer that the
    prior does not have, or that has another shape there.
    """
    for name in sorted(name.removesuffix(".down") for name in tensors if name.endswith(".down")):
        layer = _layer(prior, name)
        down, up = tensors[f"{name}.down"].float(), tensors.get(f"{name}.up", torch.empty(0, 0)).float()
        if layer is None or down.shape[1] != up.shape[0] or layer.weight.shape != (down.shape[0], up.shape[1]):
            raise ValueError(f"{name} is no layer of this prior, or one of another shape")
        product = (down @ up).to(layer.weight.device)
        # summed in float32 and rounded once: in bfloat16 most of a small update would be rounded away
        layer.weight.copy_(layer.weight.float() + scale * product)


def _layer(prior: Prior, name: str) -> Affine | None:
    try:
        layer = prior.get_submodule(name)
    except AttributeError:
        return None
    return layer if isinstance(layer, Affine) else None


def _replace(module: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, part)
