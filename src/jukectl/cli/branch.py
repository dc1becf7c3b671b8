"""`jukectl branch`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli.console import progress, warnings_only
from jukectl.cli.options import THE_SONGS, OutBeside, SamplingOptions, SongLevels, option, sampling_command
from jukectl.cli.results import show_estimate, show_rendered
from jukectl.cli.values import parse_levels


@sampling_command(without=("midi", "midi_at", "seconds", "start_at", "ending", "levels", "plots"), shown=THE_SONGS)
def branch(
    context: typer.Context,
    song: Annotated[Path, typer.Argument(help="Song folder, finished or not.")],
    options: SamplingOptions,
    at: Annotated[
        float | None,
        option(
            "--at",
            "SECONDS",
            "Time from which the music is new, rounded down to a whole top code.",
            default="the end of the song",
        ),
    ] = None,
    sample: Annotated[int, option("--sample", "N", "Sample of the song to continue from, counted from 0.")] = 0,
    out: OutBeside = None,
    seconds: Annotated[
        float | None,
        option("--seconds", "SECONDS", "Length of the new music.", default="what the song has after --at, or 20"),
    ] = None,
    levels: SongLevels = None,
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
