"""What every command shares with the shell: results on stdout, everything else on stderr."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from jukectl.progress import Progress, Report, Standing, Warn, silent

LINE_SECONDS = 10.0  # between two lines of progress where there is no terminal


class Watching(StrEnum):
    """What --progress shows on stderr."""

    AUTO = "auto"  # bars on a terminal, lines now and then elsewhere, nothing with --quiet
    JSON = "json"  # a JSON object a line, whenever a window is saved; warnings and errors are objects too
    NONE = "none"  # nothing but warnings and errors


@dataclass(frozen=True)
class Console:
    """The global options, as the commands need them."""

    quiet: bool = False
    verbose: bool = False
    json: bool = False


def console(context: typer.Context) -> Console:
    """The global options given before the command."""
    return context.obj if isinstance(context.obj, Console) else Console()


def emit(context: typer.Context, paths: Sequence[Path], result: Mapping[str, Any]) -> None:
    """The result on stdout: paths one a line, or with --json one object."""
    if console(context).json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    for path in paths:
        typer.echo(path)


def say(context: typer.Context, text: str) -> None:
    """A remark on stderr, unless --quiet."""
    if not console(context).quiet:
        typer.echo(text, err=True)


def warn(text: str) -> None:
    """A warning on stderr, even with --quiet."""
    typer.echo(f"jukectl: warning: {text}", err=True)


def warning(watching: Watching) -> Warn:
    """`warn`, or where stderr is JSON lines an object with the warning."""
    return warn if watching is not Watching.JSON else lambda text: json_line({"warning": text})


def json_line(fields: Mapping[str, Any]) -> None:
    """An object on a line of stderr, at once."""
    typer.echo(json.dumps(fields, ensure_ascii=False), err=True)
    sys.stderr.flush()


@contextmanager
def progress(context: typer.Context, watching: Watching = Watching.AUTO) -> Iterator[Report]:
    """A report that shows itself on stderr while the block runs: bars on a terminal, lines now and then elsewhere.

    JSON was asked for, so it comes with --quiet too.
    """
    if watching is Watching.JSON:
        yield _json_report
    elif console(context).quiet or watching is Watching.NONE:
        yield silent
    elif sys.stderr.isatty():
        with _bars() as report:
            yield report
    else:
        yield _Lines().report


def _json_report(progress: Progress) -> None:
    """A line for a window that was just saved; nothing else is told."""
    at = progress.standing
    if at is None or at.saved is None:
        return
    json_line(
        {
            "level": at.of,
            "window": at.part,
            "windows": at.parts,
            "done": progress.done,
            "total": progress.total,
            "codes_per_second": None if at.per_second is None else round(at.per_second, 2),
            "seconds_left": None if at.seconds_left is None else round(at.seconds_left, 2),
            "saved": round(at.saved, 3),
        }
    )


@contextmanager
def _bars() -> Iterator[Report]:
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
        """The time left as it is foreseen, or else as the bar itself reckons."""

        max_refresh = 0.0  # what is foreseen is drawn with the rest of the bar

        def render(self, task: Task) -> Text:
            """Of a task."""
            pace = task.fields["pace"]
            return Text(pace) if pace else Text("left ") + super().render(task)

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

        def report(progress: Progress) -> None:
            if _is_remark(progress):
                bars.console.print(_remark(progress), markup=False, highlight=False, soft_wrap=True)
                return
            if progress.stage not in tasks:
                tasks[progress.stage] = bars.add_task(progress.stage, total=progress.total, note="", pace="")
            bars.update(
                tasks[progress.stage],
                completed=progress.done,
                total=progress.total,
                note=progress.note[:80],
                pace=", ".join(_pace(progress.standing)),
            )

        yield report


class _Lines:
    """A line now and then, for logs: stage, share done, time left."""

    def __init__(self) -> None:
        self.stage = ""
        self.began = 0.0
        self.first = 0
        self.shown = 0.0
        self.last = ""

    def report(self, progress: Progress) -> None:
        """Show it if the stage is new or done, or some time has passed."""
        if _is_remark(progress):
            typer.echo(_remark(progress), err=True)
            return
        now = time.monotonic()
        if progress.stage != self.stage:
            self.stage, self.began, self.first, self.shown = progress.stage, now, progress.done, 0.0
        if now - self.shown < LINE_SECONDS and progress.done < progress.total:
            return
        line = f"{progress.stage}: {progress.done}/{progress.total}"
        if line == self.last:
            return
        self.shown, self.last = now, line
        pace = _pace(progress.standing) if progress.standing else self._left(progress, now)
        note = f"  {progress.note}" if progress.note else ""
        typer.echo(f"{', '.join([line, *pace])}{note}", err=True)

    def _left(self, progress: Progress, now: float) -> list[str]:
        """The time left of a stage that nobody has foreseen."""
        moved = progress.done - self.first
        left = (now - self.began) / moved * (progress.total - progress.done) if moved > 0 else None
        return [f"{clock(left)} left"] if left else []


def _pace(standing: Standing | None) -> list[str]:
    """Which part it is, how fast, and how long it will go on."""
    if standing is None:
        return []
    pace = [f"window {standing.part} of {standing.parts}"]
    if standing.per_second is not None:
        speed = standing.per_second
        pace.append(f"{speed:.0f} codes/s" if speed >= 10 else f"{speed:.2g} codes/s")
    if standing.seconds_left is not None:
        pace.append(f"{clock(standing.seconds_left)} left in all")
    return pace


def _is_remark(progress: Progress) -> bool:
    return progress.total == 0 and bool(progress.note)


def _remark(progress: Progress) -> str:
    return f"{progress.stage}: {progress.note}"


def clock(seconds: float) -> str:
    """A duration as people read it: 0:42, 12:05, 3:07:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def show_facts(context: typer.Context, facts: Mapping[str, Any], lines: Sequence[str]) -> None:
    """Facts on stdout: lines for people, or with --json one object."""
    typer.echo(json.dumps(facts, ensure_ascii=False) if console(context).json else "\n".join(lines))
