"""`jukectl lyrics`: the times of words, and the lyrics as a model reads them."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.app import App
from jukectl.cli.console import emit, progress, show_facts
from jukectl.cli.outputs import beside

app = App(help="Find when words are sung, and see lyrics as a model reads them.")


@app.command()
def align(
    context: typer.Context,
    audio: Annotated[Path, typer.Argument(help="Recording of the song.")],
    text: Annotated[Path, typer.Argument(help="Lyrics: plain text, or .lrc with times of lines.")],
    out: Annotated[
        Path | None,
        o.option("--out", "FILE", "File to write: .lrc, .vtt or .json.", default="next to AUDIO, a new name"),
    ] = None,
    file_format: Annotated[
        str | None,
        o.option("--format", "lrc|vtt|json", "Format of that file.", default="by its name, or lrc"),
    ] = None,
    separator: o.Separator = None,
    separate: Annotated[
        bool, o.flag("--separate/--no-separate", "Separate the voice from the mix first, with demucs.")
    ] = True,
    device: o.Device = "auto",
) -> None:
    """Find when each word of lyrics is sung in a recording, and write the times to a file for --lyrics or karaoke.

    demucs separates the voice from the mix, and pocketsphinx finds the words, which must be English. Both come with
    pip install 'jukectl\\[align]'. A recording of little but a voice needs no separation. Lines in square brackets are
    taken as headings. With an .lrc, the words of each line are searched near its time.

    Example: jukectl lyrics align song.flac words.txt --no-separate
    """
    from jukectl.alignment.align import Separation, align_file

    file = out or beside(audio, f".{file_format or 'lrc'}").next()
    with progress(context) as listener:
        found = align_file(
            audio,
            text,
            file,
            file_format=file_format,
            separation=Separation(separate, separator, device),
            listener=listener,
        )
    guessed = sum(word.guessed for word in found.lyrics.words)
    emit(context, [file], {"lyrics": str(file), "words": len(found.lyrics.words), "guessed": guessed})


@app.command()
def show(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Lyrics: plain text, or .lrc.")],
    model: o.Model = None,
    at: Annotated[
        float | None,
        o.option(
            "--at",
            "SECONDS",
            "Also show the characters that the window around this time reads.",
            default="not shown",
            min=0,
        ),
    ] = None,
    song_seconds: Annotated[
        float | None,
        o.option(
            "--song-seconds",
            "SECONDS",
            "Length of the song, over which plain text is spread.",
            default="none; --at needs it for plain text",
        ),
    ] = None,
) -> None:
    """Show lyrics as a model reads them. {é→e} marks a character that is replaced, {♪→} one that is left out.

    Example: jukectl lyrics show song.lrc --model 1b-lyrics --at 12.5
    """
    from jukectl.inspect.lyrics import preview_lyrics

    about = preview_lyrics(file, model or "mini", at=at, song_seconds=song_seconds)
    lines = [
        about.marked.rstrip("\n"),
        "",
        f"{about.model} reads {len(about.text)} characters, {about.window_size} in each window.",
    ]
    if about.replaced:
        lines.append("replaced: " + ", ".join(f"{one} by {other!r}" for one, other in about.replaced.items()))
    if about.dropped:
        lines.append(f"left out, at least in part: {', '.join(about.dropped)}")
    if about.window is not None:
        lines += ["", f"the window around {at:g} s:", about.window.strip("\n")]
    show_facts(context, about.to_json(), lines)
