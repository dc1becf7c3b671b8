"""A run's logs: CSV files that a resumed run cuts back to its checkpoint and goes on with."""

import csv
from collections.abc import Mapping
from pathlib import Path

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
