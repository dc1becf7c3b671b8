"""A hub on this machine: enough of the protocol to download a repository, and every way in which that can fail."""

import hashlib
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Repository:
    """Files of one repository, and the faults of its server."""

    name: str
    files: dict[str, bytes]
    commits: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})  # by revision
    breaks: dict[str, list[int]] = field(default_factory=dict)  # by file: bytes after which each next answer ends
    wrong: dict[str, int] = field(default_factory=dict)  # by file: number of answers with other bytes
    stalls: dict[str, list[int]] = field(default_factory=dict)  # as breaks, but the connection stays open
    drips: dict[str, float] = field(default_factory=dict)  # by file: seconds between two pieces
    status: dict[str, list[int]] = field(default_factory=dict)  # by file: HTTP statuses of the next answers
    endless: set[str] = field(default_factory=set)  # files after which bytes go on, without a length
    unsized: set[str] = field(default_factory=set)  # files of which HEAD reports no length
    ranges: bool = True  # support for requests of a part
    headers: dict[str, str] = field(default_factory=dict)  # replace the right ones; "" leaves one out
    cdn: bool = False  # large files are on another host, as those of the real hub
    gone: set[str] = field(default_factory=set)  # files with metadata but no bytes

    def digest(self, name: str) -> str:
        """Return the hash that the hub reports: SHA-256 of large files, git's of the others."""
        data = self.files[name]
        if name.endswith((".bin", ".safetensors")):
            return hashlib.sha256(data).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass(frozen=True)
class Request:
    """One request."""

    method: str
    file: str
    start: int | None = None  # of the requested range, if any
    host: str = ""
    signed: bool = False  # it has a login
    agent: str = ""


class Hub:
    """A running server."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        self.stop = threading.Event()
        hub = self

        class Handler(_Handler):
            def served(self) -> Hub:
                return hub

        self.server = _Server(("127.0.0.1", 0), Handler)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def add(self, name: str, files: Mapping[str, bytes]) -> Repository:
        self.repositories[name] = Repository(name, dict(files))
        return self.repositories[name]

    def gets(self) -> list[Request]:
        """Return the requests for bytes since the last call."""
        found = [request for request in self.requests if request.method == "GET"]
        self.requests.clear()
        return found


@contextmanager
def running() -> Iterator[Hub]:
    """Run a hub without repositories in a thread."""
    hub = Hub()
    thread = threading.Thread(target=hub.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        hub.stop.set()
        hub.server.shutdown()
        thread.join()
        hub.server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hang up; anything else is a mistake here."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise every answer waits for an acknowledgement

    def served(self) -> Hub:
        raise NotImplementedError

    def log_message(self, *_: object) -> None:
        """Keep tests quiet."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        """Answer a request for /owner/name/resolve/revision/file."""
        hub = self.served()
        owner, name, _, revision, *path = map(unquote, self.path.strip("/").split("/"))
        file = "/".join(path)
        start = self._start()
        host, signed = self.headers["Host"].split(":")[0], "Authorization" in self.headers
        hub.requests.append(Request(str(self.command), file, start, host, signed, self.headers["User-Agent"]))
        repository = hub.repositories.get(f"{owner}/{name}")
        if repository is None:
            return self._refuse(404, "RepoNotFound")
        commit = repository.commits.get(revision, revision if revision in repository.commits.values() else None)
        if commit is None:
            return self._refuse(404, "RevisionNotFound")
        if repository.status.get(file) and (status := repository.status[file].pop(0)) != 200:
            return self._refuse(status, "GatedRepo" if status == 403 else "")
        if file not in repository.files or (self.command == "GET" and file in repository.gone):
            return self._refuse(404, "EntryNotFound")
        if repository.cdn and len(repository.digest(file)) == 64 and host != "localhost":
            return self._redirect(repository, commit, file)
        return self._give(repository, commit, file, start if repository.ranges and self.command == "GET" else None)

    def _give(self, repository: Repository, commit: str, file: str, start: int | None) -> None:
        """Send a file's headers and, for GET, its bytes from `start` on."""
        data, large = repository.files[file], len(repository.digest(file)) == 64
        if start is not None and start >= len(data):
            self._refuse(416, "")
            return
        self.send_response(200 if start is None else 206)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        headers = {
            "X-Repo-Commit": commit,
            "ETag": f'"{repository.digest(file)}"' if not large else '"of-the-pointer"',
            **({"X-Linked-Etag": f'"{repository.digest(file)}"', "X-Linked-Size": str(len(data))} if large else {}),
            "Content-Length": str(len(data) - (start or 0)),
            **repository.headers,
        }
        if file in (repository.endless if self.command == "GET" else repository.unsized):
            headers["Content-Length"] = ""
            self.close_connection = True
        for header, value in headers.items():
            if value:
                self.send_header(header, value)
        self.end_headers()
        if self.command == "GET":
            self._send(repository, file, start or 0)

    def _start(self) -> int | None:
        asked = self.headers.get("Range")
        return int(asked.removeprefix("bytes=").removesuffix("-")) if asked else None

    def _redirect(self, repository: Repository, commit: str, file: str) -> None:
        """Redirect to the same server by another name."""
        self.send_response(302)
        self.send_header("Location", f"http://localhost:{self.served().server.server_port}{self.path}")
        self.send_header("X-Repo-Commit", commit)
        self.send_header("X-Linked-Etag", f'"{repository.digest(file)}"')
        self.send_header("X-Linked-Size", str(len(repository.files[file])))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, repository: Repository, file: str, start: int) -> None:
        data = repository.files[file]
        if repository.wrong.get(file, 0) > 0:
            repository.wrong[file] -= 1
            data = bytes(byte ^ 255 for byte in data)
        data = data[start:]
        stall = repository.stalls.get(file) or []
        cut = repository.breaks.get(file) or stall
        stop = cut.pop(0) if cut else len(data)
        pause = repository.drips.get(file)
        step = max(len(data) // 10, 1) if pause else max(stop, 1)
        for at in range(0, stop, step):
            self.wfile.write(data[at : min(at + step, stop)])
            self.wfile.flush()
            self.served().stop.wait(pause or 0)
        while file in repository.endless and not self.served().stop.is_set():
            self.wfile.write(bytes(100_000))
        if stop < len(data):
            if cut is stall:
                self.served().stop.wait(5)
            self.close_connection = True
