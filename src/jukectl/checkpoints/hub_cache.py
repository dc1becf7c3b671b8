"""A repository in the cache of huggingface_hub: its files, and which of them have been verified.

The layout is huggingface_hub's, so other programs find what jukectl downloads, and jukectl what they download.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from jukectl.checkpoints.jsonfile import read_json
from jukectl.errors import BadModel, CannotFetch, CannotWrite
from jukectl.files import atomic_write, make_folder
from jukectl.folders import locked

CONFIG = "config.json"
VOCABULARY = ("vocab.json", "artists.json", "genres.json", "lyrics.json", "tokenizer_config.json")
WEIGHTS = (  # in order of preference: safetensors hold no code, and an index means that the weights are sharded
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
)
NEWEST = "main"  # the default revision

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHARD = re.compile(r"\w[\w.-]*\.(safetensors|bin)")
_READ = 1 << 20  # bytes at a time

Seen = Callable[[int], None]  # called with the bytes processed so far


def default_cache() -> Path:
    """Return the cache folder of huggingface_hub: HF_HUB_CACHE, or its default for the user."""
    from huggingface_hub import constants

    # the environment first: the library reads it once, when it is imported
    return Path(os.environ.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE).expanduser()


def is_commit(text: str) -> bool:
    """Return True for the full hash of a commit."""
    return _COMMIT.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Return True for a file's hash: SHA-256, or git's SHA-1 of a blob."""
    return _DIGEST.fullmatch(text) is not None


def is_index(name: str) -> bool:
    """Return True for a weight file that lists shards."""
    return name.endswith(".index.json")


def shards(index: Path) -> tuple[str, ...]:
    """Return the weight files that an index lists, sorted. Raise BadModel for a file that is no index."""
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise BadModel(f"{index} is not an index of weights: it has no weight_map")
    names = []
    for name in listed.values():
        # the names become paths: without this check a repository could have any file of the user's overwritten
        if not isinstance(name, str) or not _SHARD.fullmatch(name):
            raise BadModel(
                f"{index} names {name!r}, which is not a weight file beside it: such a file is not to be trusted"
            )
        names.append(name)
    return tuple(sorted(set(names)))


def digest(path: Path, like: str, seen: Seen) -> str:
    """Return a file's hash of the same kind as `like`: SHA-256 for 64 digits, git's SHA-1 of a blob for 40."""
    if len(like) == 64:  # a large file, stored by Git LFS
        sha = hashlib.sha256()
    else:
        # git prefixes the content with its kind and length; SHA-1 is the hub's choice, and detects damage at least
        sha = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(_READ):
            sha.update(piece)
            seen(file.tell())
    return sha.hexdigest()


@dataclass(frozen=True)
class HubFile:
    """A file of a repository, as the hub describes it."""

    name: str
    commit: str
    digest: str
    size: int | None  # bytes; None if unknown

    @property
    def key(self) -> str:
        """Name of the file among those of all commits."""
        return f"{self.commit}/{self.name}"


class Mark(NamedTuple):
    """State of a file when its hash was verified."""

    digest: str
    size: int  # bytes
    changed: int  # ns

    @classmethod
    def of(cls, path: Path, digest: str) -> "Mark":
        """Return the mark of a file in its present state."""
        about = path.stat()
        return cls(digest, about.st_size, about.st_mtime_ns)


