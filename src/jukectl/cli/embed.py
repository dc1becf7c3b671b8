"""`jukectl embed`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import emit, progress


def embed(
    context: typer.Context,
    audio: Annotated[list[Path], typer.Argument(metavar="AUDIO...", help="Recordings: wav, flac, ogg, mp3 …")],
    out: Annotated[Path, o.option("--out", "FOLDER", "Folder for the embeddings.", callback=o.no_stream)] = Path(
        "embeddings"
    ),
    layer: Annotated[
        int | None, o.option("--layer", "N", "Layer of the top prior, counted from 1.", default="the middle one")
    ] = None,
    frames: Annotated[
        bool, o.flag("--frames", "Keep a vector for each code of the top level, not their mean.")
    ] = False,
    model: o.Model = None,
    device: o.Device = "auto",
    precision: o.Precision = "auto",
) -> None:
    """Describe recordings by a layer of the model: one vector each, or one for each code, in .npz files.

    Example: jukectl embed riff.wav --out embeddings
    """
    from jukectl import api

    request = api.Request(model=model, device=device, precision=precision)
    with progress(context) as listener:
        written = api.write_embeddings(audio, out, request, layer=layer, frames=frames, listener=listener)
    emit(context, written, {"embeddings": [str(path) for path in written]})
