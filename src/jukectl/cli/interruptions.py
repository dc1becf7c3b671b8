"""Ctrl-C from the first line of the command to its last, also where a library swallows the exception."""

import signal
import sys
from types import FrameType

AGAIN_SECONDS = 2.0  # after which a swallowed interruption is raised again


class Interruptions:
    """Count the SIGINTs of this process and raise each as KeyboardInterrupt in the main thread.

    Libraries lose exceptions while they load: bare excepts catch them, C code clears them. The command would then go on
    as if nobody had pressed Ctrl-C. So the exception is raised again every two seconds until `end`, unless it is being
    handled.
    """

    def __init__(self) -> None:
        self.count = 0

    def catch(self) -> None:
        """Install the handler, unless the parent process chose that SIGINT is ignored."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)

    def end(self) -> None:
        """Raise no interruption again, and let the process exit with its own status."""
        if not self.count:
            return
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        # KeyboardInterrupt out of an exec() of text, as in dataclasses, sets a flag in CPython. At exit it would end
        # the process by SIGINT, although the exception was handled. The next exec() clears it.
        exec("")

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if hasattr(signal, "setitimer"):  # not on Windows
            signal.signal(signal.SIGALRM, _interrupt_again)
            signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS, AGAIN_SECONDS)
        raise KeyboardInterrupt


def _interrupt_again(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, unless one is being handled: cleanup on the way out takes the time it needs."""
    error = sys.exc_info()[1]
    while error:
        if isinstance(error, KeyboardInterrupt):
            return
        error = error.__context__
    raise KeyboardInterrupt
