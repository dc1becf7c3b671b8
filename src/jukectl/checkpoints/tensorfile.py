"""Files of named tensors, whatever their format: what is in them is known before any number is read."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from jukectl.errors import BadModel

FLOATING = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""The types of numbers that weights may have, as safetensors calls them."""


@dataclass(frozen=True)
class Described:
    """A tensor that was not read yet."""

    shape: tuple[int, ...]
    dtype: torch.dtype


Reader = Callable[[str], Tensor]
"""Gives the tensors of an open file by name: views of the file, whose pages are read when they are."""


class TensorFile(ABC):
    """A file of named tensors. BadModel is raised wherever it is missing, damaged, or no such file."""

    path: Path

    @property
    @abstractmethod
    def lasting(self) -> bool:
        """Whether its tensors can be calculated with as they are; else they have to be copied."""

    @abstractmethod
    def describe(self) -> Mapping[str, Described]:
        """What is in the file, in the order of the file where it has one."""

    @abstractmethod
    def opened(self) -> AbstractContextManager[Reader]:
        """The file, memory-mapped. A tensor of it stays valid when the file is closed, and keeps it in memory."""

    def same(self, one: str, other: str) -> bool:
        """Whether two tensors of one shape hold the same numbers."""
        with self.opened() as read:
            return torch.equal(read(one).clone(), read(other).clone())


@dataclass(frozen=True)
class SafetensorsFile(TensorFile):
    """A safetensors file. Its library checks the whole header before a tensor is to be had."""

    path: Path

    @property
    def lasting(self) -> bool:
        """They can."""
        return True

    def describe(self) -> dict[str, Described]:
        """What the header says."""
        with self._handle() as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118, it is no dict
            for name, part in slices.items():
                if part.get_dtype() not in FLOATING:
                    raise BadModel(f"{name} in {self.path} holds no weights: its numbers are {part.get_dtype()}")
            return {
                name: Described(tuple(part.get_shape()), FLOATING[part.get_dtype()]) for name, part in slices.items()
            }

    @contextmanager
    def opened(self) -> Iterator[Reader]:
        """Memory-mapped."""
        with self._handle() as file:
            yield file.get_tensor

    @contextmanager
    def _handle(self) -> Iterator[Any]:
        identity(self.path)
        try:
            opened: Any = safe_open(os.fspath(self.path), framework="pt")
        except (SafetensorError, OSError, ValueError) as error:
            raise BadModel(f"{self.path} is damaged or no safetensors file: {error}") from error
        with opened as file:
            yield file


def identity(path: Path) -> tuple[int, int]:
    """Size and time of the last change, in nanoseconds: another state of the file has another. BadModel if missing."""
    try:
        about = path.stat()
    except OSError as error:
        raise BadModel(f"{path} is missing: the model is incomplete") from error
    if not path.is_file():
        raise BadModel(f"{path} is no file")
    return about.st_size, about.st_mtime_ns
