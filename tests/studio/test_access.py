"""The token of a studio that listens at another address than this machine's own."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message

from jukectl.studio.access import Access
from jukectl.studio.server import Place


async def answer(request: Request) -> Response:
    return PlainTextResponse("inside")


PLACE = Place(host="0.0.0.0")
GUARDED = PLACE.guarded(Starlette(routes=[Route("/{path:path}", answer)]), 8420)
TOKEN = PLACE.token or ""


def ask(guarded: Access, address: str, **headers: str) -> tuple[int, dict[str, str]]:
    """Return status and headers of the answer to a request. A _ in the name of a header stands for -."""
    sent: list[Message] = []
    path, _, query = address.partition("?")
    given = {"host": "music.example:8420", **{name.replace("_", "-").lower(): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    with ThreadPoolExecutor(1) as aside:  # in this thread a browser may have its loop
        aside.submit(lambda: asyncio.run(guarded(scope, receive, send))).result()
    return sent[0]["status"], {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}


def test_the_address_has_the_token_unless_it_is_of_this_machine():
    assert parse_qs(urlsplit(PLACE.url(8420)).query) == {"token": [TOKEN]}
    assert len(TOKEN) >= 32
    assert Place(host="0.0.0.0").token != TOKEN
    assert Place(host="127.0.0.1").url(8420) == "http://127.0.0.1:8420/"


@pytest.mark.parametrize("headers", [{}, {"X_Jukectl_Token": "x"}, {"Cookie": "jukectl-token=x"}], ids=str)
def test_nothing_is_answered_without_the_token(headers):
    for address in ("/", "/app.js", "/api/v1/songs", "/api/v1/events", f"/api/v1/songs?token={TOKEN}", "/?token=x"):
        assert ask(GUARDED, address, **headers)[0] == 401, address


def test_the_token_is_taken_from_a_header_or_a_cookie_that_the_address_sets():
    assert ask(GUARDED, "/api/v1/songs", X_Jukectl_Token=TOKEN)[0] == 200
    assert ask(GUARDED, "/api/v1/songs", X_Jukectl_Token=TOKEN[:-1])[0] == 401
    status, headers = ask(GUARDED, f"/?token={TOKEN}")
    assert (status, headers["location"]) == (303, "/")
    cookie = SimpleCookie(headers["set-cookie"])["jukectl-token"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
    assert ask(GUARDED, "/api/v1/songs", Cookie=f"jukectl-token={cookie.value}")[0] == 200


def test_the_token_does_not_open_the_studio_to_other_sites():
    assert ask(GUARDED, "/api/v1/songs", X_Jukectl_Token=TOKEN, Origin="https://evil.example")[0] == 403
