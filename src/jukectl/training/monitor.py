"""A run's logs: CSV files that a resumed run cuts back to its checkpoint and goes on with."""

import csv
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from jukectl.errors import CannotWrite
from jukectl.files import atomic_write


def append_row(path: Path, row: Mapping[str, float]) -> None:
    """A row at the end of a log, under its columns; a new log takes them from the row. Raises CannotWrite."""
    columns = _columns(path) or list(row)
    try:
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
    except OSError as error:
        raise CannotWrite(f"cannot write {path}: {error.strerror or error}") from error


def cut_log(path: Path, step: int) -> None:
    """Drop rows past `step`, which a resumed run writes again, and one that a kill left half written."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows:
        path.unlink()
        return
    header, *rows = rows
    whole = [row for row in rows if len(row) == len(header) and row[0].isdigit() and int(row[0]) <= step]
    with atomic_write(path) as out:
        out.write("".join(",".join(row) + "\r\n" for row in (header, *whole)).encode())


def _columns(path: Path) -> list[str]:
    """The columns of a log, none where it is not there yet."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


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
