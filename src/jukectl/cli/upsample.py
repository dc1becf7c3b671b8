"""`jukectl upsample`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import Watching, progress, warnings_only
from jukectl.cli.requests import build_request, show_estimate, show_rendered
from jukectl.errors import BadInput


def upsample(
    context: typer.Context,
    song: Annotated[Path, typer.Argument(help="A song folder: with a recipe, or with a top.npz alone.")],
    sample: Annotated[
        int | None,
        typer.Option("--sample", help="One sample alone, counted from 0, in a folder of its own. [default: all]"),
    ] = None,
    since: Annotated[
        float | None,
        typer.Option("--from", help="Of a passage from this second on, in a folder of its own. [default: the start]"),
    ] = None,
    to: Annotated[
        float | None,
        typer.Option("--to", help="Up to this second; run it again without, and the rest is made. [default: the end]"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The folder for --sample and --from. [default: beside the song, called after it]"),
    ] = None,
    artist: o.Artist = None,
    genre: o.Genre = None,
    lyrics: o.Lyrics = None,
    schedule: Annotated[
        Path | None,
        typer.Option(
            "--schedule",
            metavar="FILE.toml",
            help="What changes at which second, for codes without a recipe: a song that was made here has its own. "
            "[default: the song's]",
        ),
    ] = None,
    seed: o.Seed = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    top_k: o.TopK = None,
    advance: o.Advance = None,
    guidance: o.Guidance = None,
    parallel: o.Parallel = None,
    preview: o.Preview = "",
    plots: o.Plots = False,
    loudness: o.Loudness = None,
    fade: o.Fade = 0.0,
    model: o.Model = None,
    adapter: o.Adapter = None,
    device: o.Device = "auto",
    precision: o.Precision = "auto",
    max_memory: o.MaxMemory = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make the middle and bottom levels again.")] = False,
    force: o.Force = False,
    dry_run: o.DryRun = False,
    show: o.ShowProgress = Watching.AUTO,
) -> None:
    """Fill in the levels that are missing or unfinished, then decode. Run it again to go on from where it stopped.

    Example: jukectl upsample my-song --sample 2 --to 20
    """
    from jukectl import api

    request = build_request(
        artist=artist,
        genre=genre,
        lyrics=lyrics,
        schedule=schedule,
        seed=seed,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        advance=advance,
        guidance=guidance,
        parallel=parallel,
        preview=preview,
        plots=plots,
        loudness=loudness,
        fade=fade,
        model=model,
        adapter=adapter,
        device=device,
        precision=precision,
        max_memory=max_memory,
        until=to,
        overwrite=overwrite,
        force=force,
    )
    if out is not None and sample is None and not since:
        raise BadInput("a song is upsampled in its own folder: --out goes with --sample or --from")
    if dry_run:
        if sample is not None or since:
            raise BadInput("--dry-run tells of all samples, from the start: leave --sample and --from out")
        return show_estimate(context, api.estimate_upsample(song, request, listener=warnings_only(show)))
    with progress(context, show) as listener:
        if since:
            result = api.upsample_passage(song, since, to, out, request, sample=sample, listener=listener)
        else:
            if sample is not None:
                song = api.pick(song, sample, out).song
            result = api.upsample(song, request, listener=listener)
    return show_rendered(context, result, show)