@dataclass(frozen=True)
class CachedRepository:
    """One repository in a cache folder."""

    name: str  # owner/name
    cache: Path

    @property
    def folder(self) -> Path:
        """Folder of this repository."""
        return self.cache / f"models--{self.name.replace('/', '--')}"

    def snapshot(self, commit: str) -> Path:
        """Return the folder of a commit's files, which are links to blobs."""
        return self.folder / "snapshots" / commit

    def partial(self, file: HubFile) -> Path:
        """Return the path of a file's bytes while they are downloaded."""
        return self.folder / "blobs" / f"{file.digest}.incomplete"

    def _path(self, file: HubFile) -> Path:
        return self.snapshot(file.commit) / file.name

    def _blob(self, file: HubFile) -> Path:
        """Return the path of a file's bytes, which is named by their hash and shared by all commits."""
        return self.folder / "blobs" / file.digest

    def find(self, revision: str) -> Path | None:
        """Return the snapshot folder of a revision, as of its last download; None if it is incomplete."""
        if not self.folder.is_dir():  # spares most calls the import, which takes longer than all the rest
            return None
        from huggingface_hub import try_to_load_from_cache

        try:
            config = try_to_load_from_cache(self.name, CONFIG, cache_dir=self.cache, revision=revision)
        except (OSError, UnicodeDecodeError):  # a damaged ref
            return None
        folder = Path(config).parent if isinstance(config, str) else None
        return folder if folder and is_commit(folder.name) and self.files(folder) else None

    def find_any(self) -> Path | None:
        """Return the complete snapshot of the newest revision, or else the one that was downloaded last."""
        # Not by scan_cache_dir: it reads the whole cache, and one broken link hides a repository from it
        snapshots = sorted(self.snapshot("").glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
        complete = (path for path in snapshots if is_commit(path.name) and self.files(path))
        return self.find(NEWEST) or next(complete, None)

    def remember(self, revision: str, commit: str) -> None:
        """Write which commit a revision is. Raise CannotWrite."""
        if not is_commit(revision):
            ref = self.folder / "refs" / revision
            make_folder(ref.parent)
            with atomic_write(ref) as file:
                file.write(commit.encode())

    def files(self, snapshot: Path) -> tuple[str, ...] | None:
        """Return the names of a snapshot's files; None if one is missing or has another size than when verified."""
        # sizes only: this runs at each start, and hashing a model takes a minute
        weights = next((name for name in WEIGHTS if (snapshot / name).is_file()), None)
        if weights is None:
            return None
        try:
            parts = shards(snapshot / weights) if is_index(weights) else ()
        except BadModel:
            return None
        vocabulary = tuple(name for name in VOCABULARY if (snapshot / name).is_file())
        names = (CONFIG, *vocabulary, weights, *parts)
        return names if all(self._is_whole(snapshot / name) for name in names) else None

    def _is_whole(self, path: Path) -> bool:
        mark = self._marks.get(f"{path.parent.name}/{path.name}")
        return path.is_file() and (mark is None or path.stat().st_size == mark.size)

    def known_digest(self, path: Path) -> str | None:
        """Return the hash that a file should have according to the cache itself."""
        # a blob's name is its hash, so a link shows it
        linked = path.readlink().name if path.is_symlink() else ""
        mark = self._marks.get(f"{path.parent.name}/{path.name}")
        return linked if is_digest(linked) else mark and mark.digest

    def check(self, file: HubFile, seen: Seen) -> bool:
        """Return True if a file is here with the right hash; remove a wrong one, so that nothing reads it.

        The hash is computed once for each state of the file, which is recognized by its size and time.
        """
        path, blob = self._path(file), self._blob(file)
        if not path.exists() and blob.exists():  # downloaded for another commit, or just before an interruption
            self._link(path, blob)
        if not path.exists():
            return False
        mark = Mark.of(path, file.digest)
        if file.size in (None, mark.size):
            if self._marks.get(file.key) == mark:
                return True
            if digest(path, file.digest, seen) == file.digest:
                self._note(file, mark)
                return True
        # both names: a link without its blob would look like a missing file, and a blob would be linked again
        path.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
        return False

    def place(self, file: HubFile) -> None:
        """Move a downloaded file with the right hash to its name. Raise OSError."""
        path, blob = self._path(file), self._blob(file)
        self.partial(file).replace(blob)
        self._link(path, blob)
        self._note(file, Mark.of(path, file.digest))

    def _link(self, path: Path, blob: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            # relative, so that the cache may be moved or mounted elsewhere
            path.symlink_to(os.path.relpath(blob, path.parent))
        except OSError:  # Windows allows links to few users: then the file itself is the snapshot's, as in the library
            blob.replace(path)

    @cached_property
    def _marks(self) -> dict[str, Mark]:
        """Marks by commit and file name. An unreadable file of marks counts as empty: all is hashed once more."""
        try:
            marks = read_json(self._marks_file)
            return {key: Mark(*values) for key, values in marks.items() if is_digest(values[0])}
        except (BadModel, TypeError, LookupError, AttributeError):
            return {}

    def _note(self, file: HubFile, mark: Mark) -> None:
        self._marks[file.key] = mark
        with suppress(CannotWrite), atomic_write(self._marks_file) as out:  # without it, the file is hashed again
            out.write(json.dumps(self._marks, indent=1).encode())

    @property
    def _marks_file(self) -> Path:
        return self.folder / ".jukectl-verified.json"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other pulls of this repository out while the block runs. Raise CannotFetch at once if one is running."""
        make_folder(self.folder / "blobs")
        busy = CannotFetch(f"another jukectl is fetching {self.name}. Wait until it is done")
        with locked(self.folder / ".jukectl.lock", busy, f"cannot lock {self.folder}"):
            yield
