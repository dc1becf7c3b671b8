"""Manifests: CSV, JSON lines or TOML files with a song on each line, read as plain values with their line numbers."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jukectl.errors import BadInput
from jukectl.tables import parse_json, parse_toml, read_text, shown

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".toml")
LARGEST = 2**28  # bytes
EMPTY: tuple[object, ...] = (None, "", [])  # values that are left out
SEPARATOR = ";"  # between several values in a cell of CSV

SONGS: tuple[dict[str, str | int], ...] = (
    {"out": "first", "artist": "Freedoom", "genre": "Game", "seconds": 20, "seed": 1},
    {"out": "second", "genre": "Piano", "seconds": 20, "seed": 2, "temperature": "top=0.95"},
    {"out": "third", "genre": "Metal", "seconds": 10, "seed": 3},
)
"""Songs of the example."""


def example(path: Path) -> str:
    """Return an example of a manifest in the form that the name of a file asks for. BadInput for an unknown one."""
    check_suffix(path)
    if path.suffix.lower() == ".toml":
        tables = ["\n".join(f"{name} = {json.dumps(value)}" for name, value in song.items()) for song in SONGS]
        return '[defaults]\nformat = "flac"\n' + "".join(f"\n[[song]]\n{table}\n" for table in tables)
    if path.suffix.lower() in (".csv", ".tsv"):
        names = list(dict.fromkeys(name for song in SONGS for name in song))
        rows = [names, *([str(song.get(name, "")) for name in names] for song in SONGS)]
        return "".join(("\t" if path.suffix.lower() == ".tsv" else ",").join(row) + "\n" for row in rows)
    return "".join(json.dumps(song) + "\n" for song in SONGS)


def check_suffix(path: Path) -> None:
    """Raise BadInput for a file whose name is not that of a manifest."""
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(f"a manifest ends in {', '.join(SUFFIXES)}; got {path}. Write one with: jukectl batch --init")


@dataclass(frozen=True)
class Problem:
    """A mistake in a manifest, and its line; 0: the file as a whole."""

    line: int
    text: str


@dataclass(frozen=True)
class Line:
    """A song of a manifest: values by column, as the file has them. Empty values are left out."""

    number: int
    values: Mapping[str, Any]


@dataclass
class Manifest:
    """Songs of a manifest, and the mistakes that were found while it was read."""

    path: Path
    lines: list[Line] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    header: int = 0  # line that names the columns of all songs; 0: each song names its own

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read a manifest. BadInput if the file cannot be read; mistakes inside it are collected."""
        check_suffix(path)
        text = read_text(path, BadInput, "manifest", largest=LARGEST)
        manifest = cls(path)
        match path.suffix.lower():
            case ".toml":
                manifest._read_toml(text)
            case ".csv" | ".tsv":
                manifest._read_csv(text, "\t" if path.suffix.lower() == ".tsv" else ",")
            case _:
                manifest._read_json(text)
        if not manifest.lines and not manifest.problems:
            raise BadInput(f"{path} names no songs. Write an example with: jukectl batch --init")
        return manifest

    def _wrong(self, line: int, text: str) -> None:
        self.problems.append(Problem(line, text))

    def _read_csv(self, text: str, delimiter: str) -> None:
        header: list[str] = []
        for number, cells in self._rows(text, delimiter):
            if not header:
                self.header = number
                header = [column_of(cell) for cell in cells]
                for column in dict.fromkeys(one for one in header if header.count(one) > 1):
                    self._wrong(number, f"the column {column!r} is there twice")
                if "" in header:
                    self._wrong(number, f"column {header.index('') + 1} has no name")
            elif len(cells) > len(header):
                self._wrong(number, f"{len(cells)} cells, and the first line names {len(header)} columns")
            else:
                self.lines.append(Line(number, {name: cell for name, cell in zip(header, cells, strict=False) if cell}))

    def _rows(self, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows of a CSV file with their first lines; blank ones and comments are left out."""
        reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
        while True:
            number = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self._wrong(number, f"no CSV: {error}")
                return
            cells = [cell.strip() for cell in row]
            if any(cells) and not cells[0].startswith("#"):
                yield number, cells

    def _read_json(self, text: str) -> None:
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                values = parse_json(line, unique=True)
            except ValueError as error:
                self._wrong(number, f"no JSON: {error}")
                continue
            self._add(number, values)

    def _read_toml(self, text: str) -> None:
        try:
            table = parse_toml(text)
        except ValueError as error:
            where = re.search(r"\(at line (\d+)", str(error))
            self._wrong(int(where[1]) if where else 0, f"no TOML: {error}")
            return
        songs = table.pop("song", [])
        defaults = table.pop("defaults", {})
        for name in table:
            self._wrong(0, f"{name!r} is not known: songs are [[song]] tables, and [defaults] holds for all of them")
        if not isinstance(songs, list) or not isinstance(defaults, dict):
            self._wrong(0, "songs are [[song]] tables, and their defaults a [defaults] table")
            return
        found = [number for number, line in enumerate(text.split("\n"), 1) if re.match(r"\s*\[\[\s*song\s*\]\]", line)]
        # a text in quotes may hold such a line too: then the songs are counted instead
        numbers = found if len(found) == len(songs) else range(1, len(songs) + 1)
        for number, song in zip(numbers, songs, strict=True):
            self._add(number, defaults | song if isinstance(song, dict) else song)

    def _add(self, number: int, values: Any) -> None:
        """Add a song that a JSON object or a TOML table describes."""
        if not isinstance(values, dict):
            self._wrong(number, f"a song is an object of options and values, got {shown(values)}")
            return
        named = {column_of(name): value for name, value in values.items() if value not in EMPTY}
        if len(named) < sum(value not in EMPTY for value in values.values()):
            self._wrong(number, "an option is there twice, such as top-p and top_p")
        else:
            self.lines.append(Line(number, named))


def column_of(name: str) -> str:
    """Return the name of an option's column: "top-p", "--top-p" and "top_p" are one."""
    return name.strip().lower().removeprefix("--").replace("-", "_")
