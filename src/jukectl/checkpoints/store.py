"""A model folder of any format: its description, and its parts, loaded strictly, one part at a time."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from jukectl.checkpoints.card import ModelCard
from jukectl.checkpoints.fingerprints import cached_fingerprint
from jukectl.checkpoints.huggingface import HuggingFaceLayout, is_huggingface
from jukectl.checkpoints.layout import PARTS, VQVAE_PART, Layout, NativeLayout, part_weights, shapes_of
from jukectl.checkpoints.openai import OriginalLayout, is_original
from jukectl.checkpoints.places import CARD
from jukectl.checkpoints.tensorfile import identity
from jukectl.checkpoints.weights import Weights
from jukectl.codes.level import Level
from jukectl.errors import BadModel
from jukectl.folders import Kind
from jukectl.nn.unallocated import unallocated
from jukectl.prior.model import Prior
from jukectl.vqvae.model import VQVAE

__all__ = ["PARTS", "VQVAE_PART", "ModelFolder", "holds_model"]

Module = TypeVar("Module", bound=nn.Module)


def layout_of(path: Path) -> Layout:
    """Return the layout of a folder; a native one if it holds no model, for the error message."""
    # a native folder may also have a config.json, if somebody converted into it; model.toml decides
    if (path / CARD).exists():
        return NativeLayout(path)
    if is_huggingface(path):
        return HuggingFaceLayout(path)
    # last, since original files may lie in a folder together with a conversion of them
    return OriginalLayout(path) if is_original(path) else NativeLayout(path)


def holds_model(path: Path) -> bool:
    """Return True for a folder that looks like a model of any format."""
    return path.is_dir() and ((path / CARD).exists() or is_huggingface(path) or is_original(path))


NOTE = ".conversion.json"  # in the folder of a conversion that is not finished
MODEL = Kind("model folder", lambda folder: holds_model(folder) or (folder / NOTE).exists())


@dataclass(frozen=True)
class ModelFolder:
    """A model on disk: a native folder, one in Hugging Face layout, or original files. Parts are loaded on request."""

    path: Path

    @cached_property
    def layout(self) -> Layout:
        """Layout of the folder."""
        return layout_of(self.path)

    @cached_property
    def card(self) -> ModelCard:
        """Description of the parts that are there. Raises BadModel if the folder holds no model."""
        return self.layout.card.of(self.layout.parts)

    def part(self, name: str) -> Path:
        """Return the weight file of a part of a native model: vqvae, top, middle or bottom."""
        return NativeLayout(self.path).file(name)

    def has(self, name: str) -> bool:
        """Return True if the model has a part."""
        return self.layout.has(name)

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts that the model has."""
        return self.layout.parts

    @property
    def shortage(self) -> str:
        """Parts that are missing, and what the others can do, for a message; empty for a complete model."""
        return self.layout.shortage

    def need(self, *names: str) -> None:
        """Raise BadModel, which says what the model can do, unless it has these parts."""
        if not all(map(self.has, names)):
            self.layout.need(*names)

    def weights(self, name: str) -> Weights:
        """Return a part's tensors, unread, after checking names and shapes."""
        self.need(name)
        return part_weights(self.layout, name)

    def fingerprint(self, name: str) -> str:
        """Return a part's fingerprint, computed from its tensors: the same in every format."""
        self.need(name)
        states = [(str(path), *identity(path)) for path in self.layout.files(name)]
        # by the state of the files, so that a model of 20 GB is not read at each start
        return cached_fingerprint(name, tuple(states), lambda: self.weights(name))

    def check_weights(self, name: str) -> None:
        """Raise BadModel if a part's weights are not those that model.toml states, or are not finite.

        A file is read for it once: the result is kept by the size and the time of the file.
        """
        stated = self.layout.card.fingerprints.get(name)
        if stated is not None and (found := self.fingerprint(name)) != stated:
            raise BadModel(
                f"{self.part(name)} is damaged, or of another model: its weights have the fingerprint {found[:12]}, "
                f"and {CARD} states {stated[:12]}. Copy it again, or remove that line if you changed them"
            )

    def parameters(self) -> int:
        """Return the number of parameters in all parts."""
        return sum(self.weights(name).numbers() for name in self.parts)

    def is_adapted(self, level: Level) -> bool:
        """Return True if a level's prior is not the part's weights alone: adapters are merged into it."""
        return False

    def vqvae(self, device: torch.device, levels: tuple[Level, ...] = tuple(Level)) -> VQVAE:
        """Load levels of the codec to `device` in float32."""
        self.need(VQVAE_PART)
        self.check_weights(VQVAE_PART)
        config = self.card.vqvae
        # a preview decodes one level: the tensors of the others are known, so that they count as used, but not loaded
        others = tuple(f"levels.{level.label}." for level in Level if level not in levels)
        shapes = shapes_of(config)
        # checked against the whole codec's shapes, of which a part is read
        wanted = {name: shape for name, shape in shapes.items() if not name.startswith(others)}
        weights = self.layout.weights(VQVAE_PART, wanted, shapes.keys() - wanted)
        return _filled(lambda: VQVAE(config, levels), weights, device, torch.float32)

    def prior(self, level: Level, device: torch.device, dtype: torch.dtype = torch.float32) -> Prior:
        """Load one level's prior to `device`."""
        self.need(level.label)
        self.check_weights(level.label)
        config = self.card.priors[level]
        # fp32 for tests and CPUs, bf16 or fp16 where a device has them; layer norms compute in fp32 all the same
        prior = _filled(lambda: Prior(config), self.weights(level.label), device, dtype)
        prior.stage_vectors = self.stage_vectors(level, device)
        return prior

    def stage_vectors(self, level: Level, device: torch.device) -> torch.Tensor | None:
        """Load the vectors (S, K / S, D) of a level's quantizer; None for one of a single stage, or without a codec."""
        stages = self.card.vqvae.stages(level)
        if stages == 1 or not self.has(VQVAE_PART):
            return None
        shapes, name = shapes_of(self.card.vqvae), f"levels.{level.label}.codebook.vectors"
        weights = self.layout.weights(VQVAE_PART, {name: shapes[name]}, shapes.keys() - {name})
        vectors = weights.load(device, torch.float32)[name]
        return vectors.reshape(stages, -1, vectors.shape[-1])

    def kept(self, key: Hashable, load: Callable[[], Prior]) -> Prior:
        """Load a prior. A `SharedModel` keeps it under the key, and loads it once."""
        return load()

    def prior_layers(self, level: Level, count: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Prior:
        """Load the first `count` layers of one level's prior to `device`, without the others."""
        self.need(level.label)
        self.check_weights(level.label)
        whole, config = self.card.priors[level], self.card.priors[level].first_layers(count)
        shapes = shapes_of(config)
        weights = self.layout.weights(level.label, shapes, shapes_of(whole).keys() - shapes.keys())
        return _filled(lambda: Prior(config), weights, device, dtype)


def _filled(make: Callable[[], Module], weights: Weights, device: torch.device, dtype: torch.dtype) -> Module:
    """Make a module on the meta device and assign the loaded weights."""
    # on the meta device construction allocates and initialises nothing, which for 5B parameters takes minutes
    with unallocated():
        module = make()
    # assign: the loaded tensors, which may be views of the mapped file, become the parameters themselves
    module.load_state_dict(weights.load(device, dtype), strict=True, assign=True)
    return module.requires_grad_(False).eval()
