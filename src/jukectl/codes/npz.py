"""Read .npz archives of others: sizes are checked before anything is inflated or allocated."""

import math
import os
import sys
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from jukectl.errors import BadInput
from jukectl.files import LARGEST_FILE, opened

HIGHEST_RATIO = 16  # of a compressed array; codes of any type shrink to a tenth at most
SUFFIX = ".npy"


def read_npz(path: Path, names: Collection[str]) -> dict[str, npt.NDArray[Any]]:
    """Return those of the named arrays that an archive has, each verified against its checksum.

    Raise BadInput if the file cannot be read, and one of many exceptions if it is damaged or holds something else.
    """
    with opened(path, BadInput, "archive") as file, zipfile.ZipFile(file) as archive:
        check_sizes(archive, os.fstat(file.fileno()).st_size)
        there = [name for name in names if name + SUFFIX in archive.NameToInfo]
        return {name: read_member(archive, name) for name in there}


def check_sizes(archive: zipfile.ZipFile, file_size: int) -> None:
    """Raise ValueError if an archive announces far more bytes than its file can hold in earnest."""
    announced = sum(entry.file_size for entry in archive.infolist())
    if announced > max(LARGEST_FILE, HIGHEST_RATIO * file_size):
        raise ValueError(f"its arrays would take {announced} bytes, and it has {file_size}")


def read_member(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """Return an array of an archive, after its header was checked against its announced size. ValueError otherwise."""
    entry = archive.getinfo(name + SUFFIX)
    with archive.open(entry) as member:
        shape, fortran_order, dtype = read_header(member)  # type: ignore[arg-type]
        if dtype.hasobject:
            raise ValueError(f"{name} holds objects of Python")
        if math.prod(shape) * dtype.itemsize != entry.file_size - member.tell():
            raise ValueError(f"{name} is announced with another size than it has")
        content = np.frombuffer(bytearray(member.read()), dtype)  # to its end, where the checksum is compared
    if dtype.kind == "U" and (content.view(dtype.byteorder + "u4") > sys.maxunicode).any():
        raise ValueError(f"{name} holds characters that do not exist")
    return content.reshape(shape[::-1]).transpose() if fortran_order else content.reshape(shape)


def read_header(member: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, order and type of an array from the beginning of its file. ValueError if it has another format."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(member)
