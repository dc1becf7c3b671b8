"""`jukectl branch`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli.console import progress, warnings_only
from jukectl.cli.options import LEVELS, THE_SONGS, OutBeside, SamplingOptions, sampling_command
from jukectl.cli.results import show_estimate, show_rendered
from jukectl.cli.values import parse_levels


@sampling_command(without=("midi", "midi_at", "seconds", "start_at", "ending", "levels", "plots"), shown=THE_SONGS)
def branch(
    context: typer.Context,
    song: Annotated[Path, typer.Argument(help="Song folder, finished or not.")],
    options: SamplingOptions,
    at: Annotated[
        float | None,
        typer.Option(
            "--at",
            metavar="SECONDS",
            help="Time from which the music is new, rounded down to a whole top code.",
            show_default="the end of the song",
        ),
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", help="Sample of the song to continue from, counted from 0.")
    ] = 0,
    out: OutBeside = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            metavar="SECONDS",
            help="Length of the new music.",
            show_default="what the song has after --at, or 20",
        ),
    ] = None,
    levels: Annotated[
        str | None,
        typer.Option(
            "--levels",
            metavar=LEVELS,
            help="Levels to make, coarse to fine; top alone is a quick draft.",
            show_default="the song's",
        ),
    ] = None,
) -> None:
    """Continue from a moment within a song: new samples that share its beginning, in the same or another style.

    Example: jukectl branch my-song --at 31.5 --samples 4 --genre Ambient --out my-song-again
    """
    from jukectl import api

    request = options.request()
    chosen = None if levels is None else parse_levels(levels)
    if options.dry_run:
        estimate = api.estimate_branch(
            song, at, out, request, sample=sample, seconds=seconds, levels=chosen, listener=warnings_only(options.show)
        )
        return show_estimate(context, estimate)
    with progress(context, options.show) as listener:
        result = api.branch(
            song,
            at,
            out,
            request,
            sample=sample,
            seconds=seconds,
            levels=chosen,
            listener=listener,
        )
    return show_rendered(context, result, options.show)
