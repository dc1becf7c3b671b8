"""Jobs of a studio in a process of its own: they are songs, and survive whatever ends the process."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from studio_client import PATIENCE, running

LEVELS = ("top", "middle", "bottom")
pytestmark = pytest.mark.timeout(2 * PATIENCE)  # that of a test: a busy machine takes minutes to start a process
SECONDS = 1.5  # of a song that takes some seconds to make
ALONE = ["sample", "--model=tiny", "--artist=ada", "--genre=jazz", "--seed=3", "--device=cpu", f"--seconds={SECONDS}"]


def codes(song: Path) -> dict[str, np.ndarray]:
    found = {}
    for level in LEVELS:
        with np.load(song / f"{level}.npz", allow_pickle=False) as npz:
            found[level] = npz["codes"]
    return found


def same(one: Path, other: Path) -> bool:
    return all(
        np.array_equal(left, right) for left, right in zip(codes(one).values(), codes(other).values(), strict=True)
    )


@pytest.fixture(scope="module")
def alone(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The song of the draft of some seconds, made by the command line alone."""
    folder = tmp_path_factory.mktemp("alone")
    command([*ALONE, "--out=song"], folder, environment)
    return folder / "song"


def command(words: list[str], folder: Path, environment: dict[str, str]) -> None:
    env = {**os.environ, **environment, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "jukectl", "-q", *words], cwd=folder, env=env, check=True)


def test_a_recording_is_uploaded_continued_and_cut(studio, draft, riff):
    client = studio.client
    sent = client.upload("my%20riff.wav", riff.read_bytes())
    assert (sent.status, sent.json["name"], sent.json["seconds"]) == (201, "my riff.wav", 2.0)
    options = {**draft, "command": "continue", "audio": sent.json["id"], "levels": "top", "samples": 2}
    first = client.ended(client.post("/jobs", options)["id"])
    assert (first["state"], first["song"]) == ("done", "my riff-continued"), first["error"]
    cut = client.ended(client.post("/jobs", {"command": "cut", "song": first["song"], "at": 1.0, "sample": 1})["id"])
    assert cut["state"] == "done", cut["error"]
    shown = client.get(f"/songs/{quote(cut['song'])}")
    assert (shown["artist"], shown["genres"], list(shown["levels"])) == ("ada", ["jazz"], ["top"])
    codes = next(file for file in shown["files"] if file["name"] == "top.npz")
    sent = client.ask("GET", codes["url"], headers={"Range": "bytes=0-1"})
    assert (sent.status, sent.body) == (206, b"PK")


def test_after_a_kill_the_queue_is_there_and_its_songs_are_those_of_an_undisturbed_run(
    environment, draft, alone, tmp_path
):
    folder = tmp_path / "songs"
    long = {**draft, "seconds": SECONDS}
    with running(folder, environment=environment) as studio:
        first = studio.client.post("/jobs", {**long, "out": "first"})["id"]
        second = studio.client.post("/jobs", {**draft, "out": "second"})["id"]
        studio.client.wait_for(first, lambda job: job["progress"] and job["progress"]["level"] == "middle")
        studio.process.send_signal(signal.SIGKILL)
    with running(folder, environment=environment) as studio:
        assert [job["id"] for job in studio.client.get("/jobs")["jobs"]] == [first, second]
        assert studio.client.ended(first)["state"] == "done"
        assert studio.client.ended(second)["state"] == "done"
    assert same(folder / "first", alone)


def test_a_job_is_cancelled_within_a_window_and_resumed_to_the_codes_of_its_command_line(studio, draft, alone):
    client = studio.client
    job = client.post("/jobs", {**draft, "seconds": SECONDS, "out": "long"})["id"]
    client.wait_for(job, lambda one: one["progress"] and one["progress"]["level"] == "middle")
    asked = client.ask("DELETE", f"/api/v1/jobs/{job}").json["progress"]
    ended = client.ended(job)
    assert (ended["state"], ended["progress"]["level"]) == ("cancelled", "middle")
    assert ended["progress"]["window"] - asked["window"] <= 1
    again = client.ask("PATCH", f"/api/v1/jobs/{job}", {"state": "queued"})
    done = client.ended(job)
    assert (again.status, done["state"], done["result"]["audio"]) == (200, "done", ["long/audio/0.wav"])
    assert same(Path(studio.facts["folder"]) / "long", alone)
    assert sorted(shlex.split(done["command_line"])) == sorted(["jukectl", *ALONE, "--out=long"])


