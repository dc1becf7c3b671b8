"""`jukectl decode`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import emit, progress
from jukectl.cli.next_steps import open_result, suggest
from jukectl.cli.outputs import STREAM, check_stdout, write_audio
from jukectl.codes.level import Level
from jukectl.errors import BadInput


def decode(
    context: typer.Context,
    song: Annotated[Path, o.song_argument("Song folder, or one of its .npz files.")],
    level: Annotated[
        str | None,
        o.option("--level", o.LEVEL, "Level to decode.", default="the finest that exists"),
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        str, o.option("--format", o.FORMATS, "Format of the audio files.")
    ] = "wav",
    sample: Annotated[
        int | None,
        o.option("--sample", "N", "Decode this sample alone, counted from 0.", default="all"),
    ] = None,
    out: Annotated[
        Path | None,
        o.option("--out", "-", "Also write the audio of one sample to stdout.", default="none"),
    ] = None,
    loudness: o.Loudness = None,
    match_loudness: o.MatchLoudness = True,
    fade: o.Fade = 0.0,
    model: o.Model = None,
    device: o.Device = "auto",
    force: o.Force = False,
    open: o.Open = False,  # noqa: A002
) -> None:
    """Turn codes into audio: the bottom level into audio/, an upper level into previews/.

    Example: jukectl decode my-song --level top --format flac
    """
    from jukectl import api

    if out not in (None, STREAM):
        raise BadInput("decode writes into the song's folder; --out takes - alone, for audio on stdout")
    if out == STREAM:
        check_stdout(context)
    with progress(context) as listener:
        paths = api.decode(
            song,
            api.Request(
                model=model, device=device, loudness=loudness, match_loudness=match_loudness, fade=fade, force=force
            ),
            level=Level.parse(level) if level else None,
            format=format,
            sample=sample,
            listener=listener,
        )
    if out == STREAM and len(paths) > 1:
        raise BadInput(f"--out - writes one song, and {song} has {len(paths)}: choose one with --sample")
    if out == STREAM:
        return write_audio(paths[0])
    emit(context, paths, {"song": str(song), "audio": [str(path) for path in paths]})
    suggest(context, ("play", song), ("branch", song))
    if open:
        open_result(paths[0])
    return None
