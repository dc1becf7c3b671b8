"""A model folder, whatever its format: its description, and its parts, loaded strictly, one part at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from jukectl.checkpoints.card import CARD, ModelCard
from jukectl.checkpoints.fingerprints import cached_fingerprint
from jukectl.checkpoints.huggingface import HuggingFaceLayout, is_huggingface
from jukectl.checkpoints.layout import PARTS, VQVAE_PART, Layout, NativeLayout, part_weights, shapes_of
from jukectl.checkpoints.openai import OriginalLayout, is_original
from jukectl.checkpoints.tensorfile import identity
from jukectl.checkpoints.weights import Weights
from jukectl.codes.level import Level
from jukectl.errors import BadModel
from jukectl.prior.model import Prior
from jukectl.vqvae.model import VQVAE

__all__ = ["PARTS", "VQVAE_PART", "ModelFolder", "holds_model"]

Module = TypeVar("Module", bound=nn.Module)


def layout_of(path: Path) -> Layout:
    """How a folder holds its model; as ours, where it seems to hold none."""
    if (path / CARD).exists():
        return NativeLayout(path)
    if is_huggingface(path):
        return HuggingFaceLayout(path)
    return OriginalLayout(path) if is_original(path) else NativeLayout(path)


def holds_model(path: Path) -> bool:
    """Whether a folder looks like a model of any format."""
    return path.is_dir() and ((path / CARD).exists() or is_huggingface(path) or is_original(path))


@dataclass(frozen=True)
class ModelFolder:
    """A model on disk: a folder of ours, one in Hugging Face layout, or original files. Nothing is loaded unasked."""

    path: Path

    @cached_property
    def layout(self) -> Layout:
        """How the folder holds it."""
        return layout_of(self.path)

    @cached_property
    def card(self) -> ModelCard:
        """What it is; BadModel where the folder holds no model."""
        return self.layout.card

    def part(self, name: str) -> Path:
        """The weight file of a part of a native model: vqvae, top, middle or bottom."""
        return NativeLayout(self.path).file(name)

    def has(self, name: str) -> bool:
        """Whether a part is there."""
        return self.layout.has(name)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that are there."""
        return tuple(filter(self.has, PARTS))

    def weights(self, name: str) -> Weights:
        """A part's tensors, unread, all seen to fit."""
        return part_weights(self.layout, name)

    def fingerprint(self, name: str) -> str:
        """A part's fingerprint, from its tensors: the same for the same ones in every format."""
        states = [(str(path), *identity(path)) for path in self.layout.files(name)]
        return cached_fingerprint(name, tuple(states), lambda: self.weights(name))

    def parameters(self) -> int:
        """Numbers in all parts that are there."""
        return sum(self.weights(name).numbers() for name in self.parts)

    def vqvae(self, device: torch.device, levels: tuple[Level, ...] = tuple(Level)) -> VQVAE:
        """The codec's levels, in float32 on `device`."""
        config = self.card.vqvae
        others = tuple(f"levels.{level.label}." for level in Level if level not in levels)
        shapes = shapes_of(config)
        wanted = {name: shape for name, shape in shapes.items() if not name.startswith(others)}
        weights = self.layout.weights(VQVAE_PART, wanted, shapes.keys() - wanted)
        return _filled(lambda: VQVAE(config, levels), weights, device, torch.float32)

    def prior(self, level: Level, device: torch.device, dtype: torch.dtype = torch.float32) -> Prior:
        """One level's prior on `device`."""
        if level not in self.card.priors:
            raise BadModel(f"the model in {self.path} has no {level.label} prior")
        config = self.card.priors[level]
        return _filled(lambda: Prior(config), self.weights(level.label), device, dtype)


def _filled(make: Callable[[], Module], weights: Weights, device: torch.device, dtype: torch.dtype) -> Module:
    """A module with these weights: built on the meta device, filled tensor by tensor."""
    with torch.device("meta"):
        module = make()
    module.load_state_dict(weights.load(device, dtype), strict=True, assign=True)
    return module.requires_grad_(False).eval()
