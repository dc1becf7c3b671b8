"""Published models from the Hugging Face hub: fetched whole, held against their hashes, found again."""

import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jukectl.checkpoints.hub_cache import (
    CONFIG,
    NEWEST,
    VOCABULARY,
    WEIGHTS,
    CachedRepository,
    Seen,
    default_cache,
    digest,
    is_index,
    shards,
)
from jukectl.checkpoints.hub_remote import TRIES, Remote, RemoteFile, Trouble, length, pause
from jukectl.checkpoints.published import PUBLISHED, size
from jukectl.errors import BadInput, BadModel, CannotFetch, CannotWrite, JukectlError, UnknownName
from jukectl.progress import Listener, Progress, ignore

_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_LARGE = 100_000_000  # bytes that take a while to hash
_REVISION = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)


def pull(
    name: str,
    *,
    revision: str | None = None,
    cache_dir: Path | None = None,
    endpoint: str | None = None,
    offline: bool = False,
    listener: Listener = ignore,
) -> Path:
    """Fetch a published model, or any owner/repository of its kind; its folder, with every file's hash checked.

    What an earlier pull left is gone on from, what is here already stays, and what is damaged is fetched again. With
    `offline`, or HF_HUB_OFFLINE, what is here is checked and nothing fetched. The hub is at `endpoint`, HF_ENDPOINT or
    huggingface.co.

    Raises UnknownName for a name that is none, BadModel for what the hub does not have, CannotFetch where it cannot be
    reached or sends something wrong every time, CannotWrite where the disk is full.
    """
    from huggingface_hub import constants

    cached = CachedRepository(_repository(name), cache_dir or default_cache())
    revision = revision or NEWEST
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise BadInput(f"--revision is a branch, a tag or a commit, got {revision!r}")
    if offline or constants.HF_HUB_OFFLINE:
        return _check_offline(name, cached, revision, listener)
    hub = Remote(cached.name, revision, (endpoint or os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/"))
    with cached.lock(), _quiet():
        return _Pull(name, hub, cached, listener).run()


def find_pulled(name: str, *, cache_dir: Path | None = None, revision: str | None = None) -> Path | None:
    """The folder of a model that was pulled, by its name or owner/repository; None where it is not here as a whole.

    Without a revision it is the newest known one, or else what was fetched last. No network, and no hashes computed.
    """
    try:
        cached = CachedRepository(_repository(name), cache_dir or default_cache())
    except JukectlError:
        return None
    commits = cached.commits() if revision is None else filter(None, [cached.commit(revision)])
    return next((cached.snapshot(commit) for commit in commits if cached.files(commit)), None)


def _repository(name: str) -> str:
    """The repository of a published model, or the one that a name is itself."""
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
    """A model that is here, with its hashes checked. BadModel where it is not, or is damaged."""
    way_out = "Run the same without --offline (and without HF_HUB_OFFLINE)"
    commit = cached.commit(revision)
    names = cached.files(commit) if commit else None
    if not commit or not names:
        raise BadModel(
            f"{name} is not here as a whole, in {cached.cache} at revision {revision}, and offline nothing is fetched. "
            f"{way_out}"
        )
    folder = cached.snapshot(commit)
    sizes = {one: (folder / one).stat().st_size for one in names}
    meter = _Meter(listener, f"checking {name}", sum(sizes.values()))
    for one in names:
        known = cached.known_digest(commit, one)
        if known and not cached.check(commit, one, known, None, meter.of(one)):
            raise BadModel(
                f"{one} of {name} was damaged and is removed now; offline it cannot be fetched again. {way_out}"
            )
        meter.add(sizes[one])
    return folder


class _Meter:
    """Bytes of several files as progress events, in megabytes."""

    def __init__(self, listener: Listener, stage: str, total: int) -> None:
        self._listener = listener
        self._stage = f"{stage}, MB"
        self._total = max(round(total / 1e6), 1)
        self._before = 0  # bytes of the files that are done
        self._shown: tuple[int, str] | None = None

    def of(self, name: str) -> Seen:
        """What is told the bytes of a file as they come."""

        def seen(count: int) -> None:
            megabytes = min(round((self._before + count) / 1e6), self._total)
            if (megabytes, name) != self._shown:
                self._shown = megabytes, name
                self._listener(Progress(self._stage, megabytes, self._total, name))

        return seen

    def add(self, count: int) -> None:
        """A file of so many bytes is done."""
        self._before += count

    def finish(self) -> None:
        """All of it is done."""
        self._listener(Progress(self._stage, self._total, self._total))


@dataclass(frozen=True)
class _Pull:
    """One model on its way to the cache."""

    name: str  # as the user calls it
    hub: Remote
    cached: CachedRepository
    listener: Listener

    def run(self) -> Path:
        """Fetch what is missing; the model's folder."""
        config = self.hub.look_up(CONFIG)
        if config is None:
            raise BadModel(
                f"{self.hub.repository} has no {CONFIG} at revision {self.hub.revision}: no model that jukectl reads"
            )
        commit = config.commit
        vocabulary = [file for name in VOCABULARY if (file := self.hub.look_up(name, commit))]
        weights = next((file for name in WEIGHTS if (file := self.hub.look_up(name, commit))), None)
        if weights is None:
            raise BadModel(f"{self.hub.repository} has no weights that jukectl reads: none of {', '.join(WEIGHTS)}")
        if is_index(weights.name):
            self._fetch([weights], ignore)
            self._fetch([config, *vocabulary, *self._shards(commit, weights)], self.listener)
        else:
            self._fetch([config, *vocabulary, weights], self.listener)
        self.cached.remember(self.hub.revision, commit)
        return self.cached.snapshot(commit)

    def _shards(self, commit: str, index: RemoteFile) -> list[RemoteFile]:
        """The files that an index names. BadModel where the repository has not all of them."""
        found = []
        for name in shards(self.cached.snapshot(commit) / index.name):
            file = self.hub.look_up(name, commit)
            if file is None:
                raise BadModel(
                    f"{index.name} of {self.hub.repository} names {name}, which the repository does not have"
                )
            found.append(file)
        return found

    def _fetch(self, files: list[RemoteFile], listener: Listener) -> None:
        """Fetch those of the files that are not here, or not whole."""
        missing = []
        meter = _Meter(listener, f"checking {self.name}", sum(file.size or 0 for file in files))
        for file in files:
            if not self.cached.check(file.commit, file.name, file.digest, file.size, meter.of(file.name)):
                missing.append(file)
            meter.add(file.size or 0)
        self._check_room(missing)
        meter = _Meter(listener, f"fetching {self.name}", sum(file.size or 0 for file in missing))
        for file in missing:
            self._fetch_one(file, meter.of(file.name))
            meter.add(file.size or 0)
        if missing:
            meter.finish()

    def _check_room(self, files: list[RemoteFile]) -> None:
        """CannotWrite where the disk has no room for what is still to come of the files."""
        needed = sum(max((file.size or 0) - length(self.cached.partial(file.digest)), 0) for file in files)
        free = shutil.disk_usage(self.cached.folder).free
        if needed > free:
            raise CannotWrite(
                f"{self.name} needs {size(needed)} more in {self.cached.cache}, and {size(free)} are free. Make room, "
                "or choose another place with --cache-dir"
            )

    def _fetch_one(self, file: RemoteFile, seen: Seen) -> None:
        """Fetch one file, in as many tries as it takes while something comes; only the right hash is kept."""
        partial = self.cached.partial(file.digest)
        listener = self.listener if (file.size or 0) > _LARGE else ignore
        checking = _Meter(listener, f"checking {file.name}", file.size or 0).of("")
        left, most = TRIES, length(partial)
        while True:
            try:
                self.hub.receive(file, partial, seen)
            except FileNotFoundError as error:
                raise self.hub.gave_up(f"{file.name} is listed but not there") from error
            except Trouble as trouble:
                left = TRIES - 1 if length(partial) > most else left - 1
                most = max(most, length(partial))
                if not left:
                    raise self.hub.gave_up(f"{file.name}: {trouble}") from trouble
            else:
                if digest(partial, file.digest, checking) == file.digest:
                    self.cached.place(file.commit, file.name, file.digest)
                    return
                partial.unlink()
                left -= 1
                if not left:
                    raise CannotFetch(
                        f"{file.name} of {self.hub.repository} came {TRIES} times, each time with another hash than "
                        f"{self.hub.endpoint} tells; none of it is kept. Try again later, or another network"
                    )
            pause(left)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's own remarks off stderr while the block runs, and what it tells of this machine off the net."""
    from huggingface_hub import constants
    from huggingface_hub.utils import logging as remarks

    before = remarks.get_verbosity(), constants.HF_HUB_DISABLE_TELEMETRY
    remarks.set_verbosity(logging.CRITICAL)
    constants.HF_HUB_DISABLE_TELEMETRY = True  # or it asks the hub for more, and sends what else is installed
    try:
        yield
    finally:
        remarks.set_verbosity(before[0])
        constants.HF_HUB_DISABLE_TELEMETRY = before[1]
