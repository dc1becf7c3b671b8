"""Run Python in forks of a process that has loaded jukectl: it starts in milliseconds, not in seconds.

Each run is a process with the streams, the environment and the working folder of the one that called it. Signals are
passed on to it, its exit status comes back, and it is killed with its caller. It has one thread, and what is read while
the interpreter starts or while torch is imported is that of the first process: options and variables of either.
"""

import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from subprocess import PIPE, Popen
from types import ModuleType
from typing import Any, NoReturn

MESSAGE = 2**17  # bytes; more than any code, arguments and environment
PASSED_ON = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def warm_command() -> Iterator[list[str]]:
    """Start the process, and return the words of a command that stands for the path of the interpreter."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        address = str(Path(folder) / "socket")  # in a folder with a short name, since addresses are short
        listening.bind(address)
        listening.listen()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, str(listening.fileno())]
        with Popen(command, pass_fds=[listening.fileno()], env=environment, stdin=PIPE):  # it ends with its stdin
            yield [sys.executable, "-I", "-S", __file__, address]


def _serve(listening: socket.socket) -> None:
    """Run what callers ask for, and load what it had to load, for the forks to come."""
    import torch

    import jukectl.api
    import jukectl.cli.main  # noqa: F401 - so that forks need not load it

    torch.set_num_threads(1)
    loaded, tell = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    loaded.setblocking(False)
    both = [listening.fileno(), sys.stdin.fileno()]
    while listening.fileno() in select.select(both, [], [])[0]:
        caller, _ = listening.accept()
        with suppress(BlockingIOError):
            while names := loaded.recv(MESSAGE):
                for name in names.decode().split():
                    with suppress(Exception):
                        import_module(name)
        gc.freeze()  # a collection in a fork would copy the pages of all objects
        if os.fork() == 0:
            _attend(caller, tell)
        caller.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _attend(caller: socket.socket, tell: socket.socket) -> NoReturn:
    """Run what one caller asks for, in a fork."""
    text, streams, _, _ = socket.recv_fds(caller, MESSAGE, 3)
    child = os.fork()
    if child == 0:
        caller.close()
        _run(json.loads(text), streams, tell)
    for stream in streams:
        os.close(stream)
    status = 0
    with suppress(OSError):  # the caller was killed before it got an answer
        caller.send(str(child).encode())
        ended = os.pidfd_open(child)
        ready, _, _ = select.select([caller.fileno(), ended], [], [])
        if ended not in ready:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        caller.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _run(job: Mapping[str, Any], streams: Sequence[int], tell: socket.socket) -> NoReturn:
    """Run Python as this process, and end it."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, closefd=False)  # noqa: SIM115
        for number, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["folder"])
    before, status = set(sys.modules), 1
    try:
        status = _executed(job["arguments"])
    finally:
        with suppress(OSError):
            tell.send("\n".join(sorted(set(sys.modules) - before)).encode())
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _executed(arguments: Sequence[str]) -> int:
    """Run `-c CODE`, `-m MODULE` or a script with arguments, and return the exit status."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in sys.path]
    try:
        match arguments:
            case ["-c", code, *rest]:
                sys.argv, sys.path[:0] = ["-c", *rest], ["", *paths]
                module = sys.modules["__main__"] = ModuleType("__main__")
                exec(compile(code, "<string>", "exec"), vars(module))
            case ["-m", name, *rest]:
                sys.argv, sys.path[:0] = ["-m", *rest], ["", *paths]
                runpy.run_module(name, run_name="__main__", alter_sys=True)
            case [script, *rest]:
                sys.argv, sys.path[:0] = [script, *rest], [str(Path(script).parent), *paths]
                runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _call(address: str, arguments: list[str]) -> int:
    """Have Python run with the streams, environment and folder of this process, and end as it ends."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(address)
        job = json.dumps({"folder": str(Path.cwd()), "arguments": arguments, "environment": dict(os.environ)})
        socket.send_fds(server, [job.encode()], [0, 1, 2])
        child = int(server.recv(MESSAGE))
        for passed in PASSED_ON:
            signal.signal(passed, lambda number, _: os.kill(child, number))
        status = int(server.recv(MESSAGE))
        if status < 0:
            if -status in PASSED_ON:
                signal.signal(-status, signal.SIG_DFL)
            os.kill(os.getpid(), -status)
        return status


if __name__ == "__main__":
    if len(sys.argv) == 2:
        _serve(socket.socket(fileno=int(sys.argv[1])))
    else:
        sys.exit(_call(sys.argv[1], sys.argv[2:]))
