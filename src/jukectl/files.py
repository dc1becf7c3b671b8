"""Durable file writing: a reader, or a kill at any instant, sees the old file or the new one, never half of one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from jukectl.errors import CannotWrite


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `path` when the block succeeds, and leaves `path` unchanged if it fails.

    Raises CannotWrite where the disk is full or the folder is not writable.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # same folder, so the rename is atomic
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise CannotWrite(
            f"cannot write {path}: {error.strerror or error}. What was there before is unchanged."
        ) from error
    finally:  # after Ctrl-C too
        with suppress(OSError):
            part.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those around it, where they are not there. Raises CannotWrite."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"cannot make the folder {folder}: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut, where the system lets a folder be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
