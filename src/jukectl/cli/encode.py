"""`jukectl encode`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import emit, progress, say


def encode(
    context: typer.Context,
    audio: Annotated[Path, typer.Argument(help="The recording: wav, flac, ogg, mp3 …")],
    out: o.Out,
    levels: Annotated[str, typer.Option("--levels", help="The levels to encode.")] = "top,middle,bottom",
    start: Annotated[float, typer.Option("--start", help="Where to begin, in seconds.")] = 0.0,
    seconds: Annotated[float | None, typer.Option("--seconds", help="How much to encode. [default: all]")] = None,
    model: o.Model = None,
    device: o.Device = "auto",
    overwrite: o.Overwrite = False,
) -> None:
    """Turn a recording into codes at all levels, in a song folder.

    Example: jukectl encode riff.wav --out riff-codes
    """
    from jukectl import api

    with progress(context) as listener:
        result = api.encode(
            audio,
            out,
            levels=o.parse_levels(levels),
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
