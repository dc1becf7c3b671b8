"""Editing of titles, stars and notes on a served site: what is written, and what is refused."""

import http.client
import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from reading import open_reader

from jukectl.codes.song import Song
from jukectl.errors import BadInput
from jukectl.explorer.about import About, Change
from jukectl.explorer.build import explore
from jukectl.explorer.editing import Editor
from jukectl.explorer.serving import LARGEST_CHANGE, serving
from jukectl.explorer.site import Site
from jukectl.explorer.update import MediaOptions, update_site
from jukectl.progress import ignore

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@dataclass
class Edited:
    """A site that is served for editing, and its one song."""

    site: Path
    song: Song
    id: str
    address: str
    token: str

    def send(
        self, body: Any, *, method: str = "PATCH", path: str | None = None, **headers: str | None
    ) -> tuple[int, Any]:
        host = self.address.removeprefix("http://").strip("/")
        usual = {"Content-Type": "application/json", "X-Jukectl-Token": self.token, "Origin": f"http://{host}"}
        given = {**usual, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection = http.client.HTTPConnection(host, timeout=10)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {name: value for name, value in given.items() if value is not None}
        connection.request(method, path or f"/api/v1/songs/{self.id}", content, sent)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if answer.headers["Content-Type"] == "application/json" else text

    @property
    def about(self) -> dict[str, Any]:
        path = self.song.path / "about.toml"
        return tomllib.loads(path.read_text()) if path.exists() else {}


@pytest.fixture
def edited(song: Song, tmp_path: Path) -> Iterator[Edited]:
    site, options = tmp_path / "site", MediaOptions(decode=False)
    update = explore([song.path], site, options=options)
    with serving(site, editor=Editor(Site(site), update.folders, options)) as address:
        connection = http.client.HTTPConnection(address.removeprefix("http://").strip("/"), timeout=10)
        connection.request("GET", "/")
        found = re.search(r'name="jukectl-token" content="([^"]+)"', connection.getresponse().read().decode())
        assert found
        (name,) = update.folders
        yield Edited(site, song, name, address, found[1])


def test_a_change_is_written_to_about_toml_and_to_the_data_of_the_site(edited):
    status, answer = edited.send({"title": 'Night "x"', "star": True, "notes": "Line 1\nLine 2 🎵"})
    assert (status, answer) == (200, {"title": 'Night "x"', "star": True, "notes": "Line 1\nLine 2 🎵"})
    assert edited.about == {"title": 'Night "x"', "star": True, "notes": "Line 1\nLine 2 🎵"}
    index = json.loads((edited.site / "data" / "index.json").read_text())
    row = dict(zip(index["columns"], index["songs"][0], strict=True))
    assert (row["title"], row["star"]) == ('Night "x"', True)
    song = json.loads((edited.site / "data" / "songs" / f"{edited.id}.json").read_text())
    assert song["notes"] == "Line 1\nLine 2 🎵"
    assert "\\u003c" not in (edited.site / "data" / "index.js").read_text()
    assert edited.send({"title": "", "star": False, "notes": " "})[1] == {"title": "song", "star": False, "notes": ""}
    assert edited.about == {}


def test_a_song_that_gets_a_star_is_offered_first(song, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(song.path, tmp_path / "songs" / name)
    site, options = tmp_path / "site", MediaOptions(decode=False)
    update = explore([tmp_path / "songs"], site, options=options)
    editor = Editor(Site(site), update.folders, options)

    def first() -> str:
        name = json.loads((site / "data" / "index.json").read_text())["first"]
        return update.folders[name].name

    for name, folder in update.folders.items():
        editor.change(name, Change(star=True))
        assert first() == folder.name
        editor.change(name, Change(star=False))


def test_other_keys_and_comments_of_about_toml_stay(edited):
    (edited.song.path / "about.toml").write_text('# mine\nkind = "riff"  # as I see it\ncustom = [1, 2]\n')
    edited.send({"star": True})
    text = (edited.song.path / "about.toml").read_text()
    assert text.startswith('# mine\nkind = "riff"  # as I see it\ncustom = [1, 2]\n')
    assert edited.about["star"] is True


def test_after_a_change_nothing_is_decoded_or_drawn_again(edited):
    edited.send({"title": "Other"})

    def begin(site: Site, options: MediaOptions) -> NoReturn:
        raise AssertionError("there is nothing to make")

    assert update_site([edited.song.path], edited.site, begin, options=MediaOptions(decode=False)).written == 0
    index = json.loads((edited.site / "data" / "index.json").read_text())
    assert index["songs"][0][index["columns"].index("title")] == "Other"


def test_a_song_that_had_changed_is_still_built_again_after_an_edit(edited):
    edited.song.audio_path(0).unlink()
    edited.send({"title": "Other"})
    assert explore([edited.song.path], edited.site, options=MediaOptions(decode=False)).written == 1


FOREIGN: list[dict[str, str | None]] = [
    {"X_Jukectl_Token": None},
    {"X_Jukectl_Token": "guess"},
    {"X_Jukectl_Token": "é"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Host": "evil.example"},
    {"Host": "127.0.0.1:1"},
    {"Host": "127.0.0.1.evil.example:80"},
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
    {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_other_pages_and_programs_without_the_token_change_nothing(edited, headers):
    assert edited.send({"title": "Hacked"}, **headers)[0] == 403
    assert edited.about == {}


REFUSED: list[tuple[Any, int]] = [
    ({"title": "x" * 201}, 400),
    ({"notes": "x" * 10_001}, 400),
    ({"title": "two\nlines"}, 400),
    ({"notes": "a\x00b"}, 400),
    ({"notes": "\x1b[2J"}, 400),
    ({"title": "\ud800"}, 400),
    ({"title": 3}, 400),
    ({"star": "yes"}, 400),
    ({"star": None}, 400),
    ({"kind": "riff"}, 400),
    ({"title": "a", "path": "/etc/passwd"}, 400),
    ({}, 400),
    ([], 400),
    (b"{", 400),
    (b"[" * 100_000, 400),
    (b'{"star": NaN}', 400),
    (b"\xff\xfe", 400),
    (b" " * (LARGEST_CHANGE + 1), 413),
]


@pytest.mark.parametrize(("body", "status"), REFUSED, ids=range(len(REFUSED)))
def test_values_out_of_bounds_are_refused_in_words(edited, body, status, capfd):
    found, answer = edited.send(body)
    assert (found, bool(answer["error"])) == (status, True)
    assert edited.about == {}
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("path", ["../../x", "..%2F..%2Fx", "%00", "", "no-such-song", "a" * 5000, "é"])
def test_only_songs_of_the_site_can_be_named(edited, path, capfd):
    status, _ = edited.send(
        {"title": "x"},
        path=f"/api/v1/songs/{path}".encode().decode("latin-1") if path != "é" else "/api/v1/songs/%C3%A9",
    )
    assert status in (400, 404)
    assert capfd.readouterr().err == ""


def test_requests_of_another_form_are_refused(edited):
    assert edited.send({"title": "x"}, Content_Type="text/plain")[0] == 415
    assert edited.send({"title": "x"}, Content_Length="-1")[0] == 411
    assert edited.send({"title": "x"}, path="/data/index.json")[0] == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert edited.send({"title": "x"}, method=method)[0] in (404, 501)
    assert edited.about == {}


def test_an_about_toml_that_is_not_toml_is_left_as_it_is(edited):
    (edited.song.path / "about.toml").write_text("title = [")
    status, answer = edited.send({"title": "x"})
    assert (status, "about.toml is not TOML" in answer["error"]) == (400, True)
    assert (edited.song.path / "about.toml").read_text() == "title = ["


def test_a_link_in_place_of_about_toml_is_replaced_and_its_target_stays(edited, tmp_path):
    (tmp_path / "mine.toml").write_text("title = 'Mine'")
    (edited.song.path / "about.toml").symlink_to(tmp_path / "mine.toml")
    assert edited.send({"star": True})[0] == 200
    assert (tmp_path / "mine.toml").read_text() == "title = 'Mine'"
    assert not (edited.song.path / "about.toml").is_symlink()


def test_without_edit_nothing_can_be_changed(edited):
    with serving(edited.site) as address:
        edited.address = address
        assert edited.send({"title": "x"})[0] == 404
        connection = http.client.HTTPConnection(address.removeprefix("http://").strip("/"), timeout=10)
        connection.request("GET", "/index.html")
        assert b"jukectl-token" not in connection.getresponse().read()


def test_a_change_keeps_to_what_about_toml_can_hold(tmp_path):
    for notes in ('"""', "'''\n\\", "a\n\n# b\n[c]", "\ttab\nend\\"):
        Change(notes=notes).write(tmp_path)
        assert About.read(tmp_path, ignore).notes == notes.strip()
    with pytest.raises(BadInput, match="star is true or false"):
        Change.of({"star": 1})


def test_the_page_writes_titles_stars_and_notes_to_the_song(browser: "Browser", edited):
    reader = open_reader(browser, edited.address)
    page = reader.go(f"#song={edited.id}")
    page.get_by_role("button", name="Rename").click()
    page.fill("[aria-label=Title]", "Night Train")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1 >> text='Night Train'")
    page.get_by_role("button", name="Star", exact=True).click()
    page.wait_for_selector(".row-star")
    page.fill("textarea.notes", "Keep this")
    page.locator("h1").click()
    page.wait_for_selector(".note [role=status]:text-is('Saved')")
    assert edited.about == {"title": "Night Train", "star": True, "notes": "Keep this"}
    assert page.get_by_role("button", name="Export").count() == 0
    assert page.evaluate("localStorage.getItem('jukectl-annotations')") is None
    page.reload()
    page.wait_for_selector("h1 >> text='Night Train'")
    assert page.input_value("textarea.notes") == "Keep this"
    (edited.song.path / "about.toml").write_text("title = [")
    page.get_by_role("button", name="Star", exact=True).click()
    page.wait_for_selector(".problem:has-text('about.toml is not TOML')")
    assert [fault for fault in reader.faults if "400" not in fault] == []
    page.context.close()
