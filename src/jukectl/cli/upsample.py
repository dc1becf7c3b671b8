"""`jukectl upsample`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli.console import progress, warnings_only
from jukectl.cli.options import THE_SONGS, SamplingOptions, flag, no_stream, option, sampling_command, song_argument
from jukectl.cli.results import show_estimate, show_rendered
from jukectl.errors import BadInput


@dataclass(frozen=True, kw_only=True, eq=False)
class UpsamplingOptions(SamplingOptions):
    """Options of the song whose lower levels are made."""

    schedule: Annotated[
        Path | None,
        option(
            "--schedule",
            "FILE.toml",
            "Changes at given times, for codes without a recipe; a song made by jukectl keeps its own.",
        ),
    ] = None
    overwrite: Annotated[bool, flag("--overwrite", "Make the middle and bottom levels again.")] = False


@sampling_command(
    without=("midi", "midi_at", "seconds", "song_seconds", "start_at", "ending", "samples", "keep", "levels"),
    shown=THE_SONGS,
)
def upsample(
    context: typer.Context,
    song: Annotated[Path, song_argument("Song folder, with a recipe or just a top.npz.")],
    options: UpsamplingOptions,
    sample: Annotated[
        int | None,
        option("--sample", "N", "Upsample this sample alone, counted from 0, in a new folder.", default="all samples"),
    ] = None,
    since: Annotated[
        float | None,
        option("--from", "SECONDS", "Upsample from this time on, in a new folder.", default="the beginning"),
    ] = None,
    to: Annotated[
        float | None,
        option("--to", "SECONDS", "Stop at this time. Running again without it makes the rest.", default="the end"),
    ] = None,
    out: Annotated[
        Path | None,
        option(
            "--out",
            "FOLDER",
            "New folder of --sample or --from.",
            default="next to the song, named after it",
            callback=no_stream,
        ),
    ] = None,
) -> None:
    """Make the levels that are missing or unfinished, then decode them. Run it again to resume.

    Example: jukectl upsample my-song --sample 2 --to 20
    """
    from jukectl import api

    request = options.request(until=to)
    if out is not None and sample is None and not since:
        raise BadInput("a song is upsampled in its own folder: --out goes with --sample or --from")
    if options.dry_run:
        if sample is not None or since:
            raise BadInput("--dry-run estimates all samples from the beginning: leave --sample and --from out")
        return show_estimate(context, api.estimate_upsample(song, request, listener=warnings_only(options.show)))
    with progress(context, options.show) as listener:
        if since:
            result = api.upsample_passage(song, since, to, out, request, sample=sample, listener=listener)
        else:
            if sample is not None:
                song = api.pick(song, sample, out).song
            result = api.upsample(song, request, listener=listener)
    return show_rendered(context, result, options)
