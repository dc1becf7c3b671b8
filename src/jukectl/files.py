"""Files: durable writing, where a reader sees the old file or the new one; and reading of files that strangers name."""

import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from jukectl.errors import CannotWrite, JukectlError

LARGEST_FILE = 64 * 2**20  # bytes of a file that is read whole, unless a reader knows better

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]  # several machines may write to one folder
_PART = re.compile(r"\.jukectl-(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{16}\.part")
_OLD_PART = re.compile(r"\..+\.(?P<pid>\d+)\.part")  # names of earlier versions, which others may use too
_ABANDONED = 86_400  # seconds without a change after which a file of another machine counts as left behind


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `path` when the block succeeds, and leaves `path` unchanged if it fails.

    The new file gets the permissions of the old one; without one, those of the umask. A link at `path` is replaced, and
    its target stays as it is. Unfinished files of processes that were killed are removed from the folder first.

    Raises CannotWrite where the disk is full or the folder is not writable.
    """
    part, made = _part_beside(path), False
    try:
        _sweep_once(path.parent)
        mode = _permissions(path)
        with open(part, "xb", opener=_opener(mode)) as file:  # Path.open takes no opener
            made = True
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), mode)  # the umask does not count for a file that exists
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
        if made:
            with suppress(OSError):
                part.unlink(missing_ok=True)


@contextmanager
def opened(path: Path, error: type[JukectlError], what: str = "file") -> Iterator[BufferedReader]:
    """Open a regular file for reading; `error` names the `what` if that fails, also later in the block.

    Recipes and manifests of strangers may name anything. A device or a pipe, which would never end, is refused.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for a writer
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise error(f"cannot read the {what} {path}: it is not a regular file")
            with os.fdopen(handle, "rb", closefd=False) as file:
                yield file
        finally:
            os.close(handle)
    except OSError as problem:
        raise error(f"cannot read the {what} {path}: {problem.strerror or problem}") from problem


def check_regular(path: Path, error: type[JukectlError], what: str = "file") -> os.stat_result:
    """Return the state of a regular file that a library will open by its name; raise `error` as `opened` does."""
    with opened(path, error, what) as file:
        return os.fstat(file.fileno())


def read_bytes(path: Path, error: type[JukectlError], what: str = "file", *, largest: int = LARGEST_FILE) -> bytes:
    """Return the content of a regular file of at most `largest` bytes; `error` names the `what` otherwise."""
    if "\0" in str(path):
        raise error(f"cannot read the {what} {str(path)!r}: its name has a null character")
    with opened(path, error, what) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1) if size <= largest else b""  # Python allocates what it is asked to read
    if max(size, len(content)) > largest:
        raise error(f"cannot read the {what} {path}: it has {max(size, len(content))} bytes")
    return content


def make_folder(folder: Path) -> None:
    """Make a folder and those around it, where they are not there. Raises CannotWrite."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"cannot make the folder {folder}: {error.strerror or error}") from error


def remove_folder(folder: Path) -> None:
    """Remove a folder with its content: after a kill it is there whole or not at all. Raises CannotWrite.

    It is renamed first, to a name that the next write beside it removes. A link is removed, not its target.
    """
    try:
        if folder.is_symlink():
            folder.unlink()
        elif folder.is_dir():
            doomed = folder.rename(_part_beside(folder))
            shutil.rmtree(doomed)
    except OSError as error:
        raise CannotWrite(f"cannot remove {folder}: {error.strerror or error}") from error


def remove_file(path: Path) -> None:
    """Remove a file, if it is there. Raises CannotWrite."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CannotWrite(f"cannot remove {path}: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut, where the system lets a folder be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path, *, old_names: bool = False) -> None:
    """Remove what killed processes left unfinished in a folder; with `old_names` what earlier versions left, too."""
    with suppress(OSError):  # it is only litter
        for part in folder.glob(".*.part"):
            name = _PART.fullmatch(part.name) or (old_names and _OLD_PART.fullmatch(part.name))
            if name and not _is_at_work(part, int(name["pid"]), name.groupdict().get("host", _HOST)):
                if part.is_dir() and not part.is_symlink():
                    shutil.rmtree(part, ignore_errors=True)
                else:
                    part.unlink(missing_ok=True)


@cache
def _sweep_once(folder: Path) -> None:
    """Sweep a folder before the first write of this process: listing a large one takes time."""
    sweep(folder)


def _part_beside(path: Path) -> Path:
    """Return a name that nobody can foresee, in the same folder, so that renaming it is atomic."""
    return path.with_name(f".jukectl-{_HOST}-{os.getpid()}-{secrets.token_hex(8)}.part")


def _permissions(path: Path) -> int | None:
    """Return the permissions of a regular file, None without one."""
    try:
        about = path.lstat()
    except OSError:
        return None
    return stat.S_IMODE(about.st_mode) & 0o777 if stat.S_ISREG(about.st_mode) else None


def _opener(mode: int | None) -> Callable[[str, int], int]:
    """Return a function that creates a file with these permissions, or those of the umask, and follows no link."""
    return lambda name, flags: os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666 if mode is None else mode)


def _is_at_work(part: Path, pid: int, host: str) -> bool:
    """Return True if process `pid` may be writing `part`: it lives, and is no later process with the same number."""
    import psutil

    try:
        changed = part.lstat().st_mtime
        if host != _HOST:
            return time.time() - changed < _ABANDONED
        return bool(psutil.Process(pid).create_time() <= changed + 2)  # clocks of the two differ a little
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except psutil.AccessDenied:
        return True
