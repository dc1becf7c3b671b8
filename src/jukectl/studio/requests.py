"""Bodies of requests, read within limits, and the status of each error."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from starlette.requests import Request

from jukectl.errors import BadInput, JukectlError, NotASong
from jukectl.studio.estimates import Busy
from jukectl.studio.queue import UnknownJob
from jukectl.studio.runner import WrongState
from jukectl.studio.songs import NameTaken
from jukectl.studio.uploads import UploadTooLarge
from jukectl.tables import parse_json

LARGEST_JSON = 2**20  # bytes
PATIENCE_SECONDS = 30.0  # without a byte of a body

STATUSES: dict[type[JukectlError], HTTPStatus] = {
    NotASong: HTTPStatus.NOT_FOUND,
    UnknownJob: HTTPStatus.NOT_FOUND,
    WrongState: HTTPStatus.CONFLICT,
    NameTaken: HTTPStatus.CONFLICT,
    Busy: HTTPStatus.SERVICE_UNAVAILABLE,
    UploadTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    BadInput: HTTPStatus.BAD_REQUEST,
}
"""Statuses of errors, the most special ones first; all others are the server's."""


class Refused(Exception):
    """A request that is refused, with the HTTP status."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def status_of(error: Exception) -> HTTPStatus:
    """Return the HTTP status of an error."""
    if isinstance(error, Refused):
        return error.status
    found = (status for kind, status in STATUSES.items() if isinstance(error, kind))
    return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)


async def body(request: Request, largest: int) -> AsyncIterator[bytes]:
    """Yield the body of a request in pieces. Raises Refused if it has more than `largest` bytes or is too slow."""
    left = largest
    stated = request.headers.get("content-length", "0")
    if not stated.isdecimal() or len(stated) > 15 or int(stated) > largest:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {largest} bytes can be sent")
    stream = request.stream()
    while True:
        try:
            piece = await asyncio.wait_for(anext(stream), PATIENCE_SECONDS)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, "the request is too slow") from None
        left -= len(piece)
        if left < 0:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {largest} bytes can be sent")
        yield piece


async def json_body(request: Request) -> Any:
    """Return the JSON value in the body of a request. Raises BadInput, Refused."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        # a form of another site can send three other types without asking first
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is application/json")
    content = b"".join([piece async for piece in body(request, LARGEST_JSON)])
    try:
        return parse_json(content)
    except ValueError as error:
        raise BadInput(f"the body is not JSON: {error}") from error
