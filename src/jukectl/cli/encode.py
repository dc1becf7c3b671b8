"""`jukectl encode`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import emit, progress, say
from jukectl.cli.values import parse_levels


def encode(
    context: typer.Context,
    audio: Annotated[Path, typer.Argument(help="Recording to encode: wav, flac, ogg, mp3 …")],
    out: o.Out,
    levels: Annotated[str, typer.Option("--levels", metavar=o.ANY_LEVELS, help="Levels to encode.")] = o.ALL_LEVELS,
    start: Annotated[float, typer.Option("--start", metavar="SECONDS", help="Time to begin at.")] = 0.0,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", metavar="SECONDS", help="Length of the part to encode.", show_default="all"),
    ] = None,
    model: o.Model = None,
    device: o.Device = "auto",
    overwrite: o.Overwrite = False,
) -> None:
    """Turn a recording into codes at every level, in a song folder.

    Example: jukectl encode riff.wav --out riff-codes
    """
    from jukectl import api

    with progress(context) as listener:
        result = api.encode(
            audio,
            out,
            levels=parse_levels(levels),
            start=start,
            seconds=seconds,
            model=model or "mini",
            device=device,
            overwrite=overwrite,
            listener=listener,
        )
    if not result.new:
        say(context, f"{result.song} is finished already: nothing to do.")
    emit(
        context,
        result.codes,
        {"song": str(result.song), "codes": [str(path) for path in result.codes], "new": result.new},
    )
