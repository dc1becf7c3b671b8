"""Commands of jukectl that are killed, or run out of disk, at a numbered system call: see faults.c.

Each command runs in a fork of one process that has loaded everything, so that a case takes a fraction of a second.
"""

import ctypes
import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, NoReturn

SOURCE = Path(__file__).with_suffix(".c")


class Fault(IntEnum):
    """A fault at the chosen system call; the numbers are those of faults.c."""

    NONE = 0
    KILL_BEFORE = 1
    KILL_AFTER = 2
    KILL_HALFWAY = 3  # a write of half the bytes; like none where the call is another
    FULL_DISK = 4  # at the chosen call and at all after it


@dataclass(frozen=True)
class Outcome:
    """A command that ended."""

    status: int  # negative: the signal that killed it
    calls: int  # system calls that changed files, if it was not killed
    output: str
    errors: str


def compiled(folder: Path) -> Path | None:
    """Return the library of faults.c, None without a C compiler on Linux."""
    compiler = next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    if compiler is None or sys.platform != "linux":
        return None
    library = folder / "faults.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library


class Faults:
    """Runs commands with faults. Changes below `root` count."""

    def __init__(self, process: "subprocess.Popen[str]", root: Path) -> None:
        self._process = process
        self.root = root

    def run(self, command: Sequence[str], fault: Fault = Fault.NONE, call: int = 0) -> Outcome:
        """Run `jukectl` with these arguments, and with a fault at a call, counted from 1."""
        assert self._process.stdin and self._process.stdout
        job = {"command": list(command), "fault": fault, "call": call, "root": str(self.root)}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process that runs the commands has ended"
        return Outcome(**json.loads(line))


@contextmanager
def faults(library: Path, root: Path) -> Iterator[Faults]:
    """Start the process that runs commands. Its working folder is `root`."""
    environment = {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    root.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Faults(process, root)
        assert process.stdin
        process.stdin.close()


CHANGING = (  # what differs between two runs of the same command: times of day, and seconds of work
    (re.compile(rb'"made":\s*"[^"]*"'), b'"made": ""'),
    (re.compile(rb'"source":\s*"[^"]*"'), b'"source": ""'),
)
UNEQUAL = (".csv", ".pt")  # logs and checkpoints hold seconds of work
HIDDEN = {".lock"}


def content(folder: Path) -> Mapping[str, str]:
    """Return the files and folders below a folder, and a hash of each file without times of day."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.name in HIDDEN:
            continue
        if path.is_symlink() or not path.is_file():
            found[name] = str(path.readlink()) if path.is_symlink() else "folder"
            continue
        data = path.read_bytes()
        if path.suffix in (".json", ".js"):
            for changing, by in CHANGING:
                data = changing.sub(by, data)
        found[name] = "" if path.suffix in UNEQUAL else hashlib.sha256(data).hexdigest()[:16]
    return found


def _serve() -> None:
    """Run the commands that come on stdin, each in a fork."""
    import torch

    import jukectl.api  # noqa: F401 - so that forks need not load it

    torch.set_num_threads(1)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_forked(json.loads(line))) + "\n")
        sys.stdout.flush()


def _forked(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run a command in a fork, and load what it had to load, for the forks to come."""
    files = {name: os.memfd_create(name) for name in ("output", "errors", "calls", "modules")}
    child = os.fork()
    if child == 0:
        os.dup2(files["output"], 1)
        os.dup2(files["errors"], 2)
        _run(job, files)
    _, ended = os.waitpid(child, 0)
    texts = {}
    for name, file in files.items():
        os.lseek(file, 0, os.SEEK_SET)
        with os.fdopen(file, "rb") as kept:
            texts[name] = kept.read().decode(errors="replace")
    for module in texts.pop("modules").split():
        with suppress(Exception):
            importlib.import_module(module)
    return {**texts, "status": os.waitstatus_to_exitcode(ended), "calls": int(texts["calls"] or 0)}


def _run(job: Mapping[str, Any], files: Mapping[str, int]) -> NoReturn:
    """Run a command as this process, and end it."""
    from jukectl.cli import main

    loaded, status = set(sys.modules), 70
    library = ctypes.CDLL(os.environ["LD_PRELOAD"])
    os.chdir(job["root"])
    try:
        library.faults_arm(os.fsencode(job["root"]), job["fault"], job["call"])
        status = main.main(job["command"])
    except BaseException:
        traceback.print_exc()
    finally:
        os.write(files["calls"], str(library.faults_calls()).encode())
        os.write(files["modules"], "\n".join(sorted(set(sys.modules) - loaded)).encode())
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()
