"""Packed priors in the user's cache: packed once for each part and precision, and mapped into memory after that."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import torch
from torch import Tensor

from jukectl.checkpoints.published import size
from jukectl.checkpoints.store import ModelFolder
from jukectl.checkpoints.weights import Weights
from jukectl.codes.level import Level
from jukectl.errors import CannotWrite
from jukectl.files import make_folder, remove_file, sweep
from jukectl.native import packed_file
from jukectl.native.library import library
from jukectl.native.packed_file import NotPacked
from jukectl.native.packing import PANEL, Packed, Precision
from jukectl.nn.unallocated import unallocated
from jukectl.prior.config import PriorConfig
from jukectl.prior.matrices import PackedPrior, keeps_packed, matrix_names, packed_bytes, packed_matrix
from jukectl.prior.model import Prior
from jukectl.progress import Listener, Remark, ignore, warn

SUFFIX = ".packed"


def cache_folder() -> Path:
    """Return the folder of packed priors, which may not exist."""
    return platformdirs.user_cache_path("jukectl") / "packed"


@dataclass(frozen=True)
class Cached:
    """A packed prior in the cache."""

    path: Path
    model: str  # "" for a file that cannot be read
    level: str
    precision: str
    bytes: int


def cached() -> list[Cached]:
    """Return the packed priors in the cache."""
    found = []
    for path in sorted(cache_folder().glob(f"*{SUFFIX}")):
        try:
            stated = packed_file.about(path)
        except NotPacked:
            stated = {}
        with suppress(OSError):  # removed by another process
            model, level, precision = (str(stated.get(key, "")) for key in ("model", "level", "precision"))
            found.append(Cached(path, model, level, precision, path.stat().st_size))
    return found


def clear() -> list[Cached]:
    """Remove the packed priors from the cache, and what killed processes left there; return them. CannotWrite."""
    gone = cached()
    for one in gone:
        remove_file(one.path)
    sweep(cache_folder())
    return gone


def decoding_prior(
    model: ModelFolder,
    level: Level,
    device: torch.device,
    dtype: torch.dtype,
    precision: str,
    listener: Listener = ignore,
) -> Prior:
    """Load a level's prior to sample with it: a large one for the compiled step alone, see `PackedPrior`."""
    key = level, device, dtype, precision
    return model.kept(key, lambda: _decoding_prior(model, level, device, dtype, precision, listener))


def _decoding_prior(
    model: ModelFolder, level: Level, device: torch.device, dtype: torch.dtype, precision: str, listener: Listener
) -> Prior:
    config = model.card.priors[level]
    fingerprint = model.fingerprint(level.label) if device.type == "cpu" and keeps_packed(config, precision) else ""
    if not fingerprint or model.is_adapted(level):
        return model.prior(level, device, dtype)
    model.check_weights(level.label)
    weights = model.weights(level.label)
    matrices = _matrices(model, level, precision, fingerprint, weights, listener)
    names = matrix_names(config)
    left_out = {name for key, one in names.items() if key != "head" for name in (one.weight, one.bias)}
    rest = {name: place for name, place in weights.places.items() if name not in left_out}
    with unallocated():
        prior = PackedPrior(config, Precision[precision.upper()], matrices)
    # not strict, since the matrices stay on the meta device; names and shapes are checked in `weights`
    prior.load_state_dict(Weights(rest, weights.twins).load(device, dtype), strict=False, assign=True)
    prior.stage_vectors = model.stage_vectors(level, device)
    return prior.requires_grad_(False).eval()


def _matrices(
    model: ModelFolder, level: Level, precision: str, fingerprint: str, weights: Weights, listener: Listener
) -> dict[str, Packed]:
    """Return a prior's packed matrices from the cache; they are packed first if they are not there, or damaged."""
    found, config = library(), model.card.priors[level]
    assert found is not None
    # the order of weights differs between processors, which may share a home
    together = found.jukectl_bytes_together()
    path = cache_folder() / f"{fingerprint[:32]}-{precision}-{together}{SUFFIX}"
    with suppress(NotPacked):
        matrices = packed_file.read(path)
        if _fit(config, matrices):
            return matrices
    needed = size(packed_bytes(config, precision))
    listener(Remark("pack", f"packing the {level.label} prior in {precision}, once: {needed} in {path.parent}"))
    about = {"model": model.card.name, "level": level.label, "precision": precision}
    try:
        make_folder(path.parent)
        packed_file.write(path, _packed(config, Precision[precision.upper()], weights, together), about)
        return packed_file.read(path)
    except (CannotWrite, NotPacked) as error:
        warn(listener, f"the {level.label} prior is packed again each time: {error}")
        return dict(_packed(config, Precision[precision.upper()], weights, together))


def _fit(config: PriorConfig, matrices: dict[str, Packed]) -> bool:
    """Return True if a file holds the matrices of a prior."""
    return matrices.keys() == matrix_names(config).keys() and all(
        one.outputs % PANEL == 0 and one.arrays["weight"].size == one.inputs * one.outputs for one in matrices.values()
    )


def _packed(config: PriorConfig, precision: Precision, weights: Weights, together: int) -> Iterator[tuple[str, Packed]]:
    """Pack the matrices of a prior one by one: two of them are in memory, in float32 and packed."""
    with weights.reading(torch.float32) as reading:

        def tensor(name: str) -> Tensor:
            return reading.tensor(name, torch.device("cpu"), torch.float32)

        for name, one in matrix_names(config).items():
            bias = None if one.bias is None else tensor(one.bias)
            yield name, packed_matrix(config, tensor(one.weight), bias, precision, together)
