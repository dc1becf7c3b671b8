"""`jukectl continue`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import Watching, progress, warnings_only
from jukectl.cli.requests import build_request, show_estimate, show_rendered


def continue_(
    context: typer.Context,
    audio: Annotated[Path, typer.Argument(help="The recording to go on from: wav, flac, ogg, mp3 …")],
    out: o.Out,
    artist: o.Artist = None,
    genre: o.Genre = None,
    lyrics: o.Lyrics = None,
    prompt_seconds: Annotated[
        float,
        typer.Option("--prompt-seconds", help="How much of the recording to go on from, or all of a shorter one."),
    ] = 12.0,
    start: Annotated[
        float, typer.Option("--start", help="Where in the recording the prompt begins, in seconds.")
    ] = 0.0,
    midi: o.Midi = None,
    midi_at: o.MidiAt = 0.0,
    seconds: o.SecondsOrNotes = None,
    song_seconds: o.SongSeconds = None,
    start_at: o.StartAt = None,
    ending: o.Ending = False,
    schedule: o.Schedule = None,
    samples: o.Samples = 1,
    seed: o.Seed = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    top_k: o.TopK = None,
    advance: o.Advance = None,
    guidance: o.Guidance = None,
    parallel: o.Parallel = None,
    levels: o.Levels = "top,middle,bottom",
    preview: o.Preview = "",
    plots: o.Plots = False,
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
    """Continue a recording in a style: the song begins with the recording and goes on from it.

    Example: jukectl continue riff.wav --out my-song --artist Freedoom --genre Game --seconds 20
    """
    from jukectl import api

    request = build_request(
        artist=artist,
        genre=genre,
        lyrics=lyrics,
        midi=midi,
        midi_at=midi_at,
        seconds=seconds,
        song_seconds=song_seconds,
        start_at=start_at,
        ending=ending,
        schedule=schedule,
        samples=samples,
        seed=seed,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        advance=advance,
        guidance=guidance,
        parallel=parallel,
        levels=levels,
        preview=preview,
        plots=plots,
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
    if dry_run:
        estimate = api.estimate_continue(
            audio, out, request, start=start, prompt_seconds=prompt_seconds, listener=warnings_only(show)
        )
        return show_estimate(context, estimate)
    with progress(context, show) as listener:
        result = api.continue_(audio, out, request, start=start, prompt_seconds=prompt_seconds, listener=listener)
    return show_rendered(context, result, show)
