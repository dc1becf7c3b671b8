"""`jukectl branch`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli.console import progress, warnings_only
from jukectl.cli.options import (
    THE_SONGS,
    OutBeside,
    SamplingOptions,
    SongLevels,
    option,
    sampling_command,
    song_argument,
)
from jukectl.cli.results import show_estimate, show_rendered


@dataclass(frozen=True, kw_only=True, eq=False)
class BranchOptions(SamplingOptions):
    """Options of a branch."""

    levels: SongLevels = None


@sampling_command(
    without=("midi", "midi_at", "start_at", "ending", "plots", "keep"),
    shown={**THE_SONGS, "seconds": "what the song has after --at, or 20"},
)
def branch(
    context: typer.Context,
    song: Annotated[Path, song_argument("Song folder, finished or not.")],
    options: BranchOptions,
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
) -> None:
    """Continue from a moment within a song: new samples that share its beginning, in the same or another style.

    Example: jukectl branch my-song --at 31.5 --samples 4 --genre Ambient --out my-song-again
    """
    from jukectl import api

    request = options.request()
    if options.dry_run:
        estimate = api.estimate_branch(song, at, out, request, sample=sample, listener=warnings_only(options.show))
        return show_estimate(context, estimate)
    with progress(context, options.show) as listener:
        result = api.branch(song, at, out, request, sample=sample, listener=listener)
    return show_rendered(context, result, options)
