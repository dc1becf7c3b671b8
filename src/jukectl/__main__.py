"""`python -m jukectl`, and the installed command."""

import gc
import os
import sys
from contextlib import nullcontext
from pathlib import Path

from jukectl.cli.interruptions import Interruptions

INTERRUPTED = 130


def run() -> int:
    """Run the command line of this process and return its exit status."""
    interruptions = Interruptions()
    try:
        interruptions.catch()
        status = _run(interruptions)
    except BaseException:
        # while libraries load, an interruption may end in any error of theirs
        if not interruptions.count:
            raise
        _say_interrupted()
        status = INTERRUPTED
    interruptions.end()
    # The interpreter runs its garbage collector several times on its way out. With torch loaded that took 0.4 s; frozen
    # objects are left out, and the operating system takes their memory back anyway.
    gc.freeze()
    return status


def _run(interruptions: Interruptions) -> int:
    """Prepare the streams, load the command line and run it. Unexpected errors are JSON if the rest of stderr is."""
    from jukectl.cli import streams

    streams.prepare_streams()
    _load_in_a_lost_folder()
    from jukectl.cli.main import fail, main

    as_json = streams.wants_json_lines(sys.argv[1:])
    with streams.json_stderr() if as_json else nullcontext():
        try:
            status = main()
            if error := streams.finish_stdout():
                status = fail(f"the result cannot be printed: {error.strerror or error}", status or 1)
        except Exception as error:
            if interruptions.count or not as_json:
                raise
            sys.excepthook(type(error), error, error.__traceback__)
            status = fail(f"unexpected {type(error).__name__}: {error}", 1)
    return status


def _say_interrupted() -> None:
    """Print the last line of a command that was interrupted while it loaded."""
    from jukectl.cli.streams import wants_json_lines

    if wants_json_lines(sys.argv[1:]):
        sys.stderr.write(f'{{"error": "interrupted", "status": {INTERRUPTED}}}\n')
    else:
        sys.stderr.write("\njukectl: interrupted\n")


def _load_in_a_lost_folder() -> None:
    """Load torch from elsewhere if the working folder was deleted, since MKL would end the process there."""
    try:
        Path.cwd()
    except FileNotFoundError:
        here = os.open(".", os.O_RDONLY)
        os.chdir(os.sep)
        import torch
        import torch._dynamo  # asks for the working folder too, as soon as an optimizer is made

        torch.ones(2, 2) @ torch.ones(2, 2)
        os.fchdir(here)
        os.close(here)


if __name__ == "__main__":
    raise SystemExit(run())
