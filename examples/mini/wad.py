"""Freedoom's songs out of its Debian package, as a folder of scores."""

import csv
import struct
from collections.abc import Iterator
from pathlib import Path

import mido
from packages import FREEDOOM, unpack
from songs import written_whole

COLUMNS = (
    *("collection", "file", "composer", "title", "genre", "seconds", "bpm"),
    *("licence", "source_repo", "commit", "source_path"),
)


def midi_lumps(wad: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each MIDI file in a WAD: a 12-byte header, a directory of offset, size, 8-byte name."""
    _, count, directory = struct.unpack_from("<4sII", wad)
    for entry in range(directory, directory + 16 * count, 16):
        offset, size, name = struct.unpack_from("<II8s", wad, entry)
        if wad.startswith(b"MThd", offset):
            yield name.rstrip(b"\0").decode().removeprefix("D_"), wad[offset : offset + size]


def freedoom_songs(packages: Path) -> dict[str, bytes]:
    """Return MIDI files by the names of their lumps; a song that serves two maps is taken once."""
    wads = unpack(FREEDOOM, packages) / "usr/share/games/doom"
    names: dict[bytes, str] = {}
    for wad in ("freedoom1.wad", "freedoom2.wad"):
        for name, midi in midi_lumps((wads / wad).read_bytes()):
            names.setdefault(midi, name)
    return {name: midi for midi, name in names.items()}


def freedoom_scores(packages: Path) -> Path:
    """Return a folder of scores with Freedoom's songs, made on first use."""
    folder = packages / "freedoom-scores"
    if (folder / "manifest.tsv").exists():
        return folder
    rows = []
    for name, content in freedoom_songs(packages).items():
        file = f"d_{name.lower()}.mid"
        with written_whole(folder / "freedoom" / file) as part:
            part.write_bytes(content)
        midi = mido.MidiFile(folder / "freedoom" / file, clip=True)
        tempos = [message.tempo for track in midi.tracks for message in track if message.type == "set_tempo"]
        bpm = round(60e6 / tempos[0]) if tempos else 120
        source = ("BSD-3-Clause", FREEDOOM.name, FREEDOOM.version, f"{name}.lmp")
        rows.append(("freedoom", file, "", name, "Game", f"{midi.length:.1f}", bpm, *source))
    with written_whole(folder / "manifest.tsv") as part, part.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter="\t", quoting=csv.QUOTE_NONE, lineterminator="\n")
        writer.writerows([COLUMNS, *rows])
    return folder
