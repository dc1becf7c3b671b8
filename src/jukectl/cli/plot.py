"""`jukectl plot`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import emit, progress


def plot(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A song folder, or an audio file.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The picture, .png or .svg. [default: SONG/plots/spectrogram.png, or beside the audio file]",
        ),
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="Light on dark.")] = False,
    sample: Annotated[int, typer.Option("--sample", min=0, help="Which of a song's samples, counted from 0.")] = 0,
    model: o.Model = None,
    device: o.Device = "auto",
    force: o.Force = False,
) -> None:
    """Draw spectrograms of a song's levels under one another, or a recording's waveform and spectrogram.

    Of a song with lyrics it also tells when each word is sung, in plots/: a picture and karaoke files.

    Example: jukectl plot my-song --dark
    """
    from jukectl.inspect import plot as plotting

    with progress(context) as listener:
        picture = plotting.plot(
            path, out=out, dark=dark, sample=sample, model=model, device=device, force=force, listener=listener
        )
        told = plotting.plot_lyrics(path, dark=dark, sample=sample, model=model, device=device, listener=listener)
    lyrics = {"lyrics": [str(one) for one in told]} if told else {}
    emit(context, [picture, *told], {"plot": str(picture), **lyrics})
