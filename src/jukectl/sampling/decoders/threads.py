"""Number of threads of the compiled step: measured while it decodes, since codes do not depend on it."""

import os

import psutil

TRIED = 3  # pieces that are decoded with each number of threads before one is chosen
KEPT = 256  # pieces after which all are tried again: a machine may be busy for a while
LARGEST = 64  # threads, see threads.h


def cores() -> int:
    """Return the physical cores that this process may use."""
    physical = psutil.cpu_count(logical=False) or 1
    return max(1, min(physical, allowed_cpus(), LARGEST))


def allowed_cpus() -> int:
    """Return the logical CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ThreadChoice:
    """Chooses among numbers of threads by the time that a code takes with each.

    A prior that lives in the cache of a core is faster with one thread, a large one with all; and on a busy machine
    threads wait for each other.
    """

    def __init__(self, candidates: list[int]) -> None:
        self.candidates = list(dict.fromkeys(min(one, LARGEST) for one in candidates))
        self._pieces = 0
        self._least = dict.fromkeys(self.candidates, float("inf"))  # seconds a code

    def next(self) -> int:
        """Return the number of threads to decode the next piece with."""
        if len(self.candidates) > 1 and self._pieces < TRIED * len(self.candidates):
            return self.candidates[self._pieces % len(self.candidates)]
        return self.best

    def took(self, seconds: float, codes: int) -> None:
        """Take note of the seconds that the last piece took, of so many codes."""
        if codes < 1:  # the first code of a window takes no step
            return
        chosen, self._pieces = self.next(), self._pieces + 1
        self._least[chosen] = min(self._least[chosen], seconds / codes)
        if self._pieces == KEPT:
            self._pieces, self._least = 0, dict.fromkeys(self.candidates, float("inf"))

    @property
    def best(self) -> int:
        """Number of threads that was fastest so far."""
        return min(self.candidates, key=self._least.__getitem__)
