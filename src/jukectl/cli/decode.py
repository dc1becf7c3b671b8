"""`jukectl decode`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import emit, progress
from jukectl.codes.level import Level


def decode(
    context: typer.Context,
    song: Annotated[Path, typer.Argument(help="A song folder, or one of its .npz files.")],
    level: Annotated[
        str | None, typer.Option("--level", help="top, middle or bottom. [default: the finest there is]")
    ] = None,
    format: Annotated[str, typer.Option("--format", help="wav, flac, ogg or mp3.")] = "wav",  # noqa: A002
    sample: Annotated[
        int | None, typer.Option("--sample", help="One sample alone, counted from 0. [default: all]")
    ] = None,
    loudness: o.Loudness = None,
    fade: o.Fade = 0.0,
    model: o.Model = None,
    device: o.Device = "auto",
    force: o.Force = False,
) -> None:
    """Turn codes into audio: the bottom level into audio/, an upper one into previews/.

    Example: jukectl decode my-song --level top --format flac
    """
    from jukectl import api

    with progress(context) as listener:
        paths = api.decode(
            song,
            level=Level.parse(level) if level else None,
            format=format,
            sample=sample,
            model=model,
            device=device,
            loudness=loudness,
            fade=fade,
            force=force,
            listener=listener,
        )
    emit(context, paths, {"song": str(song), "audio": [str(path) for path in paths]})
