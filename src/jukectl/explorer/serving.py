"""Serve the files of one site to this machine alone; its own page may edit titles, stars and notes, if asked for."""

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from jukectl.errors import BadInput, JukectlError
from jukectl.explorer.about import Change
from jukectl.explorer.access import is_own_page
from jukectl.explorer.editing import Editor
from jukectl.explorer.site import PAGE
from jukectl.tables import parse_json

LOOPBACK = "127.0.0.1"
LONGEST_NUMBER = 18  # digits of a position in a file
SONGS = "/api/v1/songs/"  # path of changes, followed by the id of a song
TOKEN = "X-Jukectl-Token"
LARGEST_CHANGE = 200_000  # bytes


class _Refused(Exception):
    """A request that is refused, with the HTTP status."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(SimpleHTTPRequestHandler):
    """Serves files, with the byte ranges that players need to seek; no listings of folders."""

    timeout = 60  # seconds without a byte after which a connection is closed

    def __init__(self, *arguments: Any, editor: Editor | None, token: str, **named: Any) -> None:
        self._editor, self._token = editor, token
        super().__init__(*arguments, **named)  # handles the request

    def do_PATCH(self) -> None:
        """Change a song's title, star or notes, and answer with all three as JSON."""
        status = HTTPStatus.OK
        try:
            answer = self._changed()
        except _Refused as error:
            status, answer = error.status, {"error": str(error)}
        except JukectlError as error:
            status = HTTPStatus.BAD_REQUEST if isinstance(error, BadInput) else HTTPStatus.INTERNAL_SERVER_ERROR
            answer = {"error": str(error)}
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _changed(self) -> dict[str, Any]:
        """Make the change of a request. Returns the song's title, star and notes. Raises _Refused, JukectlError."""
        path = urlsplit(self.path).path
        if self._editor is None or not path.startswith(SONGS):
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing to change here: serve the site with --edit")
        # The token stands in the page, which no other site can read: a request that has it comes from the page.
        known = secrets.compare_digest(self.headers.get(TOKEN, "").encode(), self._token.encode())
        if not self._is_own_page() or not known:
            raise _Refused(HTTPStatus.FORBIDDEN, "this page is out of date: load it again")
        if self.headers.get_content_type() != "application/json":
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a change is JSON")
        length = self.headers.get("Content-Length", "")
        if not _is_number(length):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "a change needs its length")
        if int(length) > LARGEST_CHANGE:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a change has at most {LARGEST_CHANGE} bytes")
        try:
            values = parse_json(self.rfile.read(int(length)))
        except ValueError as error:
            raise BadInput(f"the change is not JSON: {error}") from error
        return self._editor.change(unquote(path.removeprefix(SONGS)), Change.of(values))

    def list_directory(self, path: str) -> None:  # type: ignore[override]
        """Refuse to list a folder."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing: the console is for results."""

    def send_head(self) -> BinaryIO | None:
        """Send the headers, and return the file or the requested range of it."""
        if not self._is_own_page():
            self.send_error(HTTPStatus.FORBIDDEN)
            return None
        try:
            if self._editor is not None and urlsplit(self.path).path in ("/", f"/{PAGE}"):
                return self._editable_page()
            span = self._span()
            if span is None:
                return super().send_head()
            path, start, stop, size = span
            file = path.open("rb")
        except (OSError, ValueError):  # a name that no file can have, such as one with a zero byte; or a file that went
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        file.seek(start)
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        return _Part(file, stop - start)  # type: ignore[return-value]

    def _editable_page(self) -> BinaryIO:
        """Send the headers of the page, and return it with the token by which it edits."""
        content = (Path(self.directory) / PAGE).read_bytes()
        content = content.replace(
            b"</head>", f'  <meta name="jukectl-token" content="{self._token}">\n  </head>'.encode()
        )
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return BytesIO(content)

    def end_headers(self) -> None:
        """Add that ranges are accepted, and that nothing is to be cached."""
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        super().end_headers()

    def _is_own_page(self) -> bool:
        """Return True if the request comes from the site itself, from the address bar, or from no browser.

        The data of a site are scripts, which pages of other sites could load and read otherwise.
        """
        port = self.connection.getsockname()[1]
        return is_own_page(self.headers.items(), {f"{LOOPBACK}:{port}", f"localhost:{port}"})

    def _span(self) -> tuple[Path, int, int, int] | None:
        """Return file, first byte, one past the last, and size for a request of a range; None for any other request."""
        unit, _, wanted = self.headers.get("Range", "").partition("=")
        first, dash, last = wanted.partition("-")
        path = Path(self.translate_path(self.path))
        if unit != "bytes" or not dash or "," in wanted or not path.is_file():
            return None
        size = path.stat().st_size
        if not (first or last) or not all(map(_is_number, filter(None, (first, last)))):
            return None
        start = int(first) if first else max(size - int(last), 0)
        stop = min(int(last) + 1, size) if first and last else size
        return (path, start, stop, size) if start < stop else None


def _is_number(text: str) -> bool:
    """Return True for digits that no file is too short for: Python refuses to read thousands of them."""
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER


class _Part:
    """The next bytes of a file, for shutil.copyfileobj."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file = file
        self._left = left

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes."""
        found = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(found)
        return found

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextmanager
def serving(folder: Path, port: int = 0, editor: Editor | None = None) -> Iterator[str]:
    """Serve a folder while the block runs. Yields its address. Raises BadInput for a port in use.

    With an `editor`, the page may change titles, stars and notes.
    """
    handler = partial(_Handler, directory=str(folder), editor=editor, token=secrets.token_urlsafe(24))
    try:
        server = ThreadingHTTPServer((LOOPBACK, port), handler)
    except OSError as error:
        raise BadInput(f"port {port} cannot be used: {error.strerror}. Give another with --port, or 0") from error
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
