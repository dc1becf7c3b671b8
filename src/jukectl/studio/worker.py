"""Worker processes: each has loaded jukectl before it is needed, and runs one command line."""

import json
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired
from typing import IO, Any

from jukectl.studio.job import WorkerProcess
from jukectl.studio.template import IS_SUPPORTED, Child, Template

GRACE_SECONDS = 20.0  # after SIGINT, until a worker is killed
LARGEST_RESULT = 16 * 2**20  # bytes of stdout
LONGEST_LINE = 2**18  # bytes of stderr
WARNINGS = 20  # that are kept, the first ones
ERROR = "jukectl: "  # before errors and warnings of commands without --progress json
WARNING = "jukectl: warning: "


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of a command line."""

    status: int  # negative: the signal that ended it
    result: dict[str, Any] | None  # the object of --json
    error: str | None
    warnings: tuple[str, ...]


class Worker:
    """A process that waits for one command line.

    It ends by itself, with every finished window saved, as soon as this process is gone: its stdin is then closed.
    """

    def __init__(self, process: "Popen[bytes] | Child") -> None:
        self._process = process
        self._stopping = threading.Lock()
        self._stopped = False
        self._begun = False  # a command line was sent

    @property
    def is_alive(self) -> bool:
        """True if the process has not ended."""
        return self._process.poll() is None

    @property
    def process(self) -> WorkerProcess | None:
        """The process, as a later studio finds it; None if it has ended."""
        import psutil

        with suppress(psutil.Error):
            return WorkerProcess(pid=self._process.pid, began=psutil.Process(self._process.pid).create_time())
        return None

    def run(self, words: Sequence[str], listener: Callable[[dict[str, Any]], None]) -> Outcome:
        """Run a command line and return its outcome; pass the objects of --progress json to the listener."""
        process, self._begun = self._process, True
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        stdout: list[bytes] = []
        reading = threading.Thread(target=_read, args=(process.stdout, stdout), daemon=True)
        reading.start()
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(list(words)).encode() + b"\n")
            process.stdin.flush()
        said = _Said()
        while line := process.stderr.readline(LONGEST_LINE):
            if (event := said.add(line.decode("utf-8", "replace").strip())) is not None:
                listener(event)
        status = process.wait()
        reading.join(GRACE_SECONDS)
        self._close()
        result = _object(b"".join(stdout).decode("utf-8", "replace"))
        error = None if status == 0 else said.error or _ended(status, said.last)
        return Outcome(status=status, result=result, error=error, warnings=tuple(said.warnings))

    def stop(self) -> None:
        """Interrupt the command, as Ctrl-C does, and kill it if it goes on for GRACE_SECONDS. Return at once."""
        with self._stopping:
            if self._stopped or not self.is_alive:
                return
            self._stopped = True
        if hasattr(os, "killpg"):
            self._process.send_signal(signal.SIGINT)
        else:
            self._process.terminate()
        threading.Thread(target=self._kill_later, daemon=True).start()

    def _kill_later(self) -> None:
        with suppress(TimeoutExpired):
            self._process.wait(GRACE_SECONDS)
            return
        self.kill()

    def kill(self) -> None:
        """Kill the process and those that it started."""
        if self.is_alive:
            self._kill_group()
        if not self._begun:
            with suppress(TimeoutExpired):
                self._process.wait(GRACE_SECONDS)
            self._close()

    def _kill_group(self) -> None:
        with suppress(OSError):  # a fork has a group of its own a moment later
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
                return
        self._process.kill()

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):
                if stream is not None:
                    stream.close()


class Workers:
    """Hands out workers that have loaded jukectl, so that a command begins at once: forks of a template.

    Where there are no forks, the next worker loads while the last one works.
    """

    def __init__(self, launch: Sequence[str], folder: Path, *, forks: bool = IS_SUPPORTED) -> None:
        self._launch, self._folder, self._forks = launch, folder, forks
        self._lock = threading.Lock()
        self._template: Template | None = None
        self._next: Worker | None = None
        self._closed = False

    def prepare(self) -> None:
        """Let a worker load, if none is ready."""
        with self._lock:
            if self._closed:
                return
            if self._forks:
                self._living_template()
            elif self._next is None:
                self._next = self._load()

    def take(self) -> Worker:
        """Return a worker, and let the next one load. Raises NoWorker, OSError."""
        if self._forks:
            with self._lock:
                template = self._living_template()
            return Worker(template.child())
        with self._lock:
            ready, self._next = self._next, None
        if ready is not None and not ready.is_alive:
            ready = None
        worker = ready or self._load()
        self.prepare()
        return worker

    def close(self) -> None:
        """End the worker that is ready."""
        with self._lock:
            self._closed = True
            if self._next is not None:
                self._next.kill()
            if self._template is not None:
                self._template.close()

    def _load(self) -> Worker:
        # in a session of its own, so that Ctrl-C in the terminal reaches the studio alone
        process = Popen(self._launch, cwd=self._folder, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True)
        return Worker(process)

    def _living_template(self) -> Template:
        """Return the template; a new one, if it was killed. The lock is held."""
        if self._template is None or not self._template.is_alive:
            self._template = Template(self._launch, self._folder)
        return self._template


def end_left_over(left: WorkerProcess) -> None:
    """Wait for a worker of a studio that was killed, which ends by itself, and kill it if it goes on."""
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(left.pid)
        if abs(process.create_time() - left.began) > 1:
            return  # another process with the same number
        try:
            process.wait(GRACE_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(GRACE_SECONDS)


class _Said:
    """Lines of stderr: progress, warnings and the error."""

    def __init__(self) -> None:
        self.error: str | None = None
        self.last = ""
        self.warnings: list[str] = []

    def add(self, line: str) -> dict[str, Any] | None:
        """Add a line; return it if it is progress."""
        found = _object(line)
        if found is None:
            self.last = line or self.last
            if line.startswith(WARNING):
                self._warn(line.removeprefix(WARNING))
            elif line.startswith(ERROR):
                self.error = line.removeprefix(ERROR)
        elif "error" in found:
            self.error = str(found["error"])
        elif "warning" in found:
            self._warn(str(found["warning"]))
        elif "level" in found:
            return found
        return None

    def _warn(self, text: str) -> None:
        if len(self.warnings) < WARNINGS:
            self.warnings.append(text)


def _object(text: str) -> dict[str, Any] | None:
    """Return the JSON object of a text, None for any other text."""
    with suppress(ValueError):
        found = json.loads(text)
        return found if isinstance(found, dict) else None
    return None


def _ended(status: int, last: str) -> str:
    if status < 0:
        return f"the process was ended by {signal.Signals(-status).name}; every finished window is saved"
    return last or f"the process ended with status {status}"


def _read(stream: IO[bytes], into: list[bytes]) -> None:
    """Read a stream to its end, and keep its beginning."""
    kept = 0
    with suppress(OSError, ValueError):
        while block := stream.read(2**16):
            if kept < LARGEST_RESULT:
                into.append(block)
                kept += len(block)
