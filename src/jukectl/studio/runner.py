"""The runner: takes jobs from the queue one at a time, and has a worker process do each."""

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from jukectl.codes.song import Song
from jukectl.errors import BadInput, CannotWrite, JukectlError
from jukectl.progress import Listener, warn
from jukectl.studio.job import Job, State, now
from jukectl.studio.queue import Queue, UnknownJob
from jukectl.studio.worker import Outcome, Worker, Workers, end_left_over

WAIT_SECONDS = 1.0  # for a job, before the runner looks whether it is to end
RETRY_SECONDS = 10.0  # after the file of the queue could not be written


class WrongState(BadInput):
    """A change that a job's state does not allow."""


class Runner:
    """A thread that works on the queue. One job at a time: they share the device."""

    def __init__(self, queue: Queue, workers: Workers, folder: Path, listener: Listener) -> None:
        self.queue = queue
        self._workers, self._folder, self._listener = workers, folder, listener
        self._lock = threading.Lock()
        self._job: str | None = None  # id of the one at work
        self._worker: Worker | None = None
        self._after: State | None = None  # of the job at work, if it is stopped
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="runner", daemon=True)

    def start(self) -> None:
        """Begin to work: first on the jobs that an earlier studio had begun, which was killed."""
        self._thread.start()

    def close(self) -> None:
        """Stop the job at work, which stays queued, and end the thread."""
        self._ending.set()
        with self._lock:
            self._after = self._after or State.QUEUED
            worker = self._worker
        if worker is not None:
            worker.stop()
        self._thread.join()

    def cancel(self, name: str) -> Job:
        """End a job. The device is free as soon as its process has ended; what it has made stays."""
        return self._stop(name, State.CANCELLED)

    def pause(self, name: str) -> Job:
        """Stop a job until it is resumed."""
        return self._stop(name, State.PAUSED)

    def resume(self, name: str) -> Job:
        """Queue a job that is paused, failed or cancelled. It continues where it stopped."""
        job = self.queue.get(name)
        if job.state in (State.RUNNING, State.QUEUED):
            return job
        if job.state is State.DONE:
            raise WrongState(f"job {job.id} is done")
        return self.queue.update(name, state=State.QUEUED, ended=None, error=None)

    def _stop(self, name: str, state: State) -> Job:
        with self._lock:
            job = self.queue.get(name)
            if job.state.is_over:
                raise WrongState(f"job {job.id} is {job.state}")
            if self._job != name:
                ended = now() if state.is_over else None
                return self.queue.update(name, state=state, ended=ended)
            self._after, worker = state, self._worker
        if worker is not None:
            worker.stop()
        return self.queue.get(name)

    def _work(self) -> None:
        for left in self.queue.jobs():
            if left.state is State.RUNNING:
                if left.process is not None:
                    end_left_over(left.process)
                self._update(left.id, state=State.QUEUED, process=None)
        while not self._ending.is_set():
            try:
                with self._lock:
                    job = None if self._ending.is_set() else self.queue.take()
                    self._job, self._after = (job.id if job else None), None
            except CannotWrite as error:
                warn(self._listener, str(error))
                self._ending.wait(RETRY_SECONDS)
                continue
            if job is None:
                self._workers.prepare()
                self.queue.wait(WAIT_SECONDS)
            else:
                self._run(job)

    def _run(self, job: Job) -> None:
        """Have a worker do a job."""
        worker = None
        try:
            worker = self._workers.take()
            with self._lock:
                self._worker = worker
                stopped = self._after is not None
            if stopped:
                worker.stop()
            self._update(job.id, process=worker.process)
            outcome = worker.run(job.arguments, lambda event: self._note(job.id, event))
        except (JukectlError, OSError) as error:  # such as a full disk
            outcome = Outcome(status=1, result=None, error=str(error), warnings=())
        finally:
            if worker is not None:
                worker.kill()  # no effect on a process that has ended
            with self._lock:
                self._worker, self._job = None, None
                after = self._after
        Song(self._folder / job.song).remove_unless_begun()
        values: dict[str, Any] = {"process": None, "warnings": outcome.warnings}
        if outcome.status == 0:
            self._update(job.id, **values, state=State.DONE, ended=now(), result=outcome.result)
        elif after is not None:
            self._update(job.id, **values, state=after, ended=now() if after.is_over else None)
        else:
            self._update(job.id, **values, state=State.FAILED, ended=now(), error=outcome.error)

    def _note(self, name: str, event: dict[str, Any]) -> None:
        self._update(name, kept=False, progress=event)

    def _update(self, name: str, **values: Any) -> None:
        """Change a job, unless it was removed. If the disk is full, the next change writes this one too."""
        with suppress(UnknownJob):
            try:
                self.queue.update(name, **values)
            except CannotWrite as error:
                warn(self._listener, str(error))
                self.queue.update(name, **{**values, "kept": False})
