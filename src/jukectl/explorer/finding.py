"""Song folders that a site is made of: found, and told from what they were when it was made."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jukectl.codes.song import Song
from jukectl.codes.tree import is_tree
from jukectl.errors import BadInput
from jukectl.explorer.site import inside
from jukectl.explorer.taking import Taking

EDITION = 2
"""Of what a song's file and media hold; songs that a site has in another one are made again."""


def find_songs(folders: Sequence[Path], out: Path) -> Iterator[tuple[str, Path]]:
    """Songs and trees in folders, at any depth, in order: where each lies as seen from the folder given, and its path.

    A folder may be a song itself. What lies in a song is its own, what lies in `out` the site's; links to folders are
    not followed. BadInput for a folder that is not there.
    """
    seen = {out.resolve()}
    for folder in folders:
        if not folder.is_dir():
            raise BadInput(f"there is no folder {folder}")
        for path in _below(folder, out.resolve()):
            if (real := path.resolve()) not in seen:
                seen.add(real)
                yield (Path(folder.resolve().name) / path.relative_to(folder)).as_posix(), path


def own_files(path: Path) -> list[Path]:
    """What a song's folder holds and the site shows, in order."""
    shown = [*path.glob("*.npz"), *path.glob("*.toml"), *path.glob("notes.mid"), *path.glob("nodes/*.npz")]
    shown += [file for name in ("audio", "previews", "plots", "root") for file in path.glob(f"{name}/*")]
    return sorted(file for file in shown if inside(path, file) and not file.name.startswith("."))


def stamp_of(path: Path, taking: Taking) -> str:
    """What a song's part of a site follows from: its files, by size and time, and how they are taken."""
    rows: list[Any] = [EDITION, asdict(taking)]
    for file in own_files(path):
        about = file.stat()
        rows.append([file.relative_to(path).as_posix(), about.st_size, about.st_mtime_ns])
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _below(folder: Path, out: Path) -> Iterator[Path]:
    if is_tree(folder) or Song(folder).begun:
        yield folder
        return
    with suppress(PermissionError):
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink() and not path.name.startswith(".") and path.resolve() != out:
                yield from _below(path, out)
