"""`python -m jukectl`, and the installed command."""

import atexit
import os
import sys

from jukectl.cli.main import main


class _Leaving:
    """Ends the process once the command line is done, in place of taking the interpreter down.

    That would take half a second where torch is loaded, to free piece by piece what the system frees at a stroke.
    """

    status: int | None = None  # None until the command line is done: an unforeseen error ends the usual way

    def __call__(self) -> None:
        if self.status is None:
            return
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:  # nobody reads any more: Python says so itself
            return
        os._exit(self.status)


def run() -> int:
    """Run the command line of this process; see `main`."""
    leaving = _Leaving()
    atexit.register(leaving)  # what was registered first is called last, after all that libraries have to do
    leaving.status = main()
    return leaving.status


if __name__ == "__main__":
    raise SystemExit(run())
