"""Recognise files whose end is missing, as after a download or a copy that was broken off.

Libraries report such a file as damaged in many ways. Its beginning says how long it should be, or its end is of a kind
that every whole file has.
"""

import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from jukectl.errors import BadInput
from jukectl.files import LARGEST_FILE, opened
from jukectl.tables import parse_json

ZIP = b"PK\x03\x04"
COUNT = 8  # bytes of the length of a safetensors header, before it
WAY_OUT = "Copy or fetch it again"


def cut_short(path: Path) -> str | None:
    """Return that a file is cut short, with the way out, for a message; None if it is whole, or not recognised."""
    # is_zipfile, too, refuses an archive whose end says that it is on several disks
    with suppress(BadInput, OSError, ValueError, zipfile.BadZipFile), opened(path, BadInput) as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return f"it is empty. {WAY_OUT}"
        magic = file.read(len(ZIP))
        file.seek(0)
        if magic == ZIP:  # the list of its content is at its end
            return None if zipfile.is_zipfile(file) else f"it is cut short: its end is missing. {WAY_OUT}"
        whole = _size_of_safetensors(file, size)
        if whole is not None and size < whole:
            return f"it is cut short: {size} of its {whole} bytes are there. {WAY_OUT}"
    return None


def reason_of(error: BaseException) -> str:
    """Return what a library's error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _size_of_safetensors(file: BinaryIO, size: int) -> int | None:
    """Return the bytes that a safetensors file should have at least, by its header; None if it has none."""
    length = int.from_bytes(file.read(COUNT), "little")
    if not 2 <= length <= LARGEST_FILE or file.read(1) != b"{":
        return None
    if COUNT + length > size:
        return COUNT + length
    header = parse_json(b"{" + file.read(length - 1))
    ends = [
        one["data_offsets"][1]
        for name, one in header.items()
        if name != "__metadata__" and isinstance(one, dict) and _is_span(one.get("data_offsets"))
    ]
    return COUNT + length + max(ends, default=0)


def _is_span(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(one) is int and one >= 0 for one in value)
