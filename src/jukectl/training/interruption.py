"""Ctrl-C and a scheduler's SIGTERM: noted at once, acted upon at the end of the step."""

import signal
import threading
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While the block runs, the first signal is only noted. The next one does what it did before, where that is asked.

    A launcher like torchrun passes every signal on that the terminal has sent already, so there no second one counts.
    """

    def __init__(self, *, second_counts: bool) -> None:
        self.asked = False
        self._second_counts = second_counts
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other thread may set handlers
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._second_counts:
            self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
