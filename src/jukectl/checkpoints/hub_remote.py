"""A repository on the hub: what a file's hash is, and its bytes, gone on from wherever they broke off.

huggingface_hub finds, names and signs. Its own downloads begin anew once interrupted, so the bytes are read here.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jukectl import __version__
from jukectl.checkpoints.hub_cache import Seen, is_commit, is_digest
from jukectl.checkpoints.published import PUBLISHED
from jukectl.errors import BadModel, CannotFetch, CannotWrite

TRIES = 4  # that bring nothing new
PAUSE_SECONDS = 1.0  # before the second try, twice that before the third

_WHO: dict[str, Any] = {"library_name": "jukectl", "library_version": __version__}
_TRY_AGAIN = (408, 416, 429, 500, 502, 503, 504)  # HTTP statuses
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.EIO)


@dataclass(frozen=True)
class RemoteFile:
    """A file on the hub."""

    name: str
    commit: str
    digest: str
    size: int | None  # bytes


class Trouble(Exception):
    """Something that may be gone at the next try."""


@dataclass(frozen=True)
class Remote:
    """A repository on a hub."""

    repository: str
    revision: str
    endpoint: str

    def look_up(self, name: str, commit: str | None = None) -> RemoteFile | None:
        """A file's hash and size; None where the repository has no such file."""
        from huggingface_hub import constants, get_hf_file_metadata

        for left in reversed(range(TRIES)):
            try:
                with self._told():
                    url = self._url(name, commit or self.revision)
                    about = get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT, **_WHO)
                break
            except FileNotFoundError:
                return None
            except Trouble as trouble:
                if not left:
                    raise self.gave_up(str(trouble)) from trouble
                pause(left)
        if not is_commit(about.commit_hash or "") or not is_digest(about.etag or ""):
            raise CannotFetch(
                f"{self.endpoint} does not tell the hash of {name} in {self.repository}, so that it could not be "
                "checked. Is it a hub? See HF_ENDPOINT"
            )
        return RemoteFile(name, str(about.commit_hash), str(about.etag), about.size)

    def receive(self, file: RemoteFile, partial: Path, seen: Seen) -> None:
        """Add to `partial` what it lacks of a file, and keep what came whatever happens.

        Raises Trouble where the connection breaks, and FileNotFoundError where there is no such file.
        """
        from huggingface_hub import constants, get_session, hf_raise_for_status
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # it is loaded lazily there

        have = length(partial)
        if have and have == file.size:
            return
        headers = {**build_hf_headers(**_WHO), "Accept-Encoding": "identity"}  # the bytes that the hash is of
        if have:
            headers["Range"] = f"bytes={have}-"
        with (
            self._told(),
            get_session().stream(
                "GET", self._url(file.name, file.commit), headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
            ) as response,
        ):
            if response.status_code == 416:  # what is here is no beginning of it
                partial.unlink(missing_ok=True)
            hf_raise_for_status(response)
            if response.status_code != 206:  # all of it, whatever was asked for
                have = 0
            with partial.open("ab" if have else "wb") as out:
                for piece in response.iter_bytes():
                    out.write(piece)
                    have += len(piece)
                    seen(have)
                    if file.size is not None and have > file.size:
                        break  # its hash will be wrong
                out.flush()
                os.fsync(out.fileno())
        if file.size is not None and have < file.size:
            raise Trouble("the connection closed early")

    def _url(self, name: str, revision: str) -> str:
        from huggingface_hub import hf_hub_url

        return hf_hub_url(self.repository, name, revision=revision, endpoint=self.endpoint)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the hub's library as ours, or as Trouble; FileNotFoundError where only the file is not there."""
        from huggingface_hub import errors

        where = f"{self.repository} on {self.endpoint}"
        try:
            yield
        except errors.GatedRepoError as error:
            raise BadModel(
                f"{where} wants its terms accepted first: do so on its page, then log in with: hf auth login"
            ) from error
        except errors.RepositoryNotFoundError as error:
            raise BadModel(
                f"there is no {where}, or it is private. Published are {', '.join(PUBLISHED)}; for a private one, log "
                "in with: hf auth login"
            ) from error
        except errors.RevisionNotFoundError as error:
            raise BadModel(f"{where} has no revision {self.revision!r}. Leave out --revision for the newest") from error
        except errors.HfHubHTTPError as error:
            status = error.response.status_code
            if status == 404:
                raise FileNotFoundError from error
            if status in _TRY_AGAIN:
                raise Trouble(f"it answers with status {status}") from error
            raise CannotFetch(
                f"{where} is refused: it answers with status {status}. A login may be out of date: hf auth login"
            ) from error
        except OSError as error:
            if error.errno in _DISK:
                raise CannotWrite(
                    f"cannot write {error.filename or 'what comes in'}: {error.strerror}. What has come in is kept: "
                    "make room and run the same again, or choose another place with --cache-dir"
                ) from error
            raise Trouble(str(error) or type(error).__name__) from error
        except Exception as error:  # broken connections have a dozen kinds, of the HTTP client that the library brings
            if not type(error).__module__.startswith("httpx"):
                raise
            raise Trouble(str(error) or type(error).__name__) from error

    def gave_up(self, reason: str) -> CannotFetch:
        """The error after the last try."""
        return CannotFetch(
            f"cannot fetch {self.repository} from {self.endpoint}: {reason}. What has come in is kept: run the same "
            "again to go on, or with --offline for what is here already"
        )


def pause(left: int) -> None:
    """Wait after a try that brought nothing, when so many are left."""
    time.sleep(PAUSE_SECONDS * 2 ** (TRIES - 1 - left))


def length(path: Path) -> int:
    """A file's bytes; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0
