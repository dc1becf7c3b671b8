"""`jukectl sample`."""

import typer

from jukectl.cli import options as o
from jukectl.cli.console import Watching, progress, warnings_only
from jukectl.cli.requests import build_request, show_estimate, show_rendered


def sample(
    context: typer.Context,
    out: o.Out,
    artist: o.Artist = None,
    genre: o.Genre = None,
    lyrics: o.Lyrics = None,
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
    """Make a new song from nothing, all the way to audio. The same command again resumes it.

    Example: jukectl sample --out my-song --artist Freedoom --genre Game --seconds 20
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
        return show_estimate(context, api.estimate_sample(out, request, listener=warnings_only(show)))
    with progress(context, show) as listener:
        result = api.sample(out, request, listener=listener)
    return show_rendered(context, result, show)
