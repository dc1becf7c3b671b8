"""Mutants are read in a process with 1 GB of address space beyond that of its libraries, each for 10 seconds at most.

The seconds are those of the CPU, so that other work on the machine makes no mutant late; one that waits has a minute.
A process that loaded everything forks for each run of mutants. A run that a mutant ends, by a signal or the alarm, is
resumed at the next one.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

SECONDS = 10  # of the CPU for each mutant
WAIT = 60  # seconds that may pass
MEMORY = 2**30  # bytes of address space
MOST_PROBLEMS = 20  # of a run; then it ends
LATE = {
    signal.SIGPROF: f"not read within {SECONDS} seconds of the CPU",
    signal.SIGALRM: f"not read within {WAIT} seconds",
}


class Runs:
    """Runs mutants in a process that has loaded jukectl."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, place: Path, name: str, count: int) -> tuple[int, list[str]]:
        """Read the first `count` mutants of a format in a workplace; return how many were accepted, and problems."""
        assert self._process.stdin and self._process.stdout
        log, first, problems, accepted = place / "log.jsonl", 0, list[str](), 0
        log.unlink(missing_ok=True)
        while first < count and len(problems) < MOST_PROBLEMS:
            job = {"place": str(place), "name": name, "first": first, "stop": count, "log": str(log)}
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            status = int(self._process.stdout.readline())
            entries = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
            assert entries and entries[-1]["number"] >= first, (place / "errors").read_text()[-2_000:]
            last = entries[-1]
            if status:
                what = LATE.get(signal.Signals(-status), f"ended by signal {-status}") if status < 0 else "died"
                problems.append(f"mutant {last['number']}: {what}")
            problems += [one["problem"] for one in entries if one["number"] >= first and "problem" in one]
            accepted += sum(one.get("accepted", 0) for one in entries if one["number"] >= first)
            first = last["number"] + 1
        return accepted, problems


@contextmanager
def runs(script: str = __file__) -> Iterator[Runs]:
    """Start the process that forks for runs: a script that ends with `serve`."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Runs(process)
        assert process.stdin
        process.stdin.close()


def serve() -> None:
    """Fork for each run that is asked for on stdin, and write its status to stdout."""
    import torch

    import jukectl.api  # noqa: F401 - so that forks need not load it

    torch.set_num_threads(1)
    os.fsync = lambda fd: None  # most of the time otherwise, and of no use: no machine crashes here
    sys.path.insert(0, str(Path(__file__).parent))
    from mutant_formats import FORMATS

    for line in sys.stdin:
        job = json.loads(line)
        tested = next(one for one in FORMATS if one.name == job["name"])
        file = Path(job["place"], tested.file)
        whole = file.read_bytes()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _run(tested, whole, Path(job["place"]), range(job["first"], job["stop"]), Path(job["log"]))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        _, ended = os.waitpid(child, 0)
        file.write_bytes(whole)  # not left to the child, which a mutant may have ended
        sys.stdout.write(f"{os.waitstatus_to_exitcode(ended)}\n")
        sys.stdout.flush()


def _run(tested: Any, whole: bytes, place: Path, numbers: range, log: Path) -> None:
    """Read mutants of the bytes of a whole file one after another, and log each before it is read."""
    import warnings

    from mutants import mutant

    warnings.simplefilter("ignore")
    os.chdir(place)
    errors = os.open("errors", os.O_WRONLY | os.O_CREAT)  # C libraries write there
    os.dup2(errors, 2)
    file = Path(tested.file)
    tested.read()  # loads what it loads
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    for late in LATE:
        signal.signal(late, signal.SIG_DFL)
    begun = [_clocks()]
    Thread(target=_watch, args=(begun,), daemon=True).start()  # readers may set the alarm to another time
    with log.open("a", buffering=1) as entries:  # a line at a time, for a reader when this process is killed
        for number in numbers:
            entries.write(json.dumps({"number": number}) + "\n")
            content = mutant(whole, tested.kinds, tested.name, number)
            file.write_bytes(content)
            begun[0] = _clocks()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.alarm(WAIT)
            problem, accepted = _outcome(tested)
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            if problem:
                Path(f"mutant-{number}").write_bytes(content)
                problem = f"mutant {number}: {problem}"
            entries.write(
                json.dumps({"number": number, **({"problem": problem} if problem else {}), "accepted": accepted}) + "\n"
            )
            if problem and number - numbers.start >= 10 * MOST_PROBLEMS:
                break


def _clocks() -> tuple[float, float]:
    """Return seconds of the CPU and seconds that passed."""
    return time.process_time(), time.monotonic()


def _watch(begun: list[tuple[float, float]]) -> None:
    """End this process by the signal of a timer when a mutant takes too long."""
    late = None
    while late is None:
        time.sleep(0.5)
        spent, passed = (now - then for now, then in zip(_clocks(), begun[0], strict=True))
        late = signal.SIGPROF if spent > SECONDS else signal.SIGALRM if passed > WAIT else None
    os.kill(os.getpid(), late)


def _outcome(tested: Any) -> tuple[str | None, bool]:
    """Return what is wrong with how the mutant at hand is read, and whether it was accepted."""
    from jukectl.errors import JukectlError

    try:
        tested.read()
    except (JukectlError, OSError) as error:  # the command line prints both in one line
        text = str(error)
        return (f"several lines: {text!r:.300}" if "\n" in text or not text else None), False
    except MemoryError:
        return "out of memory", False
    except AssertionError as error:
        return f"accepted, though wrong: {str(error) or _where(error)}"[:300], True
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:120]!r} {_where(error)}", False
    return None, True


def _where(error: BaseException) -> str:
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "jukectl" in one.filename]
    return " < ".join(f"{Path(one.filename).name}:{one.lineno}" for one in reversed(frames[-5:]))


if __name__ == "__main__":
    serve()
