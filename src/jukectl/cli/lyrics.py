"""`jukectl lyrics`: when words are sung, and what a model is told of them."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import emit, progress, show_facts

app = typer.Typer(help="Find when words are sung, and see what a model is told of them.")


@app.command()
def align(
    context: typer.Context,
    audio: Annotated[Path, typer.Argument(help="The recording.")],
    text: Annotated[Path, typer.Argument(help="What is sung in it: plain text, or .lrc with times of lines.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write: .lrc, .vtt or .json.")],
    file_format: Annotated[
        str | None, typer.Option("--format", help="lrc, vtt or json. [default: by the name of --out]")
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option(
            "--separator",
            metavar="PATH|NAME",
            help="Weights of demucs: a file, a folder, or a name on the hub. [default: htdemucs from the hub]",
        ),
    ] = None,
    separate: Annotated[
        bool, typer.Option("--separate/--no-separate", help="Take the voice out of the mix first, by demucs.")
    ] = True,
    device: o.Device = "auto",
) -> None:
    """Find when each word of lyrics is sung in a recording, and write it down, for --lyrics and for karaoke.

    The voice is separated by demucs, and the words, which are English, are found in it by pocketsphinx: both come with
    pip install 'jukectl\\[align]'. A voice alone, or with little beside it, needs no separation. Lines in square
    brackets are headings. In an .lrc the words of each line are looked for near its time.

    Example: jukectl lyrics align song.flac words.txt --out song.lrc --no-separate
    """
    from jukectl.alignment.align import Separation, align_file

    with progress(context) as listener:
        found = align_file(
            audio,
            text,
            out,
            file_format=file_format,
            separation=Separation(separate, separator, device),
            listener=listener,
        )
    guessed = sum(word.guessed for word in found.lyrics.words)
    emit(context, [out], {"lyrics": str(out), "words": len(found.lyrics.words), "guessed": guessed})


@app.command()
def show(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The lyrics: plain text, or .lrc.")],
    model: o.Model = None,
    at: Annotated[
        float | None,
        typer.Option("--at", min=0, help="Show what the window is told in whose middle this second of the song is."),
    ] = None,
    song_seconds: Annotated[
        float | None, typer.Option("--song-seconds", help="Length of the song, over which plain text is spread.")
    ] = None,
) -> None:
    """Show what a model is told of lyrics: {é→e} is told otherwise, {♪→} is not told at all.

    Example: jukectl lyrics show song.lrc --model 1b-lyrics --at 12.5
    """
    from dataclasses import asdict

    from jukectl.inspect.lyrics import tell_lyrics

    about = tell_lyrics(file, model or "mini", at=at, song_seconds=song_seconds)
    lines = [
        about.marked.rstrip("\n"),
        "",
        f"{about.model} is told {len(about.told)} characters, {about.reads} a window.",
    ]
    if about.otherwise:
        lines.append("told otherwise: " + ", ".join(f"{one} as {told!r}" for one, told in about.otherwise.items()))
    if about.left_out:
        lines.append(f"not told, or not all of it: {', '.join(about.left_out)}")
    if about.window is not None:
        lines += ["", f"the window around {at:g} s:", about.window.strip("\n")]
    show_facts(context, asdict(about), lines)
