"""Files of named tensors, whatever their format: what is in them is known before any number is read."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

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


class Reader(Protocol):
    """The tensors of an open file."""

    def __call__(self, name: str) -> Tensor:
        """The tensor of that name. It may be a view of the file, whose pages are read when it is."""
        ...

    def done(self, name: str) -> None:
        """Say that it is needed no more."""
        ...


class TensorFile(ABC):
    """A file of named tensors. BadModel is raised wherever it is missing, damaged, or no such file."""

    path: Path

    @property
    @abstractmethod
    def mapped(self) -> bool:
        """Whether its tensors are views of the file, so that to open it again costs nothing and frees their memory."""

    @abstractmethod
    def describe(self) -> Mapping[str, Described]:
        """What is in the file, in the order of the file where it has one."""

    @abstractmethod
    def opened(self) -> AbstractContextManager[Reader]:
        """The file, to read tensors from. A tensor that was read stays valid when the file is closed."""

    def same(self, one: str, other: str) -> bool:
        """Whether two tensors of one shape hold the same numbers."""
        with self.opened() as read:
            return torch.equal(read(one), read(other))


@dataclass(frozen=True)
class SafetensorsFile(TensorFile):
    """A safetensors file. Its library checks the whole header before a tensor is to be had."""

    path: Path

    @property
    def mapped(self) -> bool:
        """Always."""
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
            yield _Handle(file)

    @contextmanager
    def _handle(self) -> Iterator[Any]:
        identity(self.path)
        try:
            opened: Any = safe_open(os.fspath(self.path), framework="pt")
        except (SafetensorError, OSError, ValueError) as error:
            raise BadModel(f"{self.path} is damaged or no safetensors file: {error}") from error
        with opened as file:
            yield file


class _Handle:
    """Reader of a safetensors file."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __call__(self, name: str) -> Tensor:
        tensor: Tensor = self.file.get_tensor(name)
        return tensor

    def done(self, name: str) -> None:
        """Nothing to free: it is the system's memory."""


def identity(path: Path) -> tuple[int, int]:
    """Size and time of the last change, in nanoseconds: another state of the file has another. BadModel if missing."""
    try:
        about = path.stat()
    except OSError as error:
        raise BadModel(f"{path} is missing: the model is incomplete") from error
    if not path.is_file():
        raise BadModel(f"{path} is no file")
    return about.st_size, about.st_mtime_ns
