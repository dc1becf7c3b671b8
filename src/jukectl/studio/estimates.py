"""Estimates of jobs before they are queued: time and memory, by --dry-run in a worker."""

import threading
from typing import Any

from jukectl.errors import BadInput, JukectlError
from jukectl.studio.job import arguments
from jukectl.studio.worker import Workers

LONGEST_SECONDS = 120.0  # for one estimate
MOST_WAITING = 4


class Busy(JukectlError):
    """Too many estimates at once."""


class Estimates:
    """Makes one estimate at a time."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._turn = threading.Lock()
        self._places = threading.Semaphore(MOST_WAITING)

    def of(self, words: list[str]) -> dict[str, Any]:
        """Return the object of `--json --dry-run` for a command. Raises BadInput, as the command would, Busy."""
        if not self._places.acquire(blocking=False):
            raise Busy("other estimates are being made: ask again")
        try:
            with self._turn:
                worker = self._workers.take()
                limit = threading.Timer(LONGEST_SECONDS, worker.kill)
                limit.start()
                try:
                    outcome = worker.run(arguments(words, "--dry-run", has_progress=True), lambda event: None)
                finally:
                    limit.cancel()
                    worker.kill()
        finally:
            self._places.release()
        if outcome.result is None:
            raise BadInput(outcome.error or "there is no estimate")
        return {**outcome.result, "warnings": list(outcome.warnings)}
