"""`jukectl plot`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import emit, progress
from jukectl.cli.next_steps import open_result


def plot(
    context: typer.Context,
    path: Annotated[Path, o.song_argument("Song folder, or audio file.")],
    out: Annotated[
        Path | None,
        o.option(
            "--out",
            "FILE",
            "Picture to write, .png or .svg.",
            default="SONG/plots/spectrogram.png, or next to the audio file",
        ),
    ] = None,
    dark: Annotated[bool, o.flag("--dark", "Draw light on dark.")] = False,
    sample: Annotated[int, o.option("--sample", "N", "Sample of a song to draw, counted from 0.", min=0)] = 0,
    model: o.Model = None,
    device: o.Device = "auto",
    force: o.Force = False,
    open: o.Open = False,  # noqa: A002
) -> None:
    """Draw the spectrogram of each level of a song, or the waveform and spectrogram of a recording.

    For a song with lyrics, plots/ also gets a picture of when each word is sung, and karaoke files.

    Example: jukectl plot my-song --dark
    """
    from jukectl.inspect import plot as plotting

    with progress(context) as listener:
        picture = plotting.plot(
            path, out=out, dark=dark, sample=sample, model=model, device=device, force=force, listener=listener
        )
        aligned = plotting.plot_lyrics(path, dark=dark, sample=sample, model=model, device=device, listener=listener)
    lyrics = {"lyrics": [str(one) for one in aligned]} if aligned else {}
    emit(context, [picture, *aligned], {"plot": str(picture), **lyrics})
    if open:
        open_result(picture)
