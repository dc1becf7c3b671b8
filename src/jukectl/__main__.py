"""`python -m jukectl`, and the installed command."""

import gc
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

from jukectl.cli.streams import finish_stdout, json_stderr, prepare_streams

INTERRUPTED = 130


def run() -> int:
    """Run the command line of this process and return its exit status."""
    interruptions = _count_interruptions()
    prepare_streams()
    try:
        _load_in_a_lost_folder()
        from jukectl.cli.main import fail, main, wants_json_lines

        with json_stderr() if wants_json_lines(sys.argv[1:]) else nullcontext():
            try:
                status = main()
                if error := finish_stdout():
                    status = fail(f"the result cannot be printed: {error.strerror or error}", status or 1)
            except Exception as error:
                if interruptions or not wants_json_lines(sys.argv[1:]):
                    raise
                sys.excepthook(type(error), error, error.__traceback__)
                status = fail(f"unexpected {type(error).__name__}: {error}", 1)
    except BaseException:
        # while libraries load, an interruption may end in any error of theirs
        if not interruptions:
            raise
        sys.stderr.write("\njukectl: interrupted\n")
        status = INTERRUPTED
    # The interpreter runs its garbage collector several times on its way out. With torch loaded that took 0.4 s; frozen
    # objects are left out, and the operating system takes their memory back anyway.
    gc.freeze()
    return status


def _load_in_a_lost_folder() -> None:
    """Load torch from elsewhere if the working folder was deleted, since MKL would end the process there."""
    try:
        Path.cwd()
    except FileNotFoundError:
        here = os.open(".", os.O_RDONLY)
        os.chdir(os.sep)
        import torch

        torch.ones(2, 2) @ torch.ones(2, 2)
        os.fchdir(here)
        os.close(here)


def _count_interruptions() -> list[int]:
    """Raise KeyboardInterrupt on SIGINT, as Python does; return a list that gets an entry each time."""
    found: list[int] = []

    def note(number: int, frame: object) -> None:
        found.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, note)
    return found


if __name__ == "__main__":
    raise SystemExit(run())
