"""A repository on the hub: hashes of its files, and their bytes, resumed after a broken connection.

Names, redirects and logins are huggingface_hub's. Its own downloads restart from the first byte after an interruption,
which is too much to lose of a file of 20 GB, so the bytes are received here.
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
from jukectl.checkpoints.hub_cache import HubFile, Seen, is_commit, is_digest
from jukectl.checkpoints.published import PUBLISHED
from jukectl.errors import BadModel, CannotFetch, CannotWrite
from jukectl.files import LARGEST_FILE

TRIES = 4  # without progress, before giving up
PAUSE_SECONDS = 1.0  # before the second try; doubled before each further one

_WHO: dict[str, Any] = {"library_name": "jukectl", "library_version": __version__}
_TRY_AGAIN = (408, 416, 429, 500, 502, 503, 504)  # HTTP statuses of temporary problems
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.EIO)


class Trouble(Exception):
    """A problem that another try may not have."""


@dataclass(frozen=True)
class Remote:
    """A repository on a hub."""

    repository: str
    revision: str
    endpoint: str

    def look_up(self, name: str, commit: str | None = None) -> HubFile | None:
        """Return a file's hash and size; None if the repository has no such file."""
        from huggingface_hub import constants, get_hf_file_metadata

        # an error that a user can mend ends the loop at once; only Trouble is tried again
        for left in reversed(range(TRIES)):
            try:
                with self._translated_errors():
                    # by revision for the first file, which tells the commit; by commit for all others
                    url = self._url(name, commit or self.revision)
                    about = get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT, **_WHO)
                break
            except FileNotFoundError:
                return None
            except Trouble as trouble:
                if not left:
                    raise self.gave_up(str(trouble)) from trouble
                pause(left)
        # both become parts of paths in the cache, so they must be plain hashes
        if not is_commit(about.commit_hash or "") or not is_digest(about.etag or ""):
            raise CannotFetch(
                f"{self.endpoint} does not report the hash of {name} in {self.repository}, so that it cannot be "
                "checked. Is it a hub? See HF_ENDPOINT"
            )
        return HubFile(name, str(about.commit_hash), str(about.etag), about.size)

    def receive(self, file: HubFile, partial: Path, seen: Seen) -> None:
        """Append to `partial` the bytes of a file that it lacks, and keep what arrives in any case.

        Raise Trouble if the connection breaks, and FileNotFoundError if there is no such file.
        """
        from huggingface_hub import constants, get_session, hf_raise_for_status
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # it is loaded lazily there

        have = length(partial)
        if have and have == file.size:
            return  # complete, but killed before its hash was computed
        # identity: hash and ranges are those of the uncompressed bytes
        headers = {**build_hf_headers(**_WHO), "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with (
            self._translated_errors(),
            get_session().stream(
                "GET", self._url(file.name, file.commit), headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
            ) as response,
        ):
            if response.status_code == 416:  # the range is beyond the end: `partial` is not the start of this file
                partial.unlink(missing_ok=True)
            hf_raise_for_status(response)
            if response.status_code != 206:  # a server without ranges sends the file from its first byte
                have = 0
            with partial.open("ab" if have else "wb") as out:
                for piece in response.iter_bytes():
                    # a server that never stops must not fill the disk; the hash then tells that the file is wrong
                    wanted = piece[: _limit(file) - have]
                    out.write(wanted)
                    have += len(wanted)
                    seen(have)
                    if len(wanted) < len(piece):
                        break
                # on disk before the next request asks for the rest
                out.flush()
                os.fsync(out.fileno())
        # a connection that closes in the middle is no error of the client's where no length was announced
        if file.size is not None and have < file.size:
            raise Trouble("the connection closed early")

    def _url(self, name: str, revision: str) -> str:
        from huggingface_hub import hf_hub_url

        return hf_hub_url(self.repository, name, revision=revision, endpoint=self.endpoint)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Raise errors of the library as ours or as Trouble, and FileNotFoundError if only the file is missing."""
        from huggingface_hub import errors

        where = f"{self.repository} on {self.endpoint}"
        try:
            yield
        # from the specific to the general: the library's errors are subclasses of HfHubHTTPError, and that of OSError
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
            if status == 404:  # neither repository nor revision is missing, as those have errors of their own
                raise FileNotFoundError from error
            if status in _TRY_AGAIN:
                raise Trouble(f"it answers with status {status}") from error
            raise CannotFetch(
                f"{where} is refused: it answers with status {status}. A login may be out of date: hf auth login"
            ) from error
        except OSError as error:
            if error.errno in _DISK:  # of the disk; all other OSErrors in these blocks are of the network
                raise CannotWrite(
                    f"cannot write {error.filename or 'the download'}: {error.strerror}. What has arrived is kept: "
                    "make room and run the same again, or choose another place with --cache-dir"
                ) from error
            raise Trouble(str(error) or type(error).__name__) from error
        except Exception as error:
            # the HTTP client has a dozen kinds of broken connections, and the library does not export it
            if not type(error).__module__.startswith("httpx"):
                raise
            raise Trouble(str(error) or type(error).__name__) from error

    def gave_up(self, reason: str) -> CannotFetch:
        """Return the error after the last try."""
        return CannotFetch(
            f"cannot fetch {self.repository} from {self.endpoint}: {reason}. What has arrived is kept: run the same "
            "again to resume, or with --offline to use only what is here"
        )


def pause(left: int) -> None:
    """Wait after a try without progress, longer the fewer are left."""
    time.sleep(PAUSE_SECONDS * 2 ** (TRIES - 1 - left))


def length(path: Path) -> int:
    """Return a file's bytes; 0 if there is no file."""
    return path.stat().st_size if path.exists() else 0


def _limit(file: HubFile) -> int:
    """Return the bytes of a download at most: the file's size, or where that is unknown what a description may have."""
    return LARGEST_FILE if file.size is None else file.size
