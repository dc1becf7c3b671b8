"""Requests that are meant to harm: none succeeds, and the studio answers on."""

import json
import shutil
import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from studio_client import PATIENCE

SCRIPT = "<img src=x onerror=alert(1)>"
JSON = {"Content-Type": "application/json"}
DRAFT = json.dumps({"command": "sample", "seconds": 1}).encode()


@pytest.fixture(autouse=True)
def nothing_is_made_and_the_studio_answers(studio):
    """After each attack there are no jobs and no songs, and a request is answered."""
    yield
    assert studio.client.get("/jobs") == {"paused": False, "jobs": []}
    assert studio.client.get("/songs") == {"songs": []}
    assert studio.process.poll() is None


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    {"Host": "evil.example"},
    {"Host": "evil.example:80", "Origin": "http://evil.example:80"},
    {"Host": "127.0.0.1"},
    {"Host": ""},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda one: " ".join(one.values()))
def test_requests_of_other_sites_are_refused(studio, headers):
    for method, path in (("POST", "/jobs"), ("GET", "/songs"), ("GET", "/events"), ("POST", "/uploads?name=a.wav")):
        answer = studio.client.ask(method, f"/api/v1{path}", headers={**JSON, **headers}, raw=DRAFT)
        assert answer.status == 403, (method, path)
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_a_form_which_other_sites_send_without_asking_is_no_request(studio, kind):
    for path in ("/jobs", "/estimates", "/uploads?name=a.wav"):
        assert studio.client.ask("POST", f"/api/v1{path}", headers={"Content-Type": kind}, raw=DRAFT).status == 415


PATHS = [
    "/api/v1/songs/..%2f..%2fetc",
    "/api/v1/songs/%2e%2e",
    "/api/v1/songs/.studio",
    "/api/v1/songs/.studio/files/queue.json",
    "/api/v1/songs/%00",
    "/api/v1/songs/secret/files/top.npz",
    "/api/v1/songs/..%5c..%5cetc/files/passwd",
    "/api/v1/songs/a/files/../../../../etc/passwd",
    "/api/v1/songs/a/files/%2fetc%2fpasswd",
    "/api/v1/jobs/../../etc/passwd",
    "/api/v1/models/..%2f..%2f..%2fetc",
    "/api/v1/models//etc",
    "/../../etc/passwd",
    "//etc/passwd",
    "/.studio/queue.json",
    "/" + "a" * 20_000,
]


@pytest.mark.parametrize("path", PATHS, ids=lambda one: one[:50])
def test_no_path_leads_out_of_the_songs(studio, path):
    elsewhere = Path(studio.facts["folder"]).parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "top.npz").write_bytes(b"secret")
    link = Path(studio.facts["folder"]) / "secret"
    link.symlink_to(elsewhere)
    answer = studio.client.ask("GET", path)
    link.unlink()
    assert 400 <= answer.status < 500
    assert b"root:" not in answer.body
    assert b"secret" not in answer.body.replace(b"'secret'", b"")


BODIES: list[Any] = [
    b"",
    b"{",
    b"\xff\xfe",
    b"null",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"command": "sample", "seconds": ' + b"9" * 10_000 + b"}",
    b'{"command": "sample", "seconds": NaN}',
    b'{"command": "sample", "lyrics": "' + b"a" * 2_000_000 + b'"}',
    b'{"command": "sample", "lyrics": "' + b"a" * 300_000 + b'"}',
    b'{"command": "sample", "__class__": "x"}',
    b'{"command": "sample", "schedule": "\\u0000"}',
    b'{"command": "sample", "out": "../../x"}',
    b'{"command": "sample", "model": "/etc"}',
    b'{"command": "continue", "audio": "/etc/passwd"}',
]


@pytest.mark.parametrize("content", BODIES, ids=lambda one: repr(one[:40]))
def test_bodies_that_are_no_job_are_refused_in_one_line(studio, content):
    answer = studio.client.ask("POST", "/api/v1/jobs", headers=JSON, raw=content)
    assert answer.status in (400, 404, 413), answer.body
    assert "\n" not in answer.json["error"]
    assert len(answer.json["error"]) < 1_000


def test_a_body_without_a_length_is_read_no_further_than_the_limit(studio):
    answer = None
    try:
        answer = studio.client.ask("POST", "/api/v1/jobs", headers=JSON, raw=iter([b" " * 2**16] * 64))
    except OSError:  # the connection was closed before all was sent
        return
    assert answer.status == 413


