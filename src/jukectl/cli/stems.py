"""`jukectl stems`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import emit, progress
from jukectl.cli.next_steps import suggest
from jukectl.cli.outputs import beside
from jukectl.errors import BadInput


def stems(
    context: typer.Context,
    source: Annotated[Path, o.song_argument("Song folder, or an audio file.", "SONG|AUDIO")],
    sample: Annotated[
        int | None,
        o.option("--sample", "N", "Separate this sample of a song alone, counted from 0.", default="all"),
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        str, o.option("--format", o.FORMATS, "Format of the stems.")
    ] = "wav",
    separator: o.Separator = None,
    device: o.Device = "auto",
) -> None:
    """Separate the singing from the rest: vocals and accompaniment, which add up to the song.

    Those of a song go to its folder, audio/0-vocals.wav and audio/0-accompaniment.wav, those of a recording beside it.
    demucs separates them: pip install 'jukectl\\[stems]'. Its weights come from the hub, once.

    Example: jukectl stems my-song --format flac
    """
    from jukectl.alignment.stems import StemOptions, stems_of_recording, stems_of_song

    options = StemOptions(format, separator, device)
    with progress(context) as listener:
        if source.is_dir():
            written = stems_of_song(source, options, sample=sample, listener=listener)
        elif sample is not None:
            raise BadInput(f"{source} is no song folder, and --sample chooses a sample of one")
        else:
            written = stems_of_recording(source, beside(source, "").folder(1), options, listener=listener)
    emit(context, written, {"source": str(source), "stems": [str(path) for path in written]})
    suggest(context, ("play", written[0]))
