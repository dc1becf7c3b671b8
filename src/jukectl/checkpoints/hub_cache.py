"""A repository in the hub's cache on disk: where its files lie, and which of them were found whole by their hash.

The layout is huggingface_hub's own, so whatever reads its cache finds what was fetched here, and the other way round.
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

CONFIG = "config.json"
VOCABULARY = ("vocab.json", "artists.json", "genres.json", "lyrics.json", "tokenizer_config.json")
WEIGHTS = (  # the first that is there is taken
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
)
NEWEST = "main"  # the revision where none is named

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHARD = re.compile(r"\w[\w.-]*\.(safetensors|bin)")
_READ = 1 << 20  # bytes at a time

Seen = Callable[[int], None]  # bytes read so far


def default_cache() -> Path:
    """Where huggingface_hub keeps what it fetches: HF_HUB_CACHE, or a folder of the user's."""
    from huggingface_hub import constants

    return Path(os.environ.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE).expanduser()


def is_commit(text: str) -> bool:
    """Whether it is a commit's full hash."""
    return _COMMIT.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Whether it is a hash that a file can be held against: SHA-256, or git's SHA-1 of a blob."""
    return _DIGEST.fullmatch(text) is not None


def is_index(name: str) -> bool:
    """Whether a weight file is a list of others."""
    return name.endswith(".index.json")


def shards(index: Path) -> tuple[str, ...]:
    """The weight files that an index names, sorted; BadModel where it is none, or names one outside its folder."""
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise BadModel(f"{index} is no index of weights: it has no weight_map")
    names = []
    for name in listed.values():
        if not isinstance(name, str) or not _SHARD.fullmatch(name):
            raise BadModel(
                f"{index} names {name!r}, which is no weight file beside it: such a file is not to be trusted"
            )
        names.append(name)
    return tuple(sorted(set(names)))


def digest(path: Path, like: str, seen: Seen) -> str:
    """A file's hash, of the kind that `like` is: SHA-256 of 64 digits, or git's SHA-1 of a blob of 40."""
    if len(like) == 64:
        sha = hashlib.sha256()
    else:
        sha = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(_READ):
            sha.update(piece)
            seen(file.tell())
    return sha.hexdigest()


class Mark(NamedTuple):
    """A file as it was when its hash was right."""

    digest: str
    size: int  # bytes
    changed: int  # ns

    @classmethod
    def of(cls, path: Path, digest: str) -> "Mark":
        """The mark of a file as it is now."""
        about = path.stat()
        return cls(digest, about.st_size, about.st_mtime_ns)


