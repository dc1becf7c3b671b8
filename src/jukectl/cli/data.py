"""`jukectl data`: a music folder to a manifest, and a manifest to codes."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli.console import emit, progress, warn
from jukectl.cli.options import Model, parse_levels

app = typer.Typer(help="Prepare music for training: scan a folder, encode it, hear its notes.", no_args_is_help=True)


@app.command()
def scan(
    context: typer.Context,
    music: Annotated[Path, typer.Argument(help="A folder of audio files, searched with all its subfolders.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The manifest to write. [default: MUSIC/manifest.jsonl]")
    ] = None,
    held_out_share: Annotated[
        float, typer.Option("--held-out-share", help="The share of songs to keep for validation.")
    ] = 0.1,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="List all copies of a recording, not only the best.")
    ] = False,
) -> None:
    """List the songs of a music folder, with artist, genre and title from their tags, and split them.

    Beside song.flac may lie its lyrics, song.txt or song.lrc, and song.toml, which overrides artist, genres, title and
    licence. Its key song ties versions of a song to one side of the split, and skip = true leaves the file out. Run it
    again when there are new songs: only they are heard, and none moves to the other side.

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
        typer.echo(f"skipped: {line}", err=True)
    for line in found.warnings:
        warn(line)
    for line in found.copies:
        typer.echo(f"{'duplicate' if keep_duplicates else 'left out'}: {line}", err=True)
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
    manifest: Annotated[Path, typer.Argument(help="A manifest, as jukectl data scan makes it.")],
    out: Annotated[Path, typer.Option("--out", help="The folder for the codes.")],
    levels: Annotated[
        str, typer.Option("--levels", help="The levels to encode. Others can be added to the folder later.")
    ] = "top,middle,bottom",
    model: Model = None,
    part: Annotated[
        str, typer.Option("--part", help="Encode a share of the songs only: 2/4 is the second of four.")
    ] = "1/1",
) -> None:
    """Encode the songs of a manifest to shards of codes. Run it again to go on from where it stopped.

    Several processes or machines share the work by --part; the folder may be the same, or one for each.

    Example: jukectl data encode ~/Music/band/manifest.jsonl --out codes

    Example: jukectl data encode manifest.jsonl --out codes --part 2/4
    """
    from jukectl import api

    with progress(context) as listener:
        result = api.encode_manifest(
            manifest,
            out,
            levels=parse_levels(levels),
            model=model or "mini",
            part=api.Part.parse(part),
            listener=listener,
        )
    for line in result.skipped:
        typer.echo(f"skipped: {line}", err=True)
    emit(context, [out], {"codes": str(out), "songs": result.encoded, "skipped": list(result.skipped)})


@app.command()
def transcribe(
    context: typer.Context,
    place: Annotated[
        Path,
        typer.Argument(metavar="MANIFEST|MUSIC", help="A manifest, or a folder of audio files with its subfolders."),
    ],
) -> None:
    """Write the notes that are heard in songs to song.mid beside song.flac, where there is none yet.

    A prior learns from them to follow notes: jukectl train prior RECIPE.toml --add-midi. A manifest names them then; of
    a folder make it again with jukectl data scan. Run it again to go on from where it stopped.

    Example: jukectl data transcribe ~/Music/band/manifest.jsonl
    """
    from jukectl.data.transcribe import transcribe_songs

    with progress(context) as listener:
        result = transcribe_songs(place, listener=listener)
    for line in result.skipped:
        typer.echo(f"skipped: {line}", err=True)
    written = [str(path) for path in result.written]
    emit(context, result.written, {"written": written, "there": result.there, "skipped": list(result.skipped)})
