"""A process that has loaded jukectl and forks for each command, so that none has to load it again. Linux only."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen, TimeoutExpired
from typing import IO

from jukectl.errors import JukectlError

FORK = "--fork"  # argument by which a worker process becomes a template
IS_SUPPORTED = sys.platform == "linux"  # Windows has no forks, and frameworks of macOS do not survive one
LOADING_SECONDS = 300.0
LOST = 1  # status of a child whose template was killed


class NoWorker(JukectlError):
    """A process that cannot be started."""


class Child:
    """A process that a template has forked, with the interface of Popen."""

    def __init__(self, pid: int, stdin: IO[bytes], stdout: IO[bytes], stderr: IO[bytes]) -> None:
        self.pid = pid
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self.returncode: int | None = None
        self._ended = threading.Event()

    def end(self, status: int) -> None:
        """Note that the process has ended."""
        self.returncode = status
        self._ended.set()

    def poll(self) -> int | None:
        """Return the status of the process: negative for a signal, None while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and return the status. Raises TimeoutExpired."""
        if not self._ended.wait(timeout):
            raise TimeoutExpired("worker", timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process."""
        self.send_signal(signal.SIGKILL)


class Template:
    """The template as the studio has it: children are asked for over a socket, which also tells how they end.

    The template ends with the studio, whose end of the socket is then closed.
    """

    def __init__(self, launch: Sequence[str], folder: Path) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = Popen(
                [*launch, FORK], cwd=folder, stdin=theirs.fileno(), stdout=DEVNULL, start_new_session=True
            )
        self._asking = threading.Lock()  # one child at a time
        self._begun = threading.Condition()
        self._pids: list[int] = []  # of children that were begun, until they are fetched
        self._children: dict[int, Child] = {}
        self._early: dict[int, int] = {}  # statuses of children that ended before they were fetched
        threading.Thread(target=self._listen, name="template", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """True if children can be asked for."""
        return self._process.poll() is None

    def child(self) -> Child:
        """Return a new child; wait for the template to load, if it has to. Raises NoWorker."""
        ends = [os.pipe() for _ in range(3)]  # of stdin, stdout and stderr
        theirs = [ends[0][0], ends[1][1], ends[2][1]]
        stdin, stdout, stderr = os.fdopen(ends[0][1], "wb"), os.fdopen(ends[1][0], "rb"), os.fdopen(ends[2][0], "rb")
        try:
            with self._asking:
                socket.send_fds(self._socket, [b"+"], theirs)
                with self._begun:
                    self._begun.wait_for(lambda: self._pids or not self.is_alive, LOADING_SECONDS)
                    if not self._pids:
                        self._process.kill()  # a child that begins later would be taken for another
                        raise ChildProcessError
                    child = Child(self._pids.pop(), stdin, stdout, stderr)
                    self._children[child.pid] = child
                    if child.pid in self._early:
                        child.end(self._early.pop(child.pid))
                    return child
        except OSError as error:
            for stream in (stdin, stdout, stderr):
                stream.close()
            raise NoWorker("the process that makes songs could not be started: see the studio's terminal") from error
        finally:
            for end in theirs:
                os.close(end)

    def close(self) -> None:
        """End the template, which has nothing to save. Its children go on until they are stopped."""
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        """Note the children that begin and end, until the template has ended."""
        with suppress(OSError), self._socket.makefile("r", encoding="ascii") as lines:
            for line in lines:
                pid, _, status = line.strip().partition(" ")
                with self._begun:
                    if not status:
                        self._pids.append(int(pid))
                        self._begun.notify_all()
                    elif int(pid) in self._children:
                        self._children.pop(int(pid)).end(int(status))
                    else:
                        self._early[int(pid)] = int(status)
        self._socket.close()
        self._process.wait()
        with self._begun:
            for child in self._children.values():
                child.end(LOST)
            self._children.clear()
            self._begun.notify_all()
