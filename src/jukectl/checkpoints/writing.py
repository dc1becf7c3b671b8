"""A safetensors file written tensor by tensor: the library's own writers want all of them in memory at once."""

import json
from collections.abc import Mapping
from math import prod
from typing import BinaryIO

import torch
from torch import Tensor

from jukectl.checkpoints.tensorfile import FLOATING, Described
from jukectl.errors import BadModel

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
