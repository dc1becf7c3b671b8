"""Published models from the Hugging Face hub: downloaded completely, verified by their hashes, found again."""

import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jukectl.checkpoints.hub_cache import (
    CONFIG,
    NEWEST,
    VOCABULARY,
    WEIGHTS,
    CachedRepository,
    HubFile,
    Seen,
    default_cache,
    digest,
    is_index,
    shards,
)
from jukectl.checkpoints.hub_remote import TRIES, Remote, Trouble, length, pause
from jukectl.checkpoints.published import PUBLISHED, size
from jukectl.errors import BadInput, BadModel, CannotFetch, CannotWrite, JukectlError, UnknownName
from jukectl.progress import Listener, Progress, ignore

_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_REVISION = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)
_LARGE = 100_000_000  # bytes from which hashing takes long enough to report its progress


def pull(
    name: str,
    *,
    revision: str | None = None,
    cache_dir: Path | None = None,
    endpoint: str | None = None,
    offline: bool = False,
    listener: Listener = ignore,
) -> Path:
    """Download a published model, or any owner/repository in the same layout; return its folder of verified files.

    Interrupted downloads are resumed, present files are kept, and damaged ones are downloaded again. With `offline`, or
    HF_HUB_OFFLINE, present files are verified and nothing is downloaded. The hub is at `endpoint`, HF_ENDPOINT or
    huggingface.co.

    Raise UnknownName for a name that is none, BadModel for what the hub does not have, CannotFetch if it cannot be
    reached or repeatedly sends wrong bytes, CannotWrite if the disk is full.
    """
    from huggingface_hub import constants

    # all names are checked before the network and the disk are touched
    cached = CachedRepository(_repository(name), cache_dir or default_cache())
    revision = revision or NEWEST
    if not _REVISION.fullmatch(revision) or ".." in revision:  # it becomes a path in the cache
        raise BadInput(f"--revision is a branch, a tag or a commit, got {revision!r}")
    if offline or constants.HF_HUB_OFFLINE:
        return _check_offline(name, cached, revision, listener)
    hub = Remote(cached.name, revision, (endpoint or os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/"))
    # the lock spans checks and downloads: two processes would append to the same partial file
    with cached.lock(), _quiet_library():
        return _Pull(name, hub, cached, listener).run()


def find_pulled(name: str, *, cache_dir: Path | None = None, revision: str | None = None) -> Path | None:
    """Return the folder of a downloaded model by its name or owner/repository; None if it is not complete.

    Without a revision it is the newest known one, or else the one downloaded last. Neither network nor hashing.
    """
    try:
        cached = CachedRepository(_repository(name), cache_dir or default_cache())
    except JukectlError:  # no published model and no repository: then it was not pulled either
        return None
    return cached.find_any() if revision is None else cached.find(revision)


def _repository(name: str) -> str:
    """Return the repository of a published model, or `name` itself if it is a repository."""
    # short names first; none of them is a valid repository, since it has no owner
    published = PUBLISHED.get(name)
    if published and not published.repository:
        raise BadModel(f"{name} is not on the hub. {published.how_to_get}")
    if published and published.repository:
        return published.repository
    if _REPOSITORY.fullmatch(name) and ".." not in name and "--" not in name:  # the hub's own rule
        return name
    raise UnknownName(
        f"no published model is called {name!r}. There are {', '.join(PUBLISHED)}, or any repository of the hub in the "
        "same layout, as owner/name"
    )


def _check_offline(name: str, cached: CachedRepository, revision: str, listener: Listener) -> Path:
    """Return the folder of a model after verifying its hashes. Raise BadModel if it is missing or damaged."""
    way_out = "Run the same without --offline (and without HF_HUB_OFFLINE)"
    folder = cached.find(revision)
    names = cached.files(folder) if folder else None
    if not folder or not names:
        raise BadModel(
            f"{name} is not complete in {cached.cache} at revision {revision}, and nothing is fetched offline. "
            f"{way_out}"
        )
    # without links and without a record of an earlier check nothing is known of a file: it is accepted as it is
    known = {one: cached.known_digest(folder / one) for one in names}
    files = [HubFile(one, folder.name, hash_, (folder / one).stat().st_size) for one, hash_ in known.items() if hash_]
    for file, seen in _metered(files, f"checking {name}", listener):
        if not cached.check(file, seen):
            raise BadModel(
                f"{file.name} of {name} was damaged and has been removed; offline it cannot be fetched again. {way_out}"
            )
    return folder


def _metered(files: Sequence[HubFile], stage: str, listener: Listener) -> Iterator[tuple[HubFile, Seen]]:
    """Yield each file with a callback for its bytes. Progress is in megabytes of all files together."""
    total = max(round(sum(file.size or 0 for file in files) / 1e6), 1)
    before, shown = 0, (-1, "")

    for file in files:

        def seen(count: int, name: str = file.name, before: int = before) -> None:
            nonlocal shown
            # sizes may be unknown, so the sum may be too small: never report more than the total
            megabytes = min(round((before + count) / 1e6), total)
            if (megabytes, name) != shown:  # a call for each piece that arrives, but a report for each megabyte
                shown = megabytes, name
                listener(Progress(f"{stage}, MB", megabytes, total, name))

        yield file, seen
        before += file.size or 0
    if shown != (-1, ""):
        listener(Progress(f"{stage}, MB", total, total))


@dataclass(frozen=True)
class _Pull:
    """The download of one model into the cache."""

    name: str  # as the user gave it
    hub: Remote
    cached: CachedRepository
    listener: Listener

    def run(self) -> Path:
        """Download the missing files and return the model's folder."""
        config = self.hub.look_up(CONFIG)
        if config is None:
            raise BadModel(
                f"{self.hub.repository} has no {CONFIG} at revision {self.hub.revision}: no model that jukectl reads"
            )
        # all other files are those of this commit, even if the branch moves on in the meantime
        commit = config.commit
        # each repository has some of these names; a missing one is no error
        vocabulary = [file for name in VOCABULARY if (file := self.hub.look_up(name, commit))]
        weights = next((file for name in WEIGHTS if (file := self.hub.look_up(name, commit))), None)
        if weights is None:
            raise BadModel(f"{self.hub.repository} has no weights that jukectl reads: none of {', '.join(WEIGHTS)}")
        if is_index(weights.name):  # the index is needed first, since it lists the other files
            self._fetch([weights], ignore)
            self._fetch([config, *vocabulary, *self._shards(commit, weights)], self.listener)
        else:
            self._fetch([config, *vocabulary, weights], self.listener)
        # last, so that a revision refers to complete snapshots only
        self.cached.remember(self.hub.revision, commit)
        return self.cached.snapshot(commit)

    def _shards(self, commit: str, index: HubFile) -> list[HubFile]:
        """Return the files that an index lists. Raise BadModel if the repository lacks one."""
        found = []
        for name in shards(self.cached.snapshot(commit) / index.name):
            file = self.hub.look_up(name, commit)
            if file is None:
                raise BadModel(
                    f"{index.name} of {self.hub.repository} names {name}, which the repository does not have"
                )
            found.append(file)
        return found

    def _fetch(self, files: list[HubFile], listener: Listener) -> None:
        """Download those of the files that are missing or damaged."""
        checked = _metered(files, f"checking {self.name}", listener)
        missing = [file for file, seen in checked if not self.cached.check(file, seen)]
        # before the first byte, instead of an error after hours
        self._check_room(missing)
        for file, seen in _metered(missing, f"fetching {self.name}", listener):
            self._fetch_one(file, seen)

    def _check_room(self, files: list[HubFile]) -> None:
        """Raise CannotWrite if the disk has no room for the missing bytes of the files."""
        needed = sum(max((file.size or 0) - length(self.cached.partial(file)), 0) for file in files)
        free = shutil.disk_usage(self.cached.folder).free
        if needed > free:
            raise CannotWrite(
                f"{self.name} needs {size(needed)} more in {self.cached.cache}, and {size(free)} are free. Make room, "
                "or choose another place with --cache-dir"
            )

    def _fetch_one(self, file: HubFile, seen: Seen) -> None:
        """Download one file, trying again as long as there is progress; keep it only with the right hash."""
        # bytes of an earlier run are in this file already; a wrong start is found out by the hash at the end
        partial = self.cached.partial(file)
        listener = self.listener if (file.size or 0) > _LARGE else ignore
        _, checking = next(_metered([file], f"checking {file.name}", listener))
        left, most = TRIES, length(partial)
        while True:
            try:
                self.hub.receive(file, partial, seen)
            except FileNotFoundError as error:
                raise self.hub.gave_up(f"{file.name} is listed but not there") from error
            except Trouble as trouble:
                # a try that received new bytes does not count: a slow connection may break a hundred times
                left = TRIES - 1 if length(partial) > most else left - 1
                most = max(most, length(partial))
                if not left:
                    raise self.hub.gave_up(f"{file.name}: {trouble}") from trouble
            else:
                if digest(partial, file.digest, checking) == file.digest:
                    self.cached.place(file)
                    return
                # nothing of it can be trusted, since a hash does not tell which bytes are wrong: start from zero
                partial.unlink()
                left -= 1
                if not left:
                    raise CannotFetch(
                        f"{file.name} of {self.hub.repository} came {TRIES} times, each time with another hash than "
                        f"{self.hub.endpoint} reports; none of it is kept. Try again later, or another network"
                    )
            pause(left)


@contextmanager
def _quiet_library() -> Iterator[None]:
    """Keep the library's remarks off stderr, and facts about this machine off the network, while the block runs."""
    from huggingface_hub import constants
    from huggingface_hub.utils import logging as remarks

    before = remarks.get_verbosity(), constants.HF_HUB_DISABLE_TELEMETRY
    remarks.set_verbosity(logging.CRITICAL)
    # with telemetry the library sends a list of installed packages in its user agent
    constants.HF_HUB_DISABLE_TELEMETRY = True
    try:
        yield
    finally:
        remarks.set_verbosity(before[0])
        constants.HF_HUB_DISABLE_TELEMETRY = before[1]
