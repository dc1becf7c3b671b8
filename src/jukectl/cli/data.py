"""`jukectl data`: from a music folder to a manifest, and from a manifest to codes."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli.app import App
from jukectl.cli.console import echo, emit, printable, progress, warn
from jukectl.cli.options import ALL_LEVELS, ANY_LEVELS, Model, flag, option
from jukectl.cli.values import parse_levels

app = App(help="Prepare music for training: scan a folder, encode it, transcribe its notes.", no_args_is_help=True)


@app.command()
def scan(
    context: typer.Context,
    music: Annotated[Path, typer.Argument(help="Folder of audio files, searched with its subfolders.")],
    out: Annotated[
        Path | None,
        option("--out", "FILE", "Manifest to write.", default="MUSIC/manifest.jsonl"),
    ] = None,
    held_out_share: Annotated[
        float, option("--held-out-share", "X", "Share of the songs to keep for validation.")
    ] = 0.1,
    keep_duplicates: Annotated[
        bool, flag("--keep-duplicates", "Keep every copy of a recording, not only the best one.")
    ] = False,
) -> None:
    """List the songs of a music folder with artist, genre and title from their tags, and split them for training.

    Lyrics are read from song.txt or song.lrc next to song.flac. A song.toml there overrides artist, genres, title and
    licence; its key song keeps versions of one song on the same side of the split, and skip = true leaves the file out.
    Run it again after adding songs: only new files are read, and no song changes sides.

    Example: jukectl data scan ~/Music/band

    Example: jukectl data scan ~/Music --out all.jsonl --held-out-share 0.05
    """
    from jukectl.data.scan import scan as scan_folder
    from jukectl.files import make_folder

    manifest_path = out or music / "manifest.jsonl"
    with progress(context) as listener:
        found = scan_folder(
            music, manifest_path, listener, held_out_share=held_out_share, keep_duplicates=keep_duplicates
        )
    make_folder(manifest_path.parent)
    found.manifest.save(manifest_path)
    for line in found.skipped:
        echo(printable(f"skipped: {line}"), err=True)
    for line in found.warnings:
        warn(line)
    for line in found.copies:
        echo(printable(f"{'duplicate' if keep_duplicates else 'left out'}: {line}"), err=True)
    tracks = found.manifest.tracks
    emit(
        context,
        [manifest_path],
        {
            "manifest": str(manifest_path),
            "songs": len(tracks),
            "seconds": round(sum(track.seconds for track in tracks), 1),
            "validation": sum(track.split == "validation" for track in tracks),
            "skipped": list(found.skipped),
            "warnings": list(found.warnings),
            "copies": list(found.copies),
        },
    )


@app.command()
def encode(
    context: typer.Context,
    manifest: Annotated[Path, typer.Argument(help="Manifest written by jukectl data scan.")],
    out: Annotated[
        Path | None,
        option("--out", "FOLDER", "Folder to write the codes to.", default="codes, next to the manifest"),
    ] = None,
    levels: Annotated[
        str,
        option("--levels", ANY_LEVELS, "Levels to encode. More can be added to the folder later."),
    ] = ALL_LEVELS,
    model: Model = None,
    part: Annotated[str, option("--part", "N/OF", "Encode one part of the songs: 2/4 is the second of four.")] = "1/1",
) -> None:
    """Encode the songs of a manifest to shards of codes. Run it again to resume.

    Several processes or machines can share the work with --part, into one folder or one each.

    Example: jukectl data encode ~/Music/band/manifest.jsonl

    Example: jukectl data encode manifest.jsonl --out codes --part 2/4
    """
    from jukectl import api

    folder = out or manifest.parent / "codes"
    with progress(context) as listener:
        result = api.encode_manifest(
            manifest,
            folder,
            levels=parse_levels(levels),
            model=model or "mini",
            part=api.Part.parse(part),
            listener=listener,
        )
    for line in result.skipped:
        echo(printable(f"skipped: {line}"), err=True)
    emit(context, [folder], {"codes": str(folder), "songs": result.encoded, "skipped": list(result.skipped)})


@app.command()
def transcribe(
    context: typer.Context,
    place: Annotated[
        Path,
        typer.Argument(metavar="MANIFEST|MUSIC", help="Manifest, or folder of audio files with its subfolders."),
    ],
) -> None:
    """Transcribe the notes of songs, and write song.mid next to each song.flac that has none. Run it again to resume.

    A prior learns from these files to follow notes: jukectl train prior RECIPE.toml --add-midi. A manifest is updated
    with them; for a folder, run jukectl data scan again.

    Example: jukectl data transcribe ~/Music/band/manifest.jsonl
    """
    from jukectl.data.transcribe import transcribe_songs

    with progress(context) as listener:
        result = transcribe_songs(place, listener=listener)
    for line in result.skipped:
        echo(printable(f"skipped: {line}"), err=True)
    written = [str(path) for path in result.written]
    emit(context, result.written, {"written": written, "there": result.there, "skipped": list(result.skipped)})
