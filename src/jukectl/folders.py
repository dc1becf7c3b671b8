"""Folders that jukectl writes to: new ones, empty ones, or those that an earlier run began. No other file is touched.

A folder that is taken gets a mark before anything else is written, so that a run that was killed at once can be begun
again. Folders of earlier versions have no mark: they are recognised by what is in them.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jukectl.errors import BadInput, CannotWrite, JukectlError
from jukectl.files import atomic_write, make_folder, read_bytes

_NOBODYS = frozenset({"desktop.ini", "Thumbs.db", "lost+found"})  # left by systems in folders that count as empty


@dataclass(frozen=True)
class Kind:
    """A kind of folder."""

    name: str  # "song folder"
    is_begun: Callable[[Path], bool]  # recognises a folder by its content; it exists
    mark: str = ".jukectl"  # name of the file that marks it
    text: str = ""  # content of the mark; by default the name of the kind

    @property
    def content(self) -> bytes:
        """Content of the mark."""
        return f"{self.text or self.name}\n".encode()

    def is_marked(self, folder: Path) -> bool:
        """Return True if an earlier run has taken the folder as one of this kind."""
        try:
            return read_bytes(folder / self.mark, BadInput, "mark") == self.content
        except BadInput:
            return False

    def check(self, folder: Path) -> None:
        """Raise BadInput if the folder is a file, or holds files that jukectl did not make."""
        if any(path.is_file() for path in (folder, *folder.parents)):
            raise BadInput(
                f"{folder} cannot become a {self.name}, since a file is in its place. Give another name with --out"
            )
        if folder.is_dir() and not self._is_ours(folder) and holds_files(folder):
            raise BadInput(f"{folder} holds other files, and is no {self.name}. Give a new folder with --out")

    def claim(self, folder: Path) -> None:
        """Take the folder, made if it is not there. Raises BadInput as `check` does, CannotWrite."""
        self.check(folder)
        make_folder(folder)
        if not self._is_ours(folder):
            self.put_mark(folder)

    def put_mark(self, folder: Path) -> None:
        """Mark a folder as one of this kind, for the time in which its content does not show it. Raises CannotWrite."""
        if not self.is_marked(folder):
            with atomic_write(folder / self.mark) as file:
                file.write(self.content)

    def _is_ours(self, folder: Path) -> bool:
        return self.is_marked(folder) or self.is_begun(folder)


@dataclass(frozen=True)
class Series:
    """New folders, or files, of one name, numbered as they are made: song-0001, song-0002 …; riff, riff-2 …"""

    place: Path  # folder that they lie in
    name: str
    digits: int = 0  # of each number; 0: the first folder has no number
    suffix: str = ""  # of files; folders have none

    def folder(self, number: int) -> Path:
        """Return the folder of a number, counted from 1."""
        counted = f"-{number:0{self.digits}}" if self.digits or number > 1 else ""
        return self.place / f"{self.name}{counted}{self.suffix}"

    def next(self) -> Path:
        """Return the folder, or file, of the next number. Another process may make it meanwhile."""
        return self.folder(self.last() + 1)

    def last(self) -> int:
        """Return the highest number that is taken, also by a file; 0 without any."""
        number = r"-(\d+)" if self.digits else r"(?:-(\d+))?"
        pattern = re.compile(re.escape(self.name) + number + re.escape(self.suffix))
        try:
            found = [match for path in self.place.iterdir() if (match := pattern.fullmatch(path.name))]
        except OSError:
            return 0
        return max((int(match[1] or 1) for match in found), default=0)

    def reserve(self) -> Path:
        """Make the folder of the next number, and return it: no other process gets the same. Raises CannotWrite."""
        make_folder(self.place)
        while True:
            folder = self.next()
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                raise CannotWrite(f"cannot make the folder {folder}: {error.strerror or error}") from error
            return folder


@contextmanager
def locked(path: Path, busy: JukectlError, failed: str) -> Iterator[None]:
    """Hold the lock of a file while the block runs; the system drops it when the process ends, however it ends.

    Raises `busy` at once where another process holds it, and CannotWrite, which begins with `failed`.
    """
    from filelock import FileLock, Timeout  # here, since only work on a folder needs it

    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise busy from error
    except (OSError, NotImplementedError) as error:
        raise CannotWrite(f"{failed}: {getattr(error, 'strerror', None) or error}") from error
    try:
        yield
    finally:
        lock.release()


def is_writable(folder: Path) -> bool:
    """Return True for a folder in which files can be made."""
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def holds_files(folder: Path) -> bool:
    """Return True if a folder holds files of anybody: hidden ones and those that systems leave do not count."""
    try:
        for path in folder.iterdir():
            if path.name.startswith(".") or path.name in _NOBODYS:
                continue
            if path.is_symlink() or not path.is_dir() or holds_files(path):
                return True
    except OSError as error:
        raise CannotWrite(f"cannot read the folder {folder}: {error.strerror or error}") from error
    return False


def check_inside(folder: Path, names: Iterable[str]) -> None:
    """Raise BadInput if a folder that jukectl writes to inside its own is a link: its files would lie elsewhere."""
    for name in names:
        if (folder / name).is_symlink():
            raise BadInput(
                f"{folder / name} is a link to another place, where files could be replaced that jukectl did not make. "
                "Put a folder there, or link to the whole folder around it"
            )


def check_file(out: Path, suffixes: Iterable[str], what: str, inputs: Iterable[Path] = ()) -> None:
    """Raise BadInput if a file to write is an input, or if its name says that it is something else than `what`."""
    known = tuple(suffixes)
    if out.suffix.lower() not in known:
        raise BadInput(f"{what} ends in {' or '.join(known)}; got {out}")
    if out.is_dir():
        raise BadInput(f"{out} is a folder, and {what} is a file. Give another name with --out")
    check_not_input(out, inputs)


def check_not_input(out: Path, inputs: Iterable[Path]) -> None:
    """Raise BadInput if a file to write is also one that is read."""
    for path in inputs:
        if out.exists() and path.exists() and out.samefile(path):
            raise BadInput(f"{out} is read, so it is not written: give another name with --out")
