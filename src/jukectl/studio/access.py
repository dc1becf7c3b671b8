"""Access to the studio: its own page and programs on this machine, or those that have the token."""

import json
import secrets
from collections.abc import Collection
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jukectl.explorer.access import is_own_page
from jukectl.explorer.site import page_policy

TOKEN_HEADER, TOKEN_COOKIE, TOKEN_PARAMETER = "x-jukectl-token", "jukectl-token", "token"

HEADERS = {
    "Content-Security-Policy": f"{page_policy()}; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every answer."""


class Access:
    """Refuses requests of other sites, and with a token those without it, before anything else looks at them.

    `hosts` are the names and ports of this machine alone; None, with a token, accepts any.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] | None, token: str | None) -> None:
        assert hosts is not None or token is not None
        self._app, self._hosts, self._token = app, hosts, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse a request."""
        if scope["type"] != "http":
            return None

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        if not is_own_page(headers.items(), self._hosts):
            return await _refuse(send_with_headers, HTTPStatus.FORBIDDEN, "requests of other sites are refused")
        if self._token is not None and not self._is_known(headers):
            if scope["path"] == "/" and self._matches(_parameter(scope)):
                return await self._let_in(send_with_headers)
            way_out = "open the address that jukectl studio printed"
            return await _refuse(send_with_headers, HTTPStatus.UNAUTHORIZED, f"the token is missing: {way_out}")
        return await self._app(scope, receive, send_with_headers)

    def _is_known(self, headers: Headers) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(TOKEN_COOKIE)
        except CookieError:
            cookie = None
        return self._matches(headers.get(TOKEN_HEADER, "")) or self._matches(cookie.value if cookie else "")

    def _matches(self, given: str) -> bool:
        assert self._token is not None
        return secrets.compare_digest(given.encode("utf-8", "surrogatepass"), self._token.encode())

    async def _let_in(self, send: Send) -> None:
        """Keep the token in a cookie, and lead to the page without it in the address."""
        cookie = f"{TOKEN_COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": HTTPStatus.SEE_OTHER, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _parameter(scope: Scope) -> str:
    query: dict[str, list[str]] = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=10)
    return query.get(TOKEN_PARAMETER, [""])[0]


async def _refuse(send: Send, status: HTTPStatus, message: str) -> None:
    content = json.dumps({"error": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
