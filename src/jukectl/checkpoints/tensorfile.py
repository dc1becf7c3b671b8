"""Files of named tensors of any format: their content is known before any number is read."""

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

from jukectl.checkpoints.quantized import SCALES, are_scales, dequantized, paired_with_scales
from jukectl.errors import BadModel
from jukectl.files import check_regular
from jukectl.truncation import cut_short, reason_of

FLOATING = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""Data types that weights may have, by their names in safetensors."""


@dataclass(frozen=True)
class Described:
    """Shape and type of a tensor that has not been read."""

    shape: tuple[int, ...]
    dtype: torch.dtype


Reader = Callable[[str], Tensor]
"""Returns a tensor of an open file by name: a view of the mapped file, whose pages are read when they are used."""


class TensorFile(ABC):
    """A file of named tensors. Methods raise BadModel if it is missing, damaged, or of another format."""

    path: Path

    @property
    @abstractmethod
    def lasting(self) -> bool:
        """True if its tensors can be used as they are; else they must be copied."""

    @abstractmethod
    def describe(self) -> Mapping[str, Described]:
        """Return the content of the file, in its order if it has one."""

    @abstractmethod
    def opened(self) -> AbstractContextManager[Reader]:
        """Map the file into memory. Its tensors stay valid after it is closed, and keep the mapping alive."""

    def same(self, one: str, other: str) -> bool:
        """Return True if two tensors of one shape hold the same numbers."""
        with self.opened() as read:
            # clones, since tensors of an old file may lie at addresses that are not aligned for comparison
            return torch.equal(read(one).clone(), read(other).clone())


@dataclass(frozen=True)
class SafetensorsFile(TensorFile):
    """A safetensors file. The library checks the whole header before it returns a tensor.

    Tensors of eight bits (`checkpoints.quantized`) are read as float32.
    """

    path: Path

    @property
    def lasting(self) -> bool:
        """True: the format aligns tensors."""
        return True

    def describe(self) -> dict[str, Described]:
        """Return the content of the header."""
        with self.handle() as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118, it is no dict
            described = {}
            for name in self._quantized(file):
                part, scales = slices.pop(name), slices.pop(name + SCALES)
                if scales.get_dtype() not in FLOATING or not are_scales(scales.get_shape(), part.get_shape()):
                    raise BadModel(f"{self.path} is damaged: {name + SCALES} does not fit {name}")
                described[name] = Described(tuple(part.get_shape()), torch.float32)
            # integers and booleans have no place among weights; reading them as floats would hide a wrong file
            for name, part in slices.items():
                if part.get_dtype() not in FLOATING:
                    raise BadModel(f"{name} in {self.path} holds no weights: its numbers are {part.get_dtype()}")
            described |= {
                name: Described(tuple(part.get_shape()), FLOATING[part.get_dtype()]) for name, part in slices.items()
            }
            return described

    @contextmanager
    def opened(self) -> Iterator[Reader]:
        """Map the file into memory."""
        with self.handle() as file:
            quantized = self._quantized(file)

            def read(name: str) -> Tensor:
                tensor: Tensor = file.get_tensor(name)
                return dequantized(tensor, file.get_tensor(name + SCALES)) if name in quantized else tensor

            yield read

    @staticmethod
    def _quantized(file: Any) -> set[str]:
        """Return the names of the tensors of eight bits."""
        paired = paired_with_scales(file.keys())
        return {name for name in paired if file.get_slice(name).get_dtype() == "I8"}

    @contextmanager
    def handle(self) -> Iterator[Any]:
        """Open the file by the library."""
        # first, since the library's errors do not tell a missing file from a damaged one
        identity(self.path)
        try:
            opened: Any = safe_open(os.fspath(self.path), framework="pt")
        except (SafetensorError, OSError, ValueError, MemoryError) as error:
            if short := cut_short(self.path):
                raise BadModel(f"{self.path} is damaged: {short}") from error
            raise BadModel(f"{self.path} is damaged or not a safetensors file: {reason_of(error)}") from error
        with opened as file:
            yield file


def identity(path: Path) -> tuple[int, int]:
    """Return the size and the modification time in ns of a regular file, its state. Raise BadModel if there is none."""
    try:
        about = check_regular(path, BadModel, "weights")
    except BadModel as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise BadModel(f"{path} is missing: the model is incomplete") from error
        raise
    return about.st_size, about.st_mtime_ns


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Return all tensors of a safetensors file as they are stored. Raise BadModel if it is missing or damaged."""
    with SafetensorsFile(path).handle() as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict


