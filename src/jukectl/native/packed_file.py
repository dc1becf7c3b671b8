"""Files of packed matrices, which the compiled step reads as they lie on disk.

Arrays come first, each at a multiple of ALIGNED bytes, then a table of them as JSON, then the table's length and MAGIC.
So a file is written in one pass, and one that ends early has no table.
"""

import json
import mmap
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jukectl.errors import JukectlError
from jukectl.files import atomic_write, opened
from jukectl.native.library import library
from jukectl.native.packing import Packed

VERSION = 1  # of the format, and of the order of weights in it
MAGIC = b"jukectl packed\r\n"
ALIGNED = 64  # bytes of a line of the cache
TYPES = {"float32", "int32", "int16", "int8"}  # of arrays


class NotPacked(JukectlError):
    """A file that holds no packed matrices: damaged, cut off, or of another version. It is to be written again."""


def write(path: Path, matrices: Iterable[tuple[str, Packed]], about: Mapping[str, Any]) -> None:
    """Write matrices one after another, each of which may be freed then. CannotWrite; `path` is there whole or not."""
    with atomic_write(path) as file:
        table: dict[str, Any] = {"version": VERSION, "about": dict(about), "matrices": {}}
        for name, one in matrices:
            arrays = {field: _append(file, array) for field, array in one.arrays.items()}
            table["matrices"][name] = {"inputs": one.inputs, "outputs": one.outputs, "arrays": arrays}
        text = json.dumps(table).encode()
        file.write(text + len(text).to_bytes(8, "little") + MAGIC)


def _append(file: BinaryIO, array: np.ndarray) -> dict[str, Any]:
    """Write an array, and return its entry of the table."""
    file.write(bytes(-file.tell() % ALIGNED))
    entry = {"at": file.tell(), "shape": array.shape, "type": array.dtype.name, "checksum": checksum(array)}
    file.write(np.ascontiguousarray(array).data)
    return entry


def read(path: Path) -> dict[str, Packed]:
    """Map a file's matrices into memory, and compare their checksums. NotPacked."""
    with opened(path, NotPacked, "packed weights") as file:
        table, end = _table(path, file)
        try:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return {name: _matrix(one, mapped, end) for name, one in table["matrices"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NotPacked(f"{path} is damaged: {error}") from error


def about(path: Path) -> dict[str, Any]:
    """Return what a file says about itself, without reading its arrays. NotPacked."""
    with opened(path, NotPacked, "packed weights") as file:
        stated = _table(path, file)[0].get("about")
    if not isinstance(stated, dict):
        raise NotPacked(f"{path} is damaged: it does not say what it holds")
    return stated


def checksum(array: np.ndarray) -> int:
    """Return a checksum of an array's bytes, which takes as long as reading them."""
    found = library()
    assert found is not None
    array = np.ascontiguousarray(array)
    return int(found.jukectl_checksum(array.ctypes.data, array.nbytes))


def _table(path: Path, file: Any) -> tuple[dict[str, Any], int]:
    """Return the table of a file, and the bytes before it."""
    size = file.seek(0, 2)
    tail = len(MAGIC) + 8
    file.seek(max(0, size - tail))
    end = file.read(tail)
    length = int.from_bytes(end[:8], "little")
    if end[8:] != MAGIC or length > size - tail:
        raise NotPacked(f"{path} holds no packed weights, or is cut off")
    file.seek(size - tail - length)
    try:
        table = json.loads(file.read(length))
    except ValueError as error:
        raise NotPacked(f"{path} is damaged: {error}") from error
    if not isinstance(table, dict) or table.get("version") != VERSION:
        raise NotPacked(f"{path} is of another version")
    return table, size - tail - length


def _matrix(entry: Mapping[str, Any], mapped: mmap.mmap, end: int) -> Packed:
    """Return a matrix whose arrays are views of the mapped file, up to `end`. ValueError for one that is damaged."""
    arrays = {}
    for field, one in entry["arrays"].items():
        if one["type"] not in TYPES:
            raise ValueError(f"{field} is of type {one['type']!r}")
        count, number = prod(one["shape"]), np.dtype(one["type"])
        if not 0 <= one["at"] <= end - count * number.itemsize:
            raise ValueError(f"{field} lies outside the file")
        arrays[field] = np.frombuffer(mapped, number, count, one["at"]).reshape(one["shape"])
        if checksum(arrays[field]) != one["checksum"]:
            raise ValueError(f"the checksum of {field} differs")
    return Packed(entry["inputs"], entry["outputs"], arrays)
