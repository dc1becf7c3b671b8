"""The queue and its file."""

import json
import threading
from pathlib import Path

import pytest

from jukectl.errors import BadInput, CannotWrite
from jukectl.studio.job import Job, State, WorkerProcess
from jukectl.studio.queue import KEPT, Queue, UnknownJob


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.json"


def job(song: str = "song") -> Job:
    return Job(command="sample", options={"seconds": 2.5, "genre": ["ü"]}, words=("sample", "--seconds=2.5"), song=song)


def test_a_queue_is_read_as_it_was_written(path):
    queue = Queue.open(path)
    for number in range(3):
        queue.add(job(f"song-{number}"))
    taken = queue.take()
    queue.update(taken.id, process=WorkerProcess(pid=1, began=2.5), result={"audio": ["x"]}, warnings=("a", "b"))
    queue.move(queue.jobs()[2].id, 0)
    queue.pause(True)
    again = Queue.open(path)
    assert (again.jobs(), again.paused) == (queue.jobs(), True)
    assert [one.song for one in again.jobs()] == ["song-2", "song-0", "song-1"]


def test_jobs_are_taken_in_order_and_none_while_the_queue_is_paused(path):
    queue = Queue.open(path)
    ids = [queue.add(job()).id for _ in range(3)]
    queue.update(ids[0], state=State.PAUSED)
    queue.pause(True)
    assert queue.take() is None
    queue.pause(False)
    taken = [queue.take(), queue.take(), queue.take()]
    assert [one and (one.id, one.state, one.runs) for one in taken] == [
        (ids[1], State.RUNNING, 1),
        (ids[2], State.RUNNING, 1),
        None,
    ]


def test_a_client_that_asks_for_changes_misses_none(path):
    queue = Queue.open(path)
    first, second = queue.add(job("a")), queue.add(job("b"))
    seen = queue.changes(0)
    assert (seen.jobs, seen.order) == ([first, second], [first.id, second.id])
    assert queue.changes(seen.version).jobs == []
    queue.update(second.id, kept=False, progress={"window": 1})
    later = queue.changes(seen.version)
    assert ([one.progress for one in later.jobs], later.order) == ([{"window": 1}], None)
    queue.remove(first.id)
    assert queue.changes(later.version).order == [second.id]


def test_jobs_of_many_threads_are_all_kept(path):
    queue = Queue.open(path)
    threads = [threading.Thread(target=lambda: [queue.add(job()) for _ in range(10)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.id for one in Queue.open(path).jobs()}) == 80


def test_only_the_last_jobs_that_are_over_are_kept(path):
    queue = Queue.open(path)
    waiting = queue.add(job())
    for _ in range(KEPT + 5):
        queue.update(queue.add(job()).id, kept=False, state=State.DONE)
    queue.add(job())
    assert len(queue.jobs()) == KEPT + 2
    assert queue.jobs()[0] == waiting


def test_a_job_that_is_resumed_does_not_discard_what_it_made(path):
    queue = Queue.open(path)
    queue.add(Job(command="upsample", options={}, words=("upsample", "--overwrite", "song"), song="song"))
    first = queue.take()
    assert first.arguments == ["--json", "upsample", "--progress=json", "--overwrite", "song"]
    queue.update(first.id, state=State.QUEUED)
    assert queue.take().arguments == ["--json", "upsample", "--progress=json", "song"]
    assert first.command_line == "jukectl upsample --overwrite song"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "jobs": [{"id": 3}]}', "\0"])
def test_a_damaged_file_is_named_and_left_as_it_is(path, text):
    path.write_text(text)
    with pytest.raises(BadInput, match=str(path)):
        Queue.open(path)
    assert path.read_text() == text


def test_a_file_of_a_later_version_with_more_keys_is_read(path):
    queue = Queue.open(path)
    queue.add(job())
    values = json.loads(path.read_text())
    values["later"] = values["jobs"][0]["later"] = 1
    path.write_text(json.dumps(values))
    assert Queue.open(path).jobs() == queue.jobs()


def test_an_unknown_job_is_said(path):
    with pytest.raises(UnknownJob, match="there is no job 'x'"):
        Queue.open(path).get("x")


def test_a_change_that_cannot_be_written_is_not_made(path, monkeypatch):
    queue = Queue.open(path)
    kept, version = queue.add(job()), queue.changes(0).version
    monkeypatch.setattr("jukectl.studio.queue.atomic_write", full)
    for change in (lambda: queue.add(job()), queue.take, lambda: queue.pause(True), lambda: queue.remove(kept.id)):
        with pytest.raises(CannotWrite):
            change()
    assert (queue.jobs(), queue.paused, queue.changes(version).jobs) == ([kept], False, [])


def full(path: Path) -> None:
    """A disk on which nothing can be written."""
    raise CannotWrite(f"cannot write {path}")
