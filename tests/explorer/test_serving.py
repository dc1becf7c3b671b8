"""A site looked at on this machine: whole files, parts of them, and nothing else."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from jukectl.errors import BadInput
from jukectl.explorer.serving import serving


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """Host and port of a folder that is served, with a file of ten bytes in it and one beside it."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "ten.txt").write_bytes(b"0123456789")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    with serving(folder) as url:
        host, port = url.removeprefix("http://").strip("/").split(":")
        yield host, int(port)


def ask(address: tuple[str, int], path: str, **headers: str) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection(*address, timeout=10)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers


def test_a_file(address):
    status, body, headers = ask(address, "/ten.txt")
    assert (status, body, headers["Accept-Ranges"]) == (200, b"0123456789", "bytes")


@pytest.mark.parametrize(
    ("span", "body", "told"),
    [
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
    ],
)
def test_part_of_a_file_which_players_ask_for_to_seek(address, span, body, told):
    status, found, headers = ask(address, "/ten.txt", Range=span)
    assert (status, found, headers["Content-Range"], headers["Content-Length"]) == (206, body, told, str(len(body)))


@pytest.mark.parametrize("span", ["bytes=20-", "bytes=4-2", "bytes=a-b", "bytes=0-1,4-5", "lines=1-2", "bytes=-"])
def test_of_parts_that_make_no_sense_the_whole_is_sent(address, span):
    assert ask(address, "/ten.txt", Range=span)[:2] == (200, b"0123456789")


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "//secret.txt", "/no.txt", "/"])
def test_nothing_else_is_shown(address, path):
    status, body, _ = ask(address, path)
    assert status == 404
    assert b"secret" not in body.replace(b"secret.txt", b"")


def test_a_page_elsewhere_whose_name_points_here_is_sent_nothing(address):
    assert ask(address, "/ten.txt", Host="evil.example:80")[0] == 403


FOREIGN = [
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "script"},
    {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "script"},
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"},
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "audio"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda one: " ".join(one.values()))
@pytest.mark.parametrize("span", [{}, {"Range": "bytes=0-4"}], ids=["whole", "range"])
def test_a_page_of_another_site_cannot_read_the_data(address, headers, span):
    status, body, _ = ask(address, "/ten.txt", **headers, **span)
    assert status == 403
    assert b"01234" not in body


def test_the_site_itself_and_a_link_to_it_are_served(address):
    own = {"Sec_Fetch_Site": "same-origin", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "script"}
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    typed = {"Sec_Fetch_Site": "none", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    for headers in (own, link, typed, {"Origin": f"http://{address[0]}:{address[1]}"}):
        status, _, answer = ask(address, "/ten.txt", **headers)
        assert (status, answer["Cross-Origin-Resource-Policy"]) == (200, "same-origin")


ABSURD = ["bytes=" + "9" * 5_000 + "-", "bytes=-" + "9" * 5_000, "bytes=²-", "bytes=0-٣", "bytes=--5", "bytes=" * 900]


@pytest.mark.parametrize("path", ["/%00", "/ten.txt%00", "/%00/../../secret.txt", "/" + "a" * 5_000, "/ten.txt"])
@pytest.mark.parametrize("span", ["", *ABSURD], ids=range(1 + len(ABSURD)))
def test_absurd_names_and_ranges_are_answered_without_a_traceback(address, path, span, capfd):
    headers = {"Range": span.encode().decode("latin-1")} if span else {}
    status, body, _ = ask(address, path, **headers)
    assert (status, body) == (200, b"0123456789") if path == "/ten.txt" else status in (404, 414)
    assert capfd.readouterr().err == ""


def test_it_is_at_this_machines_own_address(address):
    assert address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_said(address, tmp_path):
    with pytest.raises(BadInput, match=f"port {address[1]} cannot be used"), serving(tmp_path, address[1]):
        pass
