"""`jukectl resume`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import Watching, progress, warnings_only
from jukectl.cli.requests import build_request, show_estimate, show_rendered


def resume(
    context: typer.Context,
    song: Annotated[Path, typer.Argument(help="A song folder that was begun before.")],
    preview: o.Preview = "",
    loudness: o.Loudness = None,
    fade: o.Fade = 0.0,
    model: o.Model = None,
    adapter: o.Adapter = None,
    device: o.Device = "auto",
    precision: o.Precision = "auto",
    max_memory: o.MaxMemory = None,
    force: o.Force = False,
    dry_run: o.DryRun = False,
    show: o.ShowProgress = Watching.AUTO,
) -> None:
    """Finish whatever the song's recipe says is unfinished, at whatever level.

    Example: jukectl resume my-song
    """
    from jukectl import api

    request = build_request(
        preview=preview,
        loudness=loudness,
        fade=fade,
        model=model,
        adapter=adapter,
        device=device,
        precision=precision,
        max_memory=max_memory,
        force=force,
    )
    if dry_run:
        return show_estimate(context, api.estimate_resume(song, request, listener=warnings_only(show)))
    with progress(context, show) as listener:
        result = api.resume(song, request, listener=listener)
    return show_rendered(context, result, show)
