"""How fast a run trains, and which share of the time is not the model's own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class _Lap:
    """Where a run stood when a log row was written."""

    step: int
    seconds: float
    model: float  # seconds of them in the model's forward and backward


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


class Pace:
    """The clock of a run. It begins when it is made, and stands still in `paused`.

    A GPU works while the program goes on, so there its own clock is read, when somebody asks.
    """

    def __init__(self, device: torch.device, step: int = 0, seconds: float = 0.0) -> None:
        """A resumed run goes on at its `step`, with the `seconds` that it took so far."""
        self._on_gpu = device.type == "cuda"
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []
        self._model = 0.0
        self._began = time.perf_counter() - seconds
        self._stopped: float | None = None  # when the pause began that is going on
        self._last = _Lap(step, seconds, 0.0)

    @contextmanager
    def model(self) -> Iterator[None]:
        """The block is the model's forward and backward."""
        if self._on_gpu:
            start, end = _event(), _event()
            start.record()
            yield
            end.record()
            self._events.append((start, end))
        else:
            began = time.perf_counter()
            yield
            self._model += time.perf_counter() - began

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The block is no part of training, such as an evaluation."""
        self._stopped = time.perf_counter()
        yield
        self._began += time.perf_counter() - self._stopped
        self._stopped = None

    def seconds(self) -> float:
        """What training took so far, less the pauses."""
        return (time.perf_counter() if self._stopped is None else self._stopped) - self._began

    def lap(self, step: int) -> tuple[float, float]:
        """Steps a second since the last lap, and the share of that time that was not the model's."""
        if self._events:
            self._events[-1][1].synchronize()
            self._model += sum(start.elapsed_time(end) for start, end in self._events) / 1_000
            self._events.clear()
        now, last = _Lap(step, self.seconds(), self._model), self._last
        self._last = now
        seconds = now.seconds - last.seconds
        return (now.step - last.step) / seconds, 1 - (now.model - last.model) / seconds
