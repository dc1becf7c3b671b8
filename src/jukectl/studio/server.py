"""The server of the studio: one a folder, on one address, until it is interrupted."""

import secrets
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from jukectl.errors import BadInput, JukectlError
from jukectl.explorer.serving import LOOPBACK
from jukectl.files import make_folder
from jukectl.folders import locked
from jukectl.progress import Listener
from jukectl.studio.access import TOKEN_PARAMETER, Access
from jukectl.studio.app import Studio
from jukectl.studio.estimates import Estimates
from jukectl.studio.forms import CommandForm, Forms
from jukectl.studio.library import Library
from jukectl.studio.page import Page
from jukectl.studio.queue import Queue
from jukectl.studio.runner import Runner
from jukectl.studio.songs import OWN, Songs
from jukectl.studio.uploads import Uploads
from jukectl.studio.worker import Workers

LOCAL = (LOOPBACK, "localhost")  # hosts that need no token
MOST_CONNECTIONS = 128
CLOSING_SECONDS = 2  # for answers that are being sent


class StudioBusy(JukectlError):
    """Another studio works in the same folder."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Address of the studio."""

    host: str = LOOPBACK
    port: int = 0  # 0: a free one
    token: str | None = field(init=False)  # for any address but this machine's own

    def __post_init__(self) -> None:
        token = None if self.host in LOCAL else secrets.token_urlsafe(24)
        object.__setattr__(self, "token", token)

    def url(self, port: int) -> str:
        """Return the address to open."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{port}/" + (f"?{TOKEN_PARAMETER}={self.token}" if self.token else "")

    def guarded(self, app: ASGIApp, port: int) -> Access:
        """Return the application behind the checks of its requests."""
        hosts = None if self.token else {f"{host}:{port}" for host in LOCAL}
        return Access(app, hosts=hosts, token=self.token)


def serve(
    folder: Path,
    place: Place,
    forms: Mapping[str, CommandForm],
    launch: Sequence[str],
    listener: Listener,
    ready: Callable[[str], None],
) -> None:
    """Serve the studio of a folder until the process is interrupted.

    `launch` are the words of a worker process. `ready` is called with the address, once it answers. Raises BadInput for
    a port or a host that cannot be used, StudioBusy, CannotWrite.
    """
    folder = folder.resolve()
    make_folder(folder / OWN)
    busy = StudioBusy(f"another studio works in {folder}: use it, or stop it first")
    with locked(folder / OWN / ".lock", busy, f"cannot lock {folder / OWN}"), closing(_bound(place)) as bound:
        queue = Queue.open(folder / OWN / "queue.json")
        songs, uploads, workers = Songs(folder), Uploads(folder / OWN / "uploads"), Workers(launch, folder)
        runner = Runner(queue, workers, folder, listener)
        library = Library(songs, folder / OWN / "site", listener, queue.at_work)
        library.begin()
        studio = Studio(Forms(forms, songs, uploads), songs, uploads, queue, runner, Estimates(workers), Page(library))
        port = int(bound.getsockname()[1])
        server = _Server(
            place.guarded(studio.app(), port), ready=lambda: ready(place.url(port)), end=studio.events.close
        )
        # so that the first page and the first client of the API need not wait
        for prepare in (library.fill, songs.describe_all):
            threading.Thread(target=prepare, daemon=True).start()
        runner.start()
        try:
            server.run(sockets=[bound])
        finally:
            library.close()
            runner.close()
            workers.close()


class _Server(uvicorn.Server):
    """A uvicorn server without logs that says when it is ready, and ends streams when it is to end."""

    def __init__(self, app: ASGIApp, *, ready: Callable[[], None], end: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                interface="asgi3",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="off",
                http="h11",
                ws="none",
                loop="asyncio",
                limit_concurrency=MOST_CONNECTIONS,
                timeout_keep_alive=10,
                timeout_graceful_shutdown=CLOSING_SECONDS,
            )
        )
        self._ready, self._end = ready, end

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams of events, which would last for ever, and stop."""
        self._end()
        await super().shutdown(sockets)


def _bound(place: Place) -> socket.socket:
    """Return a socket at the address. Raises BadInput."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise BadInput(f"--host {place.host} is no address of this machine: {error.strerror or error}") from error
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError as error:
        found.close()
        raise BadInput(
            f"port {place.port} of {place.host} cannot be used: {error.strerror}. Give another with --port, or 0"
        ) from error
    return found
