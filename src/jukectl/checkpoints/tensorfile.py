"""Files of named tensors, whatever their format: what is in them is known before any number is read."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

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


ALIGNMENT = 8  # bytes, of where the numbers begin

_CODES = {dtype: code for code, dtype in FLOATING.items()}


class SafetensorsWriter:
    """Writes into a file that can be sought. What is in it is said first; then the numbers come, tensor by tensor.

    The file is whole when every tensor was written: `finish` makes sure.
    """

    def __init__(
        self, file: BinaryIO, tensors: Mapping[str, Described], metadata: Mapping[str, str] | None = None
    ) -> None:
        self.file = file
        self.missing: dict[str, int] = {}  # bytes still to come, of each tensor
        header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
        places, start = {}, 0
        # the wider numbers first, so that each tensor begins at a multiple of the width of its own
        for name in sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name)):
            shape, dtype = tensors[name].shape, tensors[name].dtype
            size = prod(shape) * dtype.itemsize
            header[name] = {"dtype": _CODES[dtype], "shape": list(shape), "data_offsets": [start, start + size]}
            places[name], self.missing[name] = start, size
            start += size
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % ALIGNMENT)
        self.file.write(len(text).to_bytes(8, "little") + text)
        begin = 8 + len(text)
        self.file.truncate(begin + start)
        self.places = {name: begin + place for name, place in places.items()}  # where the next numbers of each go

    def add(self, name: str, numbers: Tensor) -> None:
        """The next numbers of a tensor, one-dimensional and of its type, on the CPU."""
        content = numbers.contiguous().view(torch.uint8).numpy()
        self.file.seek(self.places[name])
        self.file.write(content.data)
        self.places[name] += len(content)
        self.missing[name] -= len(content)

    def finish(self) -> None:
        """ValueError where a tensor was left out, or is too short or too long."""
        if wrong := [name for name, count in self.missing.items() if count]:
            raise ValueError(f"{wrong[0]} was not written as it was announced")


def narrowed(numbers: Tensor, dtype: torch.dtype, name: str) -> Tensor:
    """Numbers in another type; BadModel where they are too large for it."""
    result = numbers.to(dtype)
    if dtype.itemsize < numbers.dtype.itemsize and not _finite(result) and _finite(numbers):
        raise BadModel(f"{name} does not fit {str(dtype).removeprefix('torch.')}: its numbers are too large")
    return result


def _finite(numbers: Tensor) -> bool:
    """Whether all are."""
    return bool(torch.stack(torch.aminmax(numbers)).isfinite().all())
