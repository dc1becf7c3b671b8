"""`jukectl resume`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli.console import progress, warnings_only
from jukectl.cli.options import THE_SONGS, SamplingOptions, sampling_command, song_argument
from jukectl.cli.results import show_estimate, show_rendered

TAKEN = (
    *("model", "adapter", "preview", "loudness", "match_loudness", "fade", "format", "open", "force"),
    *("device", "precision", "threads", "max_memory", "dry_run", "show"),
)
"""Options of a song whose recipe holds all others."""


@sampling_command(only=TAKEN, shown=THE_SONGS)
def resume(
    context: typer.Context,
    song: Annotated[Path, song_argument("Song folder from an earlier run.")],
    options: SamplingOptions,
) -> None:
    """Finish a song from where it stopped, at every level that its recipe asks for.

    Example: jukectl resume my-song
    """
    from jukectl import api

    request = options.request()
    if options.dry_run:
        return show_estimate(context, api.estimate_resume(song, request, listener=warnings_only(options.show)))
    with progress(context, options.show) as listener:
        result = api.resume(song, request, listener=listener)
    return show_rendered(context, result, options)
