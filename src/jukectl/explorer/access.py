"""Requests that a server on this machine answers: those of its own pages, of the address bar, and of no browser."""

from collections.abc import Collection, Iterable


def is_own_page(headers: Iterable[tuple[str, str]], hosts: Collection[str] | None) -> bool:
    """Return True if a request comes from the server's own page, from the address bar, or from no browser.

    `hosts` are the names, with ports, under which the server is reached; None accepts any, for servers with a token.
    Pages of other sites could load scripts and media of the server and read them, or send it forms.
    """
    given = {name.lower(): value for name, value in headers}
    host = given.get("host", "")
    if hosts is not None and host not in hosts:
        return False  # a page of another site whose name resolves to this machine (DNS rebinding)
    if given.get("origin", f"http://{host}") != f"http://{host}":
        return False
    if given.get("sec-fetch-site", "none") in ("same-origin", "none"):
        return True
    # a link from elsewhere may lead to the page; it opens in a tab of its own, which the other page cannot read
    return given.get("sec-fetch-mode") == "navigate" and given.get("sec-fetch-dest") == "document"