@dataclass(frozen=True)
class CachedRepository:
    """One repository in a cache folder."""

    name: str  # owner/name
    cache: Path

    @property
    def folder(self) -> Path:
        """Everything of this repository."""
        return self.cache / f"models--{self.name.replace('/', '--')}"

    def snapshot(self, commit: str) -> Path:
        """The folder of a commit's files, each a link to its blob."""
        return self.folder / "snapshots" / commit

    def blob(self, digest: str) -> Path:
        """Where a file's bytes lie, under their hash."""
        return self.folder / "blobs" / digest

    def partial(self, digest: str) -> Path:
        """Where a file's bytes lie while they come in."""
        return self.folder / "blobs" / f"{digest}.incomplete"

    def commit(self, revision: str) -> str | None:
        """The commit that a revision was when it was last fetched."""
        if is_commit(revision):
            return revision
        try:
            commit = (self.folder / "refs" / revision).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return commit if is_commit(commit) else None

    def remember(self, revision: str, commit: str) -> None:
        """Note which commit a revision is. Raises CannotWrite."""
        if not is_commit(revision) and self.commit(revision) != commit:
            ref = self.folder / "refs" / revision
            make_folder(ref.parent)
            with atomic_write(ref) as file:
                file.write(commit.encode())

    def commits(self) -> Iterator[str]:
        """The commits of which something is here: the newest revision, then the others, last fetched first."""
        newest = self.commit(NEWEST)
        if newest:
            yield newest
        snapshots = [path for path in (self.folder / "snapshots").glob("*") if is_commit(path.name)]
        for path in sorted(snapshots, key=lambda path: path.stat().st_mtime, reverse=True):
            if path.name != newest:
                yield path.name

    def files(self, commit: str) -> tuple[str, ...] | None:
        """A commit's files where the model is here as a whole; None where something is missing, by name or size."""
        snapshot = self.snapshot(commit)
        weights = next((name for name in WEIGHTS if (snapshot / name).is_file()), None)
        if weights is None:
            return None
        try:
            parts = shards(snapshot / weights) if is_index(weights) else ()
        except BadModel:
            return None
        vocabulary = tuple(name for name in VOCABULARY if (snapshot / name).is_file())
        names = (CONFIG, *vocabulary, weights, *parts)
        return names if all(self._has(commit, name) for name in names) else None

    def _has(self, commit: str, name: str) -> bool:
        """Whether a file is here, of the size that it had when its hash was right."""
        path = self.snapshot(commit) / name
        mark = self._marks.get(f"{commit}/{name}")
        return path.is_file() and (mark is None or path.stat().st_size == mark.size)

    def known_digest(self, commit: str, name: str) -> str | None:
        """What a file's hash should be, as far as the cache itself knows."""
        path = self.snapshot(commit) / name
        linked = path.readlink().name if path.is_symlink() else ""
        mark = self._marks.get(f"{commit}/{name}")
        return linked if is_digest(linked) else mark and mark.digest

    def check(self, commit: str, name: str, digest_: str, size: int | None, seen: Seen) -> bool:
        """Whether a commit's file is here and whole. A wrong one is removed, so that nothing reads it.

        Its hash is computed once for each state of the file: that is remembered with its size and its time.
        """
        path, blob = self.snapshot(commit) / name, self.blob(digest_)
        if not path.exists() and blob.exists():  # of another commit, or of a pull that ended here
            self._link(path, blob)
        if not path.exists():
            return False
        mark = Mark.of(path, digest_)
        if size in (None, mark.size):
            if self._marks.get(f"{commit}/{name}") == mark:
                return True
            if digest(path, digest_, seen) == digest_:
                self._note(commit, name, mark)
                return True
        self.remove(commit, name, digest_)
        return False

    def place(self, commit: str, name: str, digest_: str) -> None:
        """Give a file that came in, and whose hash is right, its name. Raises OSError."""
        path, blob = self.snapshot(commit) / name, self.blob(digest_)
        self.partial(digest_).replace(blob)
        self._link(path, blob)
        self._note(commit, name, Mark.of(path, digest_))

    def remove(self, commit: str, name: str, digest_: str) -> None:
        """Remove a file, under both its names."""
        for path in (self.snapshot(commit) / name, self.blob(digest_)):
            path.unlink(missing_ok=True)

    def _link(self, path: Path, blob: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            path.symlink_to(os.path.relpath(blob, path.parent))
        except OSError:  # Windows lets few users make links: the file itself then lies there
            blob.replace(path)

    @cached_property
    def _marks(self) -> dict[str, Mark]:
        """Commit and file -> how it was found whole. What cannot be read is forgotten, and then hashed again."""
        try:
            marks = json.loads(self._marks_file.read_text(encoding="utf-8"))
            return {key: Mark(*values) for key, values in marks.items() if is_digest(values[0])}
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return {}

    def _note(self, commit: str, name: str, mark: Mark) -> None:
        self._marks[f"{commit}/{name}"] = mark
        with suppress(CannotWrite), atomic_write(self._marks_file) as file:  # without it, it is hashed again: no harm
            file.write(json.dumps(self._marks, indent=1).encode())

    @property
    def _marks_file(self) -> Path:
        return self.folder / ".jukectl-verified.json"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other pulls out for as long as the block runs; CannotFetch at once where one is at it."""
        from filelock import FileLock, Timeout

        make_folder(self.folder / "blobs")
        lock = FileLock(self.folder / ".jukectl.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise CannotFetch(f"another jukectl is fetching {self.name}. Wait until it is done") from error
        except (OSError, NotImplementedError) as error:
            raise CannotWrite(f"cannot lock {self.folder}: {getattr(error, 'strerror', None) or error}") from error
        try:
            yield
        finally:
            lock.release()
