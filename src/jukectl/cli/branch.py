"""`jukectl branch`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import Watching, progress, warnings_only
from jukectl.cli.pick import BesideOut
from jukectl.cli.requests import build_request, show_estimate, show_rendered


def branch(
    context: typer.Context,
    song: Annotated[Path, typer.Argument(help="A song folder, finished or not.")],
    at: Annotated[
        float | None,
        typer.Option("--at", help="Seconds from its start; down to a whole top code. [default: where it ends]"),
    ] = None,
    sample: Annotated[int, typer.Option("--sample", help="Which of its samples, counted from 0.")] = 0,
    out: BesideOut = None,
    artist: o.Artist = None,
    genre: o.Genre = None,
    lyrics: o.Lyrics = None,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", help="Seconds of new music. [default: what the song has after the cut, or 20]"),
    ] = None,
    song_seconds: o.SongSeconds = None,
    schedule: o.Schedule = None,
    samples: o.Samples = 1,
    seed: o.Seed = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    top_k: o.TopK = None,
    advance: o.Advance = None,
    guidance: o.Guidance = None,
    parallel: o.Parallel = None,
    levels: Annotated[
        str | None, typer.Option("--levels", help="Stop after these: top is the quick draft. [default: the song's]")
    ] = None,
    preview: o.Preview = "",
    loudness: o.Loudness = None,
    fade: o.Fade = 0.0,
    model: o.Model = None,
    adapter: o.Adapter = None,
    device: o.Device = "auto",
    precision: o.Precision = "auto",
    max_memory: o.MaxMemory = None,
    overwrite: o.Overwrite = False,
    force: o.Force = False,
    dry_run: o.DryRun = False,
    show: o.ShowProgress = Watching.AUTO,
) -> None:
    """Go on from within a song: new samples that begin as it does, up to the cut. Other labels steer them elsewhere.

    Example: jukectl branch my-song --at 31.5 --samples 4 --genre Ambient --out my-song-again
    """
    from jukectl import api

    request = build_request(
        artist=artist,
        genre=genre,
        lyrics=lyrics,
        song_seconds=song_seconds,
        schedule=schedule,
        samples=samples,
        seed=seed,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        advance=advance,
        guidance=guidance,
        parallel=parallel,
        preview=preview,
        loudness=loudness,
        fade=fade,
        model=model,
        adapter=adapter,
        device=device,
        precision=precision,
        max_memory=max_memory,
        overwrite=overwrite,
        force=force,
    )
    stages = o.parse_levels(levels) if levels is not None else None
    if dry_run:
        estimate = api.estimate_branch(
            song, at, out, request, sample=sample, seconds=seconds, levels=stages, listener=warnings_only(show)
        )
        return show_estimate(context, estimate)
    with progress(context, show) as listener:
        result = api.branch(song, at, out, request, sample=sample, seconds=seconds, levels=stages, listener=listener)
    return show_rendered(context, result, show)