ALIGNMENT = 8  # bytes; the numbers start at a multiple, as the library writes them, so that maps of them are aligned

_CODES = {dtype: code for code, dtype in FLOATING.items()}


class SafetensorsWriter:
    """Writes a safetensors file tensor by tensor: the header first, then numbers in any order of tensors.

    The library's own writer needs all tensors in memory at once, which is too much for a model of 20 GB. The file is
    complete when every tensor has been written; `finish` checks that.
    """

    def __init__(
        self, file: BinaryIO, tensors: Mapping[str, Described], metadata: Mapping[str, str] | None = None
    ) -> None:
        self.file = file
        self.missing: dict[str, int] = {}  # bytes that each tensor still lacks
        header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
        places, start = {}, 0
        # wide types first: then each tensor starts at a multiple of its item size without padding, which is not allowed
        for name in sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name)):
            shape, dtype = tensors[name].shape, tensors[name].dtype
            size = prod(shape) * dtype.itemsize
            header[name] = {"dtype": _CODES[dtype], "shape": list(shape), "data_offsets": [start, start + size]}
            places[name], self.missing[name] = start, size
            start += size
        # layout: 8 bytes of the header's length, little-endian, the header as JSON padded with spaces, the numbers
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % ALIGNMENT)
        self.file.write(len(text).to_bytes(8, "little") + text)
        begin = 8 + len(text)
        # the full length at once, so that tensors may be written in any order and in parts
        self.file.truncate(begin + start)
        self.places = {name: begin + place for name, place in places.items()}  # position of each tensor's next number

    def add(self, name: str, numbers: Tensor) -> None:
        """Append numbers to a tensor, one-dimensional and of its type, on the CPU."""
        # bytes through uint8, since numpy has no bfloat16
        content = numbers.contiguous().view(torch.uint8).numpy()
        self.file.seek(self.places[name])
        self.file.write(content.data)
        self.places[name] += len(content)
        self.missing[name] -= len(content)

    def finish(self) -> None:
        """Raise ValueError if a tensor is missing, too short or too long."""
        if wrong := [name for name, count in self.missing.items() if count]:
            raise ValueError(f"{wrong[0]} was not written as it was announced")


def narrowed(numbers: Tensor, dtype: torch.dtype, name: str) -> Tensor:
    """Convert numbers to another type. Raise BadModel if they are too large for it."""
    result = numbers.to(dtype)
    # fp16 ends at 65,504: larger numbers silently become infinite
    if dtype.itemsize < numbers.dtype.itemsize and not is_finite(result) and is_finite(numbers):
        raise BadModel(f"{name} does not fit {str(dtype).removeprefix('torch.')}: its numbers are too large")
    return result


def check_finite(numbers: Tensor, name: str, file: Path) -> None:
    """Raise BadModel if a number is infinite or not a number; `name` and `file` say which tensor it is in."""
    if not is_finite(numbers):
        raise BadModel(f"{file} is damaged: {name} holds numbers that are infinite or not a number")


def is_finite(numbers: Tensor) -> bool:
    """Return True if all numbers are finite."""
    # minimum and maximum carry every infinity and NaN, without a mask as large as the tensor
    return not numbers.numel() or bool(torch.stack(torch.aminmax(numbers)).isfinite().all())
