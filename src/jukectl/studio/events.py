"""The stream of events: a client gets the whole queue, then what changes, and the same again when it reconnects."""

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from jukectl.studio.queue import Queue
from jukectl.studio.requests import Refused

MOST = 32  # clients
PULSE_SECONDS = 15.0  # without a change, after which a comment shows that the connection lives
LEAST_SECONDS = 0.1  # between two messages to a client: changes in between come together
RETRY_MILLISECONDS = 1_000


class Events:
    """Tells clients of changes of the queue. A slow client skips states in between, so nothing piles up for it."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._clients: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False
        queue.listen(self._changed)

    def close(self) -> None:
        """End all streams. Call it in the thread of the server."""
        self._ended = True
        self._wake()

    def join(self) -> asyncio.Event:
        """Add a client, which is woken by an event. Raises Refused if there are too many."""
        if len(self._clients) >= MOST:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST} clients follow the queue already: close some tabs")
        self._loop = asyncio.get_running_loop()
        client = asyncio.Event()
        self._clients.add(client)
        return client

    def leave(self, client: asyncio.Event) -> None:
        """Remove a client."""
        self._clients.discard(client)

    async def messages(self, client: asyncio.Event) -> AsyncIterator[str]:
        """Yield the messages of a client until the studio ends."""
        yield f"retry: {RETRY_MILLISECONDS}\n\n"
        version, paused = 0, None
        while not self._ended:
            client.clear()
            changes = self._queue.changes(version)
            if changes.version > version:
                version = changes.version
                if changes.order is not None or changes.paused != paused:
                    paused = changes.paused
                    yield _message("queue", {"paused": paused, "order": changes.order}, version)
                for job in changes.jobs:
                    yield _message("job", job.to_dict(), version)
                await asyncio.sleep(LEAST_SECONDS)
            try:
                await asyncio.wait_for(client.wait(), PULSE_SECONDS)
            except TimeoutError:
                yield ": here\n\n"

    def _changed(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for client in self._clients:
            client.set()


class EventStream(StreamingResponse):
    """An answer that streams events to one client."""

    def __init__(self, events: Events) -> None:
        self._events, self._client = events, events.join()
        super().__init__(events.messages(self._client), media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until the client or the studio ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._events.leave(self._client)


def _message(name: str, value: dict[str, Any], version: int) -> str:
    return f"id: {version}\nevent: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"
