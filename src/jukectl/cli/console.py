"""Output of all commands: results on stdout, everything else on stderr."""

import json
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import typer

from jukectl.progress import (
    BatchProgress,
    Event,
    LevelProgress,
    Listener,
    Progress,
    Remark,
    WarningEvent,
    WarningsOnly,
)
from jukectl.settings import Setting

LINE_SECONDS = 10.0  # between two lines of progress where there is no terminal
SILENT_SECONDS = 30.0  # without a line, after which the last one is repeated


class ProgressStyle(StrEnum):
    """Choices of --progress."""

    AUTO = "auto"  # bars on a terminal, lines now and then elsewhere, nothing with --quiet
    JSON = "json"  # a JSON object a line whenever a window is saved; warnings and errors are objects too
    NONE = "none"  # nothing but warnings and errors


@dataclass
class Console:
    """Global options and settings, and the folder that a command chose without --out."""

    quiet: bool = False
    verbose: bool = False
    json: bool = False
    folder: Path | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)


def console(context: typer.Context) -> Console:
    """Return the global options given before the command."""
    return context.obj if isinstance(context.obj, Console) else Console()


def printable(text: str) -> str:
    """Return a line with control characters, and those that reorder text, as escapes: \\x1b.

    Names come from recipes and files of others, and a terminal obeys what it is sent.
    """
    return "".join(one if one.isprintable() or one == " " else _escaped(one) for one in text)


def _escaped(one: str) -> str:
    """Return the escape of a character that does more than be seen; spaces and joiners of scripts stay."""
    harmless = unicodedata.category(one) in ("Zs", "Cn", "Co") or one in "\u200c\u200d"
    return one if harmless or "\udc80" <= one <= "\udcff" else one.encode("unicode_escape", "surrogatepass").decode()


def echo(text: object, *, err: bool = False) -> None:
    """Print a line in the encoding of stdout or stderr: without a file, typer writes UTF-8 if that is ASCII."""
    typer.echo(text, file=sys.stderr if err else sys.stdout)


def emit(context: typer.Context, paths: Sequence[Path], result: Mapping[str, Any]) -> None:
    """Print the result: a path on each line, or with --json one object."""
    if console(context).json:
        echo(json.dumps(result, ensure_ascii=False))
        return
    for path in paths:
        echo(path)


def say(context: typer.Context, text: str) -> None:
    """Print a remark on stderr, unless --quiet is given."""
    if not console(context).quiet:
        echo(printable(text), err=True)


def warn(text: str) -> None:
    """Print a warning on stderr, even with --quiet."""
    echo(f"jukectl: warning: {printable(text)}", err=True)


def warnings_only(style: ProgressStyle) -> WarningsOnly:
    """Return a listener that shows warnings alone on stderr, in --progress json as objects."""
    return WarningsOnly(warn if style is not ProgressStyle.JSON else _json_warning)


def json_line(fields: Mapping[str, Any]) -> None:
    """Print an object on a line of stderr."""
    echo(json.dumps(fields, ensure_ascii=False), err=True)


@contextmanager
def progress(context: typer.Context, style: ProgressStyle = ProgressStyle.AUTO) -> Iterator[Listener]:
    """Yield a listener that shows progress on stderr while the block runs: bars on a terminal, elsewhere lines.

    With --quiet it shows warnings alone. JSON is an explicit request, so it comes with --quiet too.
    """
    if style is ProgressStyle.JSON:
        yield _json_event
    elif console(context).quiet or style is ProgressStyle.NONE:
        yield warnings_only(style)
    else:
        with _bars() if sys.stderr.isatty() else _Lines() as listener:
            yield listener if console(context).verbose else _without_details(listener)


def _without_details(listener: Listener) -> Listener:
    """Return a listener that drops remarks on details."""

    def passing(event: Event) -> None:
        if not (isinstance(event, Remark) and event.detail):
            listener(event)

    return passing


def _json_event(event: Event) -> None:
    """Write a line for windows that were just saved, a song of a batch that ended or a warning; drop all else."""
    if isinstance(event, WarningEvent):
        _json_warning(event.text)
    elif isinstance(event, BatchProgress) and event.saved:
        json_line({name: value for name, value in vars(event).items() if name != "saved"})
    elif isinstance(event, LevelProgress) and event.seconds_saved is not None:
        json_line(
            {
                "level": event.level,
                "window": event.window,
                "windows": event.windows,
                "done": event.done,
                "total": event.total,
                "codes_per_second": _rounded(event.codes_per_second, 2),
                "seconds_left": _rounded(event.seconds_left, 2),
                "saved": round(event.seconds_saved, 3),
            }
        )


