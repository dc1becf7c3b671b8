"""Write the credits of the music: the [[sources]] of card.toml, and the table of docs/MINI.md.

A line for each collection and licence, with what there is of it in a music folder:

    python examples/mini/credits.py build/mini/music --card >> card.toml
    python examples/mini/credits.py build/mini/music --table
"""

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mutagen.flac import FLAC

GROOVE = "Groove MIDI Dataset by Gillick, Roberts, Engel, Eck and Bamman (Google)"
POLIFONIA = "Polifonia CRE corpus and Bill Black"

# Folder: what it is, who is to be credited
COLLECTIONS = {
    "naev": ("recordings from the game Naev", ""),
    "sectoid": ("recordings from the game Frets on Fire", "Sectoid (Carlos Viola Iborra)"),
    "kenta-cho": ("recordings from ten games", "Kenta Cho"),
    "k-pone": ("recordings from the game OpenClonk", "K-Pone (Martin Strohmeier)"),
    "freedoom": ("MIDI files of the game Freedoom", "Contributors to the Freedoom project"),
    "blasphemer": ("MIDI files of the game Blasphemer", "Contributors to the Blasphemer and Freedoom projects"),
    "openscore-lieder": ("songs for voice and piano", "OpenScore Lieder Corpus"),
    "openscore-quartets": ("string quartets", "OpenScore String Quartets"),
    "mutopia": ("rags, marches, hymns and folk tunes", "Mutopia Project"),
    "irish-cre": ("Irish dance tunes on one instrument", POLIFONIA),
    "band-irish": ("Irish dance tunes arranged for a band", f"{POLIFONIA}; drums: {GROOVE}"),
    "band-songs": ("old songs arranged for a band", f"OpenEWLD, songs in the public domain; drums: {GROOVE}"),
    "groove": ("drumming", GROOVE),
}
LICENCES = {
    "Public Domain": "public domain",
    "CC-BY Creative Commons Attribution 2.5": "CC-BY-2.5",
    "CC-BY-4.0 (README) / Unlicense (LICENSE.md)": "CC-BY-4.0",
    "public-domain melodies; drums CC-BY-4.0": "public domain, drums CC-BY-4.0",
}
FONTS = (
    ("fluid-soundfont-gm 3.1-5.3", "the sound font FluidR3 GM", "Frank Wen and contributors", "MIT"),
    (
        "musescore-general-soundfont 0.2.1-1",
        "the sound font MuseScore General",
        "S. Christian Collins and others",
        "MIT",
    ),
)


@dataclass(frozen=True)
class Credit:
    """One line: a collection under one licence."""

    title: str
    artist: str
    licence: str
    package: str  # or repository and commit
    songs: int = 0
    hours: float = 0.0


def song_of(path: Path) -> str:
    """Return what the renderings of one song have in common."""
    return re.sub(r" \((?!.*\().*\)$|--[^-].*$", "", path.stem)


def credits_of(music: Path) -> list[Credit]:
    """Return the credits of the FLAC files in a music folder, by their tags."""
    groups: dict[tuple[str, str, str, str], list[tuple[str, float]]] = defaultdict(list)
    for path in sorted(music.rglob("*.flac")):
        if path.name.startswith("."):
            continue
        audio = FLAC(path)
        folder = path.relative_to(music).parts[0]
        _, credited = COLLECTIONS[folder]
        licence = LICENCES.get(audio["license"][0], audio["license"][0])
        source = audio["source"][0].removeprefix(f"{folder} ")
        package = "Debian packages of the games" if folder == "kenta-cho" else source
        key = folder, credited or audio["artist"][0], licence, package
        groups[key].append((song_of(path), audio.info.length))
    return [*_lines(groups), *(Credit(title, artist, licence, package) for package, title, artist, licence in FONTS)]


def _lines(groups: dict[tuple[str, str, str, str], list[tuple[str, float]]]) -> Iterator[Credit]:
    for (folder, artist, licence, package), files in sorted(groups.items()):
        about, _ = COLLECTIONS[folder]
        songs, hours = len({song for song, _ in files}), sum(seconds for _, seconds in files) / 3600
        yield Credit(about, artist, licence, package, songs, hours)


def card(some: Iterable[Credit]) -> str:
    """Return the credits as tables of card.toml."""
    return "\n".join("[[sources]]\n" + "".join(_settings(one)) for one in some)


def _settings(one: Credit) -> Iterator[str]:
    for name in ("title", "artist", "licence", "package"):
        yield f"{name} = {json.dumps(getattr(one, name), ensure_ascii=False)}\n"


def table(some: Iterable[Credit]) -> str:
    """Return the credits as a table of Markdown."""
    heads = ["| music | credit | licence | source | songs | hours |", "| --- | --- | --- | --- | --- | --- |"]
    rows = [
        f"| {one.title} | {one.artist} | {one.licence} | {one.package} | {one.songs or ''} | {_hours(one)} |"
        for one in some
    ]
    return "\n".join([*heads, *rows]) + "\n"


def _hours(one: Credit) -> str:
    return f"{one.hours:.1f}" if one.hours else ""


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("music", type=Path)
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--card", dest="write", action="store_const", const=card, help="as tables for card.toml")
    form.add_argument("--table", dest="write", action="store_const", const=table, help="as a table for docs/MINI.md")
    options = parser.parse_args()
    print(options.write(credits_of(options.music)), end="")


if __name__ == "__main__":
    main()
