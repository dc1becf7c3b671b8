"""A site looked at on this machine: files of one folder, to this machine alone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO

from jukectl.errors import BadInput

LOOPBACK = "127.0.0.1"


class _Handler(SimpleHTTPRequestHandler):
    """Files, with ranges, which players need to seek; no listings of folders."""

    def list_directory(self, path: str) -> None:  # type: ignore[override]
        """Nothing."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing: the console is for results."""

    def send_head(self) -> BinaryIO | None:
        """Like the base class's, but for a request of a range."""
        if self.headers.get("Host", "").rpartition(":")[0] not in (LOOPBACK, "localhost"):
            self.send_error(HTTPStatus.FORBIDDEN)  # a page elsewhere whose name was made to point here
            return None
        span = self._span()
        if span is None:
            return super().send_head()
        path, start, stop, size = span
        file = path.open("rb")
        file.seek(start)
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        return _Part(file, stop - start)  # type: ignore[return-value]

    def end_headers(self) -> None:
        """Also say that ranges are fine, and that nothing is to be kept."""
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def _span(self) -> tuple[Path, int, int, int] | None:
        """The file, first byte, one past the last, and size of a request for part of a file; None of any other."""
        unit, _, wanted = self.headers.get("Range", "").partition("=")
        first, dash, last = wanted.partition("-")
        path = Path(self.translate_path(self.path))
        if unit != "bytes" or not dash or "," in wanted or not path.is_file():
            return None
        size = path.stat().st_size
        if not (first or last) or not all(part.isdecimal() for part in (first, last) if part):
            return None
        start = int(first) if first else max(size - int(last), 0)
        stop = min(int(last) + 1, size) if first and last else size
        return (path, start, stop, size) if start < stop else None


class _Part:
    """The next bytes of a file, as shutil.copyfileobj reads them."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file = file
        self._left = left

    def read(self, size: int = -1) -> bytes:
        """At most `size` of them."""
        found = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(found)
        return found

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[str]:
    """The address of a folder while the block runs, for this machine alone; BadInput for a port that is taken."""
    try:
        server = ThreadingHTTPServer((LOOPBACK, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        raise BadInput(f"port {port} cannot be used: {error.strerror}. Give another with --port, or 0") from error
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
