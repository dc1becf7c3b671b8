"""A process of the studio: it loads jukectl, then runs the one command line that it reads from stdin.

With --fork it only loads jukectl, and forks for every request that it reads from a socket; each child runs a command.

The line is a JSON list of words. When stdin is closed, the studio is gone: the command is interrupted as by Ctrl-C, so
every finished window is saved, and the song's folder is unlocked.
"""

import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress

from jukectl.cli.main import INTERRUPTED, wait_without_spinning
from jukectl.studio.template import FORK

GRACE_SECONDS = 20.0  # after the interruption, until the process is ended


def main() -> None:
    """Load, read the words and run them. Raises SystemExit with the status of the command."""
    # libraries may swallow KeyboardInterrupt while they load, and there is nothing to save yet
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    wait_without_spinning()
    import jukectl.api  # noqa: F401 - torch loads here, before there is something to do

    if FORK in sys.argv[1:]:
        _begin_in_forks()
    line = sys.stdin.buffer.readline()
    if not line:
        return
    threading.Thread(target=_end_with_the_studio, name="studio", daemon=True).start()
    sys.argv[1:] = json.loads(line)
    # the parent may ignore Ctrl-C, as shells have it for jobs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
    runpy.run_module("jukectl", run_name="__main__")


def _begin_in_forks() -> None:
    """Fork for every request, with the files of the request as stdin, stdout and stderr, and return in the children.

    The process itself stays here until the studio is gone: it writes the number of each child, and again with its
    status when that has ended.
    """
    studio = socket.socket(fileno=os.dup(0))
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler the signal would not wake
    signal.set_wakeup_fd(waker)
    while True:
        ready, _, _ = select.select([studio.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4_096)
            _report_ended(studio)
        if studio.fileno() in ready:
            request, files, _, _ = socket.recv_fds(studio, 1, 3)
            if not request:
                os._exit(0)
            if (child := os.fork()) == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.setsid()  # so that Ctrl-C in the terminal reaches the studio alone
                for place, file in enumerate(files):
                    os.dup2(file, place)
                for file in (*files, woken, waker):
                    os.close(file)
                studio.close()
                _open_streams()
                return
            for file in files:
                os.close(file)
            _tell(studio, f"{child}\n")


def _open_streams() -> None:
    """Open the standard streams again: those of the parent may be of files that can seek, and these are pipes."""
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - they are open until the process ends
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115


def _report_ended(studio: socket.socket) -> None:
    """Write the children that have ended, with their statuses."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            _tell(studio, f"{ended[0]} {os.waitstatus_to_exitcode(ended[1])}\n")


def _tell(studio: socket.socket, line: str) -> None:
    with suppress(OSError):  # the studio is gone, which the next read notices
        studio.sendall(line.encode())


def _end_with_the_studio() -> None:
    os.read(0, 1)  # nothing more is written: this returns when stdin is closed
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
