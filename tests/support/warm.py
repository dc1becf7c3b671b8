"""Run `jukectl` in forks of a process that has loaded it: a command starts in milliseconds, not in seconds.

Each command is a process with the streams, the working folder and the exit status of the one that called it.
"""

import json
import os
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen


@contextmanager
def warm_command() -> Iterator[list[str]]:
    """Start the process, and return the words of a command that runs `jukectl` in it."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        address = str(Path(folder) / "socket")  # in a folder with a short name, since addresses are short
        listening.bind(address)
        listening.listen()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, str(listening.fileno())]
        with Popen(command, pass_fds=[listening.fileno()], env=environment) as process:
            yield [sys.executable, "-I", "-S", __file__, address]
            process.kill()


def _serve(listening: socket.socket) -> None:
    """Run the commands of callers one after another, each in a fork."""
    import torch

    import jukectl.api  # noqa: F401 - so that forks need not load it
    from jukectl import __main__ as entry

    torch.set_num_threads(1)
    while True:
        caller, _ = listening.accept()
        with caller:
            text, streams, _, _ = socket.recv_fds(caller, 2**16, 3)
            job = json.loads(text)
            child = os.fork()
            if child == 0:
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
                os.chdir(job["folder"])
                sys.argv[1:] = job["arguments"]
                status = 70
                try:
                    status = entry.run()
                except BaseException:
                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(status)
            for stream in streams:
                os.close(stream)
            _, ended = os.waitpid(child, 0)
            caller.sendall(bytes([os.waitstatus_to_exitcode(ended) % 256]))


def _call(address: str, arguments: list[str]) -> int:
    """Have a command run, with the streams and in the working folder of this process, and return its exit status."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        job = json.dumps({"folder": str(Path.cwd()), "arguments": arguments})
        socket.send_fds(server, [job.encode()], [0, 1, 2])
        return server.recv(1)[0]


if __name__ == "__main__":
    if len(sys.argv) == 2:
        _serve(socket.socket(fileno=int(sys.argv[1])))
    sys.exit(_call(sys.argv[1], sys.argv[2:]))
