"""The songs of the studio's folder: found by name, described, and given names that are safe."""

import tempfile
import threading
import zipfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from jukectl.codes.song import Song
from jukectl.codes.tree import Tree, is_tree
from jukectl.errors import BadInput, JukectlError, NotASong
from jukectl.explorer.about import About
from jukectl.explorer.update import MediaOptions, own_files, stamp_of
from jukectl.folders import Series, holds_files
from jukectl.progress import ignore

LONGEST_NAME = 100  # characters of a new song's name
OWN = ".studio"  # folder of the studio's own files, in the folder of the songs


class NameTaken(BadInput):
    """A name of a new song that exists."""


@dataclass(eq=False)
class Songs:
    """Songs and trees that lie directly in a folder. Links and hidden folders are not followed."""

    folder: Path
    _known: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)  # stamp and description, by name
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def names(self) -> list[str]:
        """Return the names of all songs and trees, the latest first."""
        found = [path for path in self.folder.iterdir() if self._is_song(path)]
        return [path.name for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)]

    def path(self, name: str) -> Path:
        """Return the folder of a song. Raises NotASong for a name that none has."""
        path = self.folder / name if is_plain(name) else None
        if path is None or not self._is_song(path):
            raise NotASong(f"there is no song {name[:LONGEST_NAME]!r}")
        return path

    def file(self, name: str, file: str) -> Path:
        """Return a file of a song, named by its place in the folder, such as audio/0.wav. Raises NotASong."""
        folder = self.path(name)
        for path in [*own_files(folder), folder / "prompt.wav"]:
            if path.relative_to(folder).as_posix() == file and path.is_file() and not path.is_symlink():
                return path
        raise NotASong(f"{name} has no file {file[:LONGEST_NAME]!r}")

    def describe(self, name: str) -> dict[str, Any]:
        """Return facts of a song: those of `jukectl --json info`, its title, star and notes, and its files.

        One that cannot be read has an "error".
        """
        path = self.path(name)
        stamp = stamp_of(path, MediaOptions())
        with self._lock:  # one at a time: reading takes memory
            known = self._known.get(name)
            if known is None or known[0] != stamp:
                self._known[name] = known = stamp, self._facts(path)
        return known[1]

    def describe_all(self) -> list[dict[str, Any]]:
        """Describe all songs, the latest first, except for those that are removed meanwhile."""
        import jukectl.inspect.info  # noqa: F401 - torch loads here, even if there is no song yet

        found = []
        for name in self.names():
            with suppress(NotASong, OSError):
                found.append(self.describe(name))
        return found

    def new(self, name: str | None, default: str, *, digits: int = 0) -> str:
        """Make the folder of a new song, and return its name: `name`, or the next free one of a series.

        Raises BadInput for a name that is not plain, NameTaken, CannotWrite.
        """
        if name is None:
            return Series(self.folder, default[:LONGEST_NAME], digits=digits).reserve().name
        check_new(name)
        path = self.folder / name
        if path.is_symlink() or (path.exists() and (not path.is_dir() or holds_files(path))):
            raise NameTaken(f"there is a song or a file {name!r} already")
        path.mkdir(exist_ok=True)
        return name

    def zipped(self, name: str) -> BinaryIO:
        """Return a zip archive of a song's own files, which is gone as soon as it is closed. Raises NotASong."""
        folder = self.path(name)
        file: BinaryIO = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 - the caller closes it
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # codes and audio hardly shrink
            for path in own_files(folder):
                archive.write(path, f"{name}/{path.relative_to(folder).as_posix()}")
        file.seek(0)
        return file

    def _is_song(self, path: Path) -> bool:
        is_folder = is_plain(path.name) and path.is_dir() and not path.is_symlink()
        return is_folder and (Song(path).begun or is_tree(path))

    def _facts(self, path: Path) -> dict[str, Any]:
        about = About.read(path, ignore)
        facts = {"name": path.name, "title": about.title or path.name, "star": about.star, "notes": about.notes}
        facts["files"] = [self._file(path, file) for file in own_files(path)]
        try:
            from jukectl.inspect.info import describe_path  # torch loads here

            facts |= describe_path(path)
            facts["command_line"] = _command(path)
        except JukectlError as error:
            facts["error"] = str(error)
        return facts

    def _file(self, folder: Path, file: Path) -> dict[str, Any]:
        name, about = file.relative_to(folder).as_posix(), file.stat()
        url = f"/api/v1/songs/{quote(folder.name, safe='')}/files/{quote(name)}?{about.st_mtime_ns}"
        return {"name": name, "url": url, "bytes": about.st_size}


def check_new(name: str) -> None:
    """Raise BadInput for a name that no new song can have."""
    if not is_plain(name) or name.startswith("-") or not name.isprintable() or len(name) > LONGEST_NAME:
        raise BadInput(f"out is the name of a new song, without folders, of at most {LONGEST_NAME} characters")


def is_plain(name: str) -> bool:
    """Return True for the name of a visible file or folder that lies directly in another."""
    return bool(name) and not name.startswith(".") and not any(char in name for char in "/\\\0:")


def _command(path: Path) -> str | None:
    """Return the command that makes a song or a tree again; None without a recipe."""
    from jukectl.plan.command import command_of, tree_command

    if is_tree(path):
        tree = Tree.open(path)
        recipe, root = tree.recipe(), tree.root.recipe()
        return tree_command(recipe, root, path.name) if recipe and root else None
    song = Song(path).recipe()
    return command_of(song, path.name) if song else None
