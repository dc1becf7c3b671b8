"""A model folder: model.toml and one safetensors file a part, loaded strictly, one part at a time."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from jukectl.checkpoints.card import CARD, ModelCard
from jukectl.codes.fingerprint import fingerprint_one_by_one
from jukectl.codes.level import Level
from jukectl.errors import BadModel
from jukectl.prior.model import Prior
from jukectl.vqvae.model import VQVAE

VQVAE_PART = "vqvae"

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class ModelFolder:
    """A model on disk. Nothing is loaded before it is asked for."""

    path: Path

    @cached_property
    def card(self) -> ModelCard:
        """What model.toml says; BadModel where there is none."""
        file = self.path / CARD
        try:
            return ModelCard.parse(file.read_text(encoding="utf-8"), file)
        except (OSError, UnicodeDecodeError) as error:
            raise BadModel(
                f"{self.path} is no model folder: {CARD} cannot be read. See: jukectl models list"
            ) from error

    def part(self, name: str) -> Path:
        """The weight file of a part: vqvae, top, middle or bottom."""
        return self.path / f"{name}.safetensors"

    def fingerprint(self, name: str) -> str:
        """A part's fingerprint, from its tensors."""
        return _fingerprint(self.part(name), *_identity(self.part(name)))

    def parameters(self) -> int:
        """Numbers in all parts that are there."""
        total = 0
        for part in filter(Path.exists, map(self.part, (VQVAE_PART, *(level.label for level in Level)))):
            with _opened(part) as file:
                total += sum(prod(file.get_slice(name).get_shape()) for name in _names(file))
        return total

    def vqvae(self, device: torch.device, levels: tuple[Level, ...] = tuple(Level)) -> VQVAE:
        """The codec's levels, in float32 on `device`."""
        config = self.card.vqvae
        others = tuple(f"levels.{level.label}." for level in Level if level not in levels)
        return _load(lambda: VQVAE(config, levels), self.part(VQVAE_PART), device, torch.float32, skipping=others)

    def prior(self, level: Level, device: torch.device, dtype: torch.dtype = torch.float32) -> Prior:
        """One level's prior on `device`."""
        if level not in self.card.priors:
            raise BadModel(f"the model in {self.path} has no {level.label} prior")
        config = self.card.priors[level]
        return _load(lambda: Prior(config), self.part(level.label), device, dtype)


def _identity(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except OSError as error:
        raise BadModel(f"{path} is missing: the model is incomplete") from error
    return about.st_size, about.st_mtime_ns


@cache
def _fingerprint(path: Path, size: int, changed: int) -> str:
    """Computed once for each state of a file."""
    with _opened(path) as file:
        return fingerprint_one_by_one(_names(file), lambda name: file.get_tensor(name).float().numpy())


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A safetensors file, memory-mapped, with its damage told as BadModel."""
    _identity(path)
    try:
        opened: Any = safe_open(os.fspath(path), framework="pt")
    except (SafetensorError, OSError) as error:
        raise BadModel(f"{path} is damaged or no safetensors file: {error}") from error
    with opened as file:
        yield file


def _names(file: Any) -> list[str]:
    """The tensors in an open safetensors file."""
    return sorted(file.keys())


def _load(
    make: Callable[[], Module],
    path: Path,
    device: torch.device,
    dtype: torch.dtype,
    *,
    skipping: tuple[str, ...] = (),
) -> Module:
    """A module with the tensors of a file, strictly: built on the meta device, filled tensor by tensor.

    Names that begin with one of `skipping` belong to others. BadModel where the rest is not just what the module takes.
    """
    with torch.device("meta"):
        module = make()
    tensors: dict[str, Tensor] = {}
    with _opened(path) as file:
        for name in _names(file):
            if not name.startswith(skipping):
                tensors[name] = file.get_tensor(name).to(device=device, dtype=dtype)
    try:
        incompatible = module.load_state_dict(tensors, strict=False, assign=True)
    except RuntimeError as error:
        raise BadModel(f"{path} does not fit its model.toml: {str(error).splitlines()[-1].strip()}") from error
    wrong = [f"{name} is missing" for name in incompatible.missing_keys]
    wrong += [f"{name} is not known" for name in incompatible.unexpected_keys]
    if wrong:
        raise BadModel(f"{path} does not fit its model.toml: {wrong[0]}")
    return module.requires_grad_(False).eval()
