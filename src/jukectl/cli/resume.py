"""`jukectl resume`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import progress, warn
from jukectl.cli.requests import build_request, show_rendered


def resume(
    context: typer.Context,
    song: Annotated[Path, typer.Argument(help="A song folder that was begun before.")],
    preview: o.Preview = "",
    loudness: o.Loudness = None,
    model: o.Model = None,
    adapter: o.Adapter = None,
    device: o.Device = "auto",
    precision: o.Precision = "auto",
    max_memory: o.MaxMemory = None,
    force: o.Force = False,
) -> None:
    """Finish whatever the song's recipe says is unfinished, at whatever level.

    Example: jukectl resume my-song
    """
    from jukectl import pipeline

    request = build_request(
        preview=preview,
        loudness=loudness,
        model=model,
        adapter=adapter,
        device=device,
        precision=precision,
        max_memory=max_memory,
        force=force,
    )
    with progress(context) as report:
        result = pipeline.resume(song, request, report=report, warn=warn)
    show_rendered(context, result)
