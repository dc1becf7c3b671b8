"""Lines of a manifest as options: each line is parsed as a command line is, by the options of `SamplingOptions`."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jukectl.batch.manifest import SEPARATOR, Line, Manifest, Problem
from jukectl.cli.console import Console
from jukectl.cli.options import PromptSeconds, SamplingOptions, Start, option, sampling_command
from jukectl.errors import BadInput, JukectlError

if TYPE_CHECKING:
    from jukectl.batch.entries import Entry

OF_THE_BATCH = ("open", "dry_run", "show")
"""Options that hold for a batch as a whole."""

NO_COLUMNS = {*OF_THE_BATCH, "progress", "resume_last", "json", "quiet", "verbose", "workers"}
FILES = {"audio", "lyrics", "midi", "schedule", "adapter"}
"""Options whose files are looked for beside the manifest."""

TRUTHS = dict.fromkeys(("true", "yes", "1"), True) | dict.fromkeys(("false", "no", "0"), False)


@dataclass(frozen=True)
class Song:
    """Options of a line."""

    options: SamplingOptions
    audio: Path | None
    out: Path | None
    prompt_seconds: float
    start: float


@sampling_command(without=OF_THE_BATCH)
def song(
    context: typer.Context,
    options: SamplingOptions,
    audio: Annotated[Path | None, option("--audio", "FILE", "Recording to continue.")] = None,
    out: Annotated[Path | None, option("--out", "FOLDER", "Song folder.")] = None,
    prompt_seconds: PromptSeconds = 12.0,
    start: Start = 0.0,
) -> Song:
    """Return the options of a line."""
    return Song(options, audio, out, prompt_seconds, start)


@cache
def song_command() -> Any:
    """Return the command whose options are the columns of a manifest."""
    app = typer.Typer(add_completion=False)
    app.command()(song)
    return typer.main.get_command(app)


@dataclass
class Reader:
    """Reads the lines of a manifest, and collects every mistake in them."""

    manifest: Manifest
    folder: Path  # of songs without an absolute one
    defaults: Mapping[str, Any]  # values of options that lines do not have
    origins: Mapping[str, str]  # settings that the defaults come from
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def of(cls, context: typer.Context, manifest: Manifest, folder: Path, options: SamplingOptions) -> "Reader":
        """Return a reader that takes options of the batch, and settings, as defaults."""
        given = {
            name: value
            for name, value in context.params.items()
            if getattr(context.get_parameter_source(name), "name", "") in ("COMMANDLINE", "DEFAULT_MAP")
        }
        columns = {one.name for one in song_command().params} - {"out"}
        return cls(manifest, folder, {name: given[name] for name in given if name in columns}, options.origins)

    def entries(self) -> "Iterator[Entry]":
        """Yield the songs of lines without mistakes."""
        for number, line in enumerate(self.manifest.lines, 1):
            before = len(self.problems)
            try:
                entry = self._entry(number, line)
            except (JukectlError, OSError) as error:
                self._wrong(line, " ".join(str(error).split()))
            else:
                if entry is not None and len(self.problems) == before:
                    yield entry

    def _wrong(self, line: Line, text: str) -> None:
        problem = Problem(line.number, text)
        if problem not in self.problems:
            self.problems.append(problem)

    def _entry(self, number: int, line: Line) -> "Entry | None":
        from jukectl.batch.entries import Entry
        from jukectl.plan.prompt import Recording

        arguments = self._arguments(line)
        try:
            found = self._parsed([one for some in arguments.values() for one in some])
        except typer.TyperException:
            self._explain(line, arguments)
            return None
        request = found.options.request()
        if found.audio is None and (unused := {"prompt_seconds", "start"} & line.values.keys()):
            self._wrong(line, f"{_name(min(unused))} is for songs with a recording: add a column audio")
        recording = None if found.audio is None else Recording(found.audio, found.start, found.prompt_seconds)
        # without "..", which systems look up only in folders that exist
        out = Path(os.path.normpath(self.folder / (found.out or f"{number:04}")))
        return Entry(line.number, out, request, recording)

    def _arguments(self, line: Line) -> dict[str, list[str]]:
        """Return the arguments of each column."""
        known = {one.name: one for one in song_command().params}
        arguments = {}
        for column, value in line.values.items():
            if column not in known:
                self._unknown(line, column, known)
                continue
            try:
                arguments[column] = self._texts(known[column], value)
            except BadInput as error:
                self._wrong(line, str(error))
        return arguments

    def _unknown(self, line: Line, column: str, known: Mapping[str, Any]) -> None:
        """Report a column that is no option; in the first line of the file, if that names the columns."""
        if column in NO_COLUMNS:
            text = f"{_name(column)} is an option of the whole batch, not of a song"
        else:
            near = get_close_matches(column, known, n=1)
            text = f"there is no option {_name(column)}" + (f": did you mean {_name(near[0])}?" if near else "")
        self._wrong(replace(line, number=self.manifest.header or line.number), text)

    def _texts(self, parameter: Any, value: Any) -> list[str]:
        """Return the arguments that give an option a value. BadInput for a value of no use."""
        name = parameter.opts[0]
        if parameter.is_flag:
            truth = value if isinstance(value, bool) else TRUTHS.get(str(value).lower())
            if truth is None:
                raise BadInput(f"{name} is true or false, got {value!r}")
            return [name] if truth else list(parameter.secondary_opts)
        values = value if isinstance(value, list) else [value]
        if isinstance(value, str) and self.manifest.header and parameter.multiple:
            values = [one.strip() for one in value.split(SEPARATOR) if one.strip()]
        texts = [_text(name, one) for one in values]
        if len(texts) > 1 and not parameter.multiple:
            if parameter.name not in ("levels", "preview"):
                raise BadInput(f"{name} takes one value, got {len(texts)}")
            texts = [",".join(texts)]
        if parameter.name in FILES:
            texts = [str(self.manifest.path.parent / text) for text in texts]
        return [f"{name}={text}" for text in texts]

    def _parsed(self, arguments: list[str]) -> Song:
        """Return the options that arguments give, as a command line does."""
        command = song_command()
        context = command.make_context("song", arguments, obj=Console(), default_map=dict(self.defaults))
        with context:
            found: Song = command.invoke(context)
        sources = {one.name: context.get_parameter_source(one.name) for one in command.params}
        given = {name for name, source in sources.items() if getattr(source, "name", "") == "COMMANDLINE"}
        origins = {name: origin for name, origin in self.origins.items() if name not in given}
        return replace(found, options=replace(found.options, origins=origins))

    def _explain(self, line: Line, arguments: Mapping[str, list[str]]) -> None:
        """Report each column whose value cannot be parsed."""
        for some in arguments.values():
            try:
                self._parsed(some)
            except typer.TyperException as error:
                self._wrong(line, f"{error.format_message().rstrip('. ')}")


def _name(column: str) -> str:
    return "--" + column.replace("_", "-")


def _text(name: str, value: Any) -> str:
    """Return a value of JSON or TOML as an argument has it."""
    if isinstance(value, dict):
        return ",".join(f"{key}={_text(name, one)}" for key, one in value.items())
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadInput(f"{name} takes text or a number, got {value!r}")
    return str(value)
