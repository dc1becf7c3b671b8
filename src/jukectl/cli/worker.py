"""A process of the studio: it loads jukectl, then runs the one command line that it reads from stdin.

The line is a JSON list of words. When stdin is closed, the studio is gone: the command is interrupted as by Ctrl-C, so
every finished window is saved, and the song's folder is unlocked.
"""

import json
import os
import runpy
import signal
import sys
import threading
import time

from jukectl.cli.main import INTERRUPTED, wait_without_spinning

GRACE_SECONDS = 20.0  # after the interruption, until the process is ended


def main() -> None:
    """Load, read the words and run them. Raises SystemExit with the status of the command."""
    # libraries may swallow KeyboardInterrupt while they load, and there is nothing to save yet
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    wait_without_spinning()
    import jukectl.api  # noqa: F401 - torch loads here, before there is something to do

    line = sys.stdin.buffer.readline()
    if not line:
        return
    threading.Thread(target=_end_with_the_studio, name="studio", daemon=True).start()
    sys.argv[1:] = json.loads(line)
    # the parent may ignore Ctrl-C, as shells have it for jobs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
    runpy.run_module("jukectl", run_name="__main__")


def _end_with_the_studio() -> None:
    os.read(0, 1)  # nothing more is written: this returns when stdin is closed
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