def test_an_upload_that_states_a_gigabyte_is_refused_before_it_is_sent(studio):
    client = studio.client
    with socket.create_connection((client.host, client.port), timeout=PATIENCE) as connection:
        head = f"POST /api/v1/uploads?name=a.wav HTTP/1.1\r\nHost: {client.host}:{client.port}\r\n"
        connection.sendall(f"{head}Content-Type: audio/wav\r\nContent-Length: {2**30}\r\n\r\n".encode())
        assert b" 413 " in connection.recv(4_096).partition(b"\r\n")[0]


def bomb(path: Path) -> bytes:
    """A small file of 40 minutes of silence."""
    with soundfile.SoundFile(path, "w", samplerate=8_000, channels=1, format="FLAC") as file:
        for _ in range(40):
            file.write(np.zeros(60 * 8_000, dtype=np.float32))
    return path.read_bytes()


def test_uploads_that_hold_no_usable_recording_are_refused_and_removed(studio, tmp_path):
    cases = {
        "a.wav": b"no audio " * 1_000,
        "b.wav": b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00",
        "c.wav": b"",
        "d.mp3": b"#EXTM3U\nfile:///etc/passwd\n",
        "e.exe": b"MZ",
        "f.mid": b"MThd" + b"\xff" * 64,
        "..%2f..%2fg.wav": b"x",
        "h.zip": b"PK\x03\x04",
        "%00.wav": b"x",
        "": b"x",
        "bomb.flac": bomb(tmp_path / "bomb.flac"),
    }
    for name, content in cases.items():
        answer = studio.client.upload(name, content)
        assert answer.status == 400, (name, answer.body)
    uploads = Path(studio.facts["folder"]) / ".studio" / "uploads"
    assert not uploads.is_dir() or list(uploads.iterdir()) == []


def test_a_name_of_an_upload_stays_a_name(studio, riff):
    answer = studio.client.upload("..%2f..%2f%3Cscript%3E%22%0A.wav", riff.read_bytes())
    assert (answer.status, answer.json["name"]) == (201, "script.wav")


def test_names_titles_and_notes_are_texts(studio):
    folder = Path(studio.facts["folder"]) / SCRIPT
    folder.mkdir()
    (folder / "song.toml").write_text('model = "x"\n')
    song = studio.client.get("/songs")["songs"][0]
    assert song["name"] == SCRIPT
    path = f"/api/v1/songs/{song['files'][0]['url'].split('/')[4]}"
    for change in ({"title": SCRIPT}, {"notes": f"{SCRIPT}\n</script>"}, {"star": True}):
        assert studio.client.ask("PATCH", path, change).status == 200
    shown = studio.client.ask("GET", path)
    assert shown.headers["Content-Type"] == "application/json"
    assert (shown.json["title"], shown.json["star"]) == (SCRIPT, True)
    for wrong in ({}, {"title": 1}, {"title": "a\0"}, {"stars": 1}, [], None, {"title": "a" * 201}):
        assert studio.client.ask("PATCH", path, wrong, headers={"Content-Type": "application/json"}).status in (
            400,
            415,
        )
    index = studio.client.ask("GET", "/data/index.js")
    assert index.headers["Content-Type"].startswith("text/javascript")
    assert b"\\u003cimg" in index.body
    assert b"<img" not in index.body
    shutil.rmtree(folder)


def test_a_hundred_connections_of_events_leave_room_for_others(studio):
    with ExitStack() as stack:
        statuses = [stack.enter_context(studio.client.events()).status for _ in range(100)]
        assert studio.client.get("/jobs")["jobs"] == []
    assert (statuses.count(200), set(statuses)) == (32, {200, 503})
    for _ in range(100):  # connections that were closed make room
        with studio.client.events() as events:
            if events.status == 200:
                break
    assert events.status == 200


def test_connections_that_say_nothing_stop_nobody(studio):
    client = studio.client
    with ExitStack() as stack:
        for _ in range(40):
            connection = stack.enter_context(socket.create_connection((client.host, client.port), timeout=PATIENCE))
            connection.sendall(b"POST /api/v1/jobs HTTP/1.1\r\nHost: ")
        assert client.get("/jobs")["jobs"] == []


def test_every_answer_has_the_headers_that_protect_the_page(studio):
    for path in ("/", "/api/v1/songs", "/api/v1/none", "/api/v1/openapi.json"):
        headers = studio.client.ask("GET", path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_many_requests_at_once_are_all_answered(studio):
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(studio.client.ask("POST", "/api/v1/jobs", {}).status))
        for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [400] * 50