def test_jobs_are_paused_and_moved_and_a_job_that_fails_says_why(studio, draft):
    client = studio.client
    client.ask("PATCH", "/api/v1/queue", {"paused": True})
    ids = [client.post("/jobs", {**draft, "artist": name})["id"] for name in ("ada", "nobody", "ada")]
    client.ask("PATCH", f"/api/v1/jobs/{ids[2]}", {"position": 0})
    assert [job["id"] for job in client.get("/jobs")["jobs"] if job["id"] in ids] == [ids[2], ids[0], ids[1]]
    assert client.ask("PATCH", f"/api/v1/jobs/{ids[0]}", {"state": "paused"}).json["state"] == "paused"
    client.ask("PATCH", "/api/v1/queue", {"paused": False})
    failed = client.ended(ids[1])
    assert (failed["state"], "nobody" in failed["error"]) == ("failed", True)
    assert not (Path(studio.facts["folder"]) / failed["song"]).exists()
    assert client.ended(ids[2])["state"] == "done"
    assert client.get(f"/jobs/{ids[0]}")["state"] == "paused"
    client.ask("PATCH", f"/api/v1/jobs/{ids[0]}", {"state": "queued"})
    assert client.ended(ids[0])["state"] == "done"
    assert client.ask("DELETE", f"/api/v1/jobs/{ids[0]}").status == 200
    assert client.ask("GET", f"/api/v1/jobs/{ids[0]}").status == 404


def test_two_clients_and_one_that_connects_again_see_the_same(studio, draft):
    client = studio.client
    with client.events() as one, client.events() as other:
        assert (one.status, other.status) == (200, 200)
        job = client.post("/jobs", {**draft, "seconds": 2})["id"]
        for events in (one, other):
            events.follow(lambda seen: seen.jobs.get(job, {}).get("state") == "done")
        with client.events() as late:
            late.follow(lambda seen: seen.jobs.get(job, {}).get("state") == "done" and job in seen.order)
            now = client.get("/jobs")
            late.follow(lambda seen: len(seen.jobs) == len(now["jobs"]))
            assert one.jobs[job] == other.jobs[job] == late.jobs[job] == client.get(f"/jobs/{job}")
            assert late.order == [each["id"] for each in now["jobs"]]


def test_an_estimate_is_that_of_the_command_line_and_makes_nothing(studio, draft):
    before = sorted(path.name for path in Path(studio.facts["folder"]).iterdir())
    estimate = studio.client.post("/estimates", draft, status=200)
    assert estimate["seconds"] > 0
    assert set(estimate["levels"]) == set(LEVELS)
    assert sorted(path.name for path in Path(studio.facts["folder"]).iterdir()) == before


def test_one_studio_works_in_a_folder(studio, environment):
    words = [sys.executable, "-m", "jukectl", "studio", studio.facts["folder"], "--port", "0", "--no-open"]
    done = subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert (done.returncode, "another studio works in" in done.stderr) == (1, True)


def test_the_description_names_every_path_and_the_options_of_a_job(studio):
    described = studio.client.get("/openapi.json")
    assert described["openapi"].startswith("3.1")
    for path, methods in described["paths"].items():
        if "get" in methods and "{" not in path and not path.endswith("events"):
            assert studio.client.ask("GET", path).status == 200, path
    jobs = described["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    sample = next(schema for schema in jobs if schema["title"] == "sample")
    offered = next(form for form in studio.client.get("/commands")["commands"] if form["name"] == "sample")
    assert set(sample["properties"]) == {"command", *(option["name"] for option in offered["options"])}
    assert sample["properties"]["seconds"]["type"] == "number"
