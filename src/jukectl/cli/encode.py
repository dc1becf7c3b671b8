"""`jukectl encode`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import emit, progress, say
from jukectl.cli.next_steps import suggest
from jukectl.cli.outputs import STREAM, Destination, named_after, recording
from jukectl.cli.values import parse_levels
from jukectl.errors import BadInput


def encode(
    context: typer.Context,
    audio: Annotated[Path, typer.Argument(help="Recording to encode: wav, flac, ogg, mp3 …; - reads stdin.")],
    out: Annotated[
        Path | None,
        o.option(
            "--out",
            "FOLDER",
            "Song folder to write. A folder from an earlier run is resumed.",
            default="next to AUDIO: riff-codes, riff-codes-2 …",
        ),
    ] = None,
    resume_last: o.ResumeLast = False,
    levels: Annotated[str, o.option("--levels", o.ANY_LEVELS, "Levels to encode.")] = o.ALL_LEVELS,
    start: Annotated[float, o.option("--start", "SECONDS", "Time to begin at.")] = 0.0,
    seconds: Annotated[
        float | None,
        o.option("--seconds", "SECONDS", "Length of the part to encode.", default="all"),
    ] = None,
    model: o.Model = None,
    device: o.Device = "auto",
    overwrite: o.Overwrite = False,
) -> None:
    """Turn a recording into codes at every level, in a song folder.

    Example: jukectl encode riff.wav
    """
    from jukectl import api

    if out == STREAM:
        raise BadInput("codes are a folder, which cannot go to stdout: give --out a folder")
    place = Destination(out, named_after(context, audio, "codes"), resume_last)
    request = api.Request(model=model, device=device, overwrite=overwrite)
    with recording(audio) as path, place.folder(context, request) as folder, progress(context) as listener:
        result = api.encode(
            path,
            folder,
            request,
            levels=parse_levels(levels),
            start=start,
            seconds=seconds,
            listener=listener,
        )
    if not result.new:
        say(context, f"{result.song} is finished already: nothing to do.")
    emit(
        context,
        result.codes,
        {"song": str(result.song), "codes": [str(path) for path in result.codes], "new": result.new},
    )
    suggest(context, ("decode", result.song), ("branch", result.song), ("info", result.song))
