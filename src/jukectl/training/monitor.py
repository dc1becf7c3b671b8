"""CSV logs of a run, which a resumed run truncates to its checkpoint and continues, and the clock of a run."""

import csv
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from jukectl.errors import BadInput, CannotWrite
from jukectl.files import atomic_write, opened, read_bytes
from jukectl.progress import Listener, Progress

LARGEST = 2**32  # bytes of a log
LONGEST_LINE = 2**16  # bytes


def append_row(path: Path, row: Mapping[str, float]) -> None:
    """Append a row to a log with its columns; a new log has those of the row. Raise CannotWrite if that fails."""
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
    """Drop rows after `step`, which a resumed run writes again, and a partial row of a killed run."""
    if not path.exists():
        return
    rows = _parsed(path, read_bytes(path, BadInput, "log", largest=LARGEST))
    if not rows:
        path.unlink()
        return
    header, *rows = rows
    whole = [row for row in rows if len(row) == len(header) and row[0].isdigit() and int(row[0]) <= step]
    with atomic_write(path) as out:
        out.write("".join(",".join(row) + "\r\n" for row in (header, *whole)).encode())


def _columns(path: Path) -> list[str]:
    """Return the columns of a log, none if it does not exist."""
    if not path.is_file():
        return []
    with opened(path, BadInput, "log") as file:
        return next(iter(_parsed(path, file.readline(LONGEST_LINE))), [])


def _parsed(path: Path, text: bytes) -> list[list[str]]:
    """Return the rows of a log. Raise BadInput if they are none."""
    try:
        rows = csv.reader(text.decode().replace("\r\n", "\n").split("\n"))
        return [row for row in rows if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not the log of a training run, or is damaged: {error}. Move it away") from error


class EvaluationProgress:
    """Reports the parts of an evaluation to a listener, since evaluating may take longer than training between."""

    def __init__(self, listener: Listener, total: int) -> None:
        self._listener = listener
        self._total = total
        self._done = 0
        self._report()

    def tick(self) -> None:
        """Report one more part; parts beyond the total, of ranks that wrap around, are not counted."""
        self._done = min(self._done + 1, self._total)
        self._report()

    def _report(self) -> None:
        self._listener(Progress("evaluating", self._done, self._total))


@dataclass(frozen=True)
class _Lap:
    """Step and times at a log row."""

    step: int
    seconds: float
    model: float  # of these seconds, those in forward and backward passes


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


class Clock:
    """Clock of a run, which starts when created and stops in `paused`.

    GPU work is asynchronous, so on a GPU model time is measured with CUDA events, which are read in `lap`.
    """

    def __init__(self, device: torch.device, step: int = 0, seconds: float = 0.0) -> None:
        """Start the clock; for a resumed run at its `step`, with its `seconds` so far."""
        self._on_gpu = device.type == "cuda"
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []
        self._model = 0.0
        self._began = time.perf_counter() - seconds
        self._stopped: float | None = None  # start of the current pause
        self._last = _Lap(step, seconds, 0.0)

    @contextmanager
    def model(self) -> Iterator[None]:
        """Count the block as forward and backward passes of the model."""
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
        """Stop the clock for a block that is not training, such as an evaluation."""
        self._stopped = time.perf_counter()
        yield
        self._began += time.perf_counter() - self._stopped
        self._stopped = None

    def seconds(self) -> float:
        """Return the seconds of training so far, without pauses."""
        return (time.perf_counter() if self._stopped is None else self._stopped) - self._began

    def lap(self, step: int) -> tuple[float, float]:
        """Return the steps per second since the last lap, and the share of that time outside the model."""
        if self._events:
            self._events[-1][1].synchronize()
            self._model += sum(start.elapsed_time(end) for start, end in self._events) / 1_000
            self._events.clear()
        now, last = _Lap(step, self.seconds(), self._model), self._last
        self._last = now
        seconds = now.seconds - last.seconds
        return (now.step - last.step) / seconds, 1 - (now.model - last.model) / seconds