def _json_warning(text: str) -> None:
    json_line({"warning": text})


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


@contextmanager
def _bars() -> Iterator[Listener]:
    from rich.console import Console as Terminal
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Task,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Left(TimeRemainingColumn):
        """The estimated time left of the whole song, or else the bar's own estimate."""

        max_refresh = 0.0  # drawn whenever the rest of the bar is

        def render(self, task: Task) -> Text:
            """Return the column's text for a task."""
            eta = task.fields["eta"]
            return Text(eta) if eta else Text("left ") + super().render(task)

    columns = (
        TextColumn("{task.description}", markup=False),  # file names may have brackets
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        Left(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Bars(*columns, console=Terminal(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(event: Event) -> None:
            if isinstance(event, WarningEvent):
                return warn(event.text)
            if isinstance(event, Remark):
                return bars.console.print(printable(_remark(event)), markup=False, highlight=False, soft_wrap=True)
            if event.stage not in tasks:
                tasks[event.stage] = bars.add_task(event.stage, total=event.total, note="", eta="")
            return bars.update(
                tasks[event.stage],
                completed=event.done,
                total=event.total,
                note=printable(_note(event)[:80]),
                eta=", ".join(_eta(event)) if isinstance(event, LevelProgress) else "",
            )

        yield show


class _Lines:
    """A listener for logs, which writes a line now and then: stage, share done, time left.

    In the block, a thread says after SILENT_SECONDS without a line that the stage still runs, and for how long.
    """

    def __init__(self) -> None:
        self.stage = ""
        self.began = 0.0
        self.first = 0
        self.shown = 0.0
        self.last = ""
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SILENT_SECONDS / 6):
            with self._lock:
                now = time.monotonic()
                if self.last and now - self.shown >= SILENT_SECONDS * 5 / 6:
                    self.shown = now
                    echo(printable(f"{self.last}, for {clock(now - self.began)}"), err=True)

    def __call__(self, event: Event) -> None:
        """Write a line if the stage is new or done, or if some time has passed; warnings and remarks at once."""
        if isinstance(event, WarningEvent):
            warn(event.text)
        elif isinstance(event, Remark):
            echo(printable(_remark(event)), err=True)
        else:
            with self._lock:
                self._show(event)

    def _show(self, event: Progress | LevelProgress | BatchProgress) -> None:
        now = time.monotonic()
        if event.stage != self.stage:
            self.stage, self.began, self.first, self.shown = event.stage, now, event.done, 0.0
        if now - self.shown < LINE_SECONDS and event.done < event.total:
            return
        line = f"{event.stage}: {event.done}/{event.total}"
        if line == self.last:
            return
        self.shown, self.last = now, line
        eta = _eta(event) if isinstance(event, LevelProgress) else self._left(event, now)
        note = f"  {_note(event)}" if _note(event) else ""
        echo(printable(f"{', '.join([line, *eta])}{note}"), err=True)

    def _left(self, progress: Progress | BatchProgress, now: float) -> list[str]:
        """Return the time left of a stage that comes without an estimate."""
        moved = progress.done - self.first
        left = (now - self.began) / moved * (progress.total - progress.done) if moved > 0 else None
        return [f"{clock(left)} left"] if left else []


def _note(event: Progress | LevelProgress | BatchProgress) -> str:
    if isinstance(event, Progress | BatchProgress):
        return event.note
    return "" if event.seconds_saved is None else f"saved {event.seconds_saved:.1f} s"


def _eta(event: LevelProgress) -> list[str]:
    """Return the window at work, the speed and the time left, as far as they are known."""
    words = [f"window {event.window} of {event.windows}"]
    if event.codes_per_second is not None:
        speed = event.codes_per_second
        words.append(f"{speed:.0f} codes/s" if speed >= 10 else f"{speed:.2g} codes/s")
    if event.seconds_left is not None:
        words.append(f"{clock(event.seconds_left)} left in all")
    return words


def _remark(remark: Remark) -> str:
    return f"{remark.stage}: {remark.text}"


def clock(seconds: float) -> str:
    """Return a duration as on a clock: 0:42, 12:05, 3:07:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def show_facts(context: typer.Context, facts: Mapping[str, Any], lines: Sequence[str]) -> None:
    """Print facts: lines for people, or with --json one object."""
    if console(context).json:
        echo(json.dumps(facts, ensure_ascii=False))
    else:
        echo("\n".join(printable(part) for line in lines for part in line.split("\n")))
