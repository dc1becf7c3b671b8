"""`jukectl batch`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jukectl.batch.manifest import SUFFIXES, Manifest, Problem, example
from jukectl.cli.console import (
    ProgressStyle,
    console,
    echo,
    emit,
    json_line,
    printable,
    progress,
    say,
    show_facts,
    warnings_only,
)
from jukectl.cli.manifest import Reader
from jukectl.cli.options import SamplingOptions, flag, no_stream, option, sampling_command
from jukectl.errors import BadInput, SongsFailed
from jukectl.files import atomic_write

if TYPE_CHECKING:
    from jukectl.api import BatchEstimate, BatchResult
    from jukectl.batch.together import Outcome

DEFAULT = Path("songs.csv")


@sampling_command(without=("open",))
def batch(
    context: typer.Context,
    options: SamplingOptions,
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST", help=f"List of songs, one on each line: {', '.join(SUFFIXES)}. See docs/render-many.md."
        ),
    ] = DEFAULT,
    out: Annotated[
        Path | None,
        option(
            "--out",
            "FOLDER",
            "Folder for the songs and results.jsonl.",
            default="named after the manifest, next to it",
            callback=no_stream,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        option(
            "--workers",
            "N",
            "Processes that share the songs; each loads the model once.",
            default="one for each CPU core, or one for a GPU",
            min=1,
        ),
    ] = None,
    init: Annotated[bool, flag("--init", "Write an example of a manifest, and make no songs.")] = False,
) -> None:
    """Make every song in a list, many at a time. Run it again to resume.

    Each line has the options of one song, as columns; options given here hold for lines without them.

    Example: jukectl batch songs.csv --genre Game
    """
    if init:
        _write_example(context, manifest)
        return
    found = Manifest.read(manifest)
    folder = out or manifest.with_suffix("")
    reader = Reader.of(context, found, folder, options)
    entries = list(reader.entries())
    from jukectl import api

    problems = [*found.problems, *reader.problems, *api.check_entries(entries, to_estimate=options.dry_run)]
    if problems:
        _report(manifest, problems, options.show)
        many = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        raise BadInput(f"{many} in {manifest}: no song was begun")
    if options.dry_run:
        warnings = warnings_only(options.show)
        _show_estimate(context, api.estimate_batch(entries, folder, workers=workers, listener=warnings))
        return
    with progress(context, options.show) as listener:
        result = api.run_batch(entries, folder, workers=workers, listener=listener)
    _show_result(context, result, options.show)


def _write_example(context: typer.Context, path: Path) -> None:
    text = example(path)
    if path.exists():
        raise BadInput(f"{path} exists already: give another name, such as: jukectl batch --init my-songs.csv")
    with atomic_write(path) as file:
        file.write(text.encode())
    emit(context, [path], {"manifest": str(path)})
    say(context, f"Edit it, then run: jukectl batch {path}")


def _report(manifest: Path, problems: Iterable[Problem], style: ProgressStyle) -> None:
    """Print every mistake in a manifest on a line of stderr, in order."""
    for one in sorted(problems, key=lambda problem: problem.line):
        if style is ProgressStyle.JSON:
            json_line({"line": one.line, "error": one.text})
        else:
            where = f"{manifest}:{one.line}" if one.line else str(manifest)
            echo(printable(f"{where}: {one.text}"), err=True)


def _show_estimate(context: typer.Context, estimate: "BatchEstimate") -> None:
    """Print what the rest of a batch would take."""
    from jukectl.checkpoints.published import size
    from jukectl.plan.eta import duration

    if not estimate.unfinished:
        line = f"all {estimate.songs} songs are finished already: nothing to do."
    else:
        line = (
            f"{estimate.unfinished} of {estimate.songs} songs, {estimate.workers} at work: about "
            f"{duration(estimate.seconds)}, {size(estimate.disk_bytes)} on disk ({size(estimate.disk_free_bytes)} free)"
        )
    show_facts(context, estimate.to_dict(), [line])


def _show_result(context: typer.Context, result: "BatchResult", style: ProgressStyle) -> None:
    """Print the audio paths and a summary. SongsFailed if a song is not finished."""
    outcomes, failed = result.outcomes, result.failed
    facts: dict[str, Any] = {
        "songs": len(outcomes),
        "finished": len(outcomes) - len(failed),
        "failed": len(failed),
        "results": str(result.results),
    }
    emit(context, result.audio, facts)
    if not failed:
        if style is not ProgressStyle.JSON:
            seconds = sum(one.seconds * one.samples for one in outcomes)
            say(context, f"{len(outcomes)} songs, {seconds:.0f} s of music: {result.results}")
        return
    for one in failed:
        _show_failure(context, one, style)
    raise SongsFailed(
        f"{len(failed)} of {len(outcomes)} songs are not finished, see {result.results}. Resume with the same command"
    )


def _show_failure(context: typer.Context, failed: "Outcome", style: ProgressStyle) -> None:
    line, song, error = failed.entry.line, failed.entry.out, failed.error
    if style is ProgressStyle.JSON:
        json_line({"line": line, "song": str(song), "error": error})
        return
    if console(context).verbose and failed.details:
        echo(failed.details, err=True)
    echo(printable(f"line {line}, {song}: {error}"), err=True)
