"""Fetch seven songs by an artist who is new to the built-in model: Kenta Cho, from Debian packages of his games (BSD).

Five are for training, and each of them is also played a little faster and slower, since five songs are few. Two
(held_out.txt) are for validation. Each has its tags beside it. Needs Debian 12; takes seconds:

    python examples/finetune/fetch_songs.py build/finetune/music
"""

import argparse
import hashlib
import subprocess
import tempfile
from pathlib import Path

import soundfile
import soxr

PACKAGES = {  # and the SHA-256 of the files that bookworm has of them
    "torus-trooper-data": "774d4134f57dd201ae89471b2d3fd1f0b7255dc0ceabcfe0d9e6c3e6b34499aa",
    "titanion-data": "8a291c78bbd2b48e932439aefa219243ea72095e5a92cabb69b54af4797e2008",
}
HELD_OUT = ("tt2.ogg", "ttn3.ogg")
SEMITONES = (-1.0, -0.5, 0.5, 1.0)  # higher is faster
TAGS = 'artist = "Kenta Cho"\ngenres = ["Electronic"]\nlicence = "BSD-2-Clause"\n'


def fetch(package: str, sha256: str, folder: Path) -> Path:
    """Download a package into `folder` and unpack it there; return the folder with its files."""
    subprocess.run(["apt-get", "download", package], cwd=folder, check=True, capture_output=True)
    archive = next(folder.glob(f"{package}_*.deb"))
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != sha256:
        raise SystemExit(f"{archive.name} is not the file this was written for: its SHA-256 is {found}")
    unpacked = folder / package
    subprocess.run(["dpkg-deb", "-x", archive, unpacked], check=True)
    return unpacked


def add_tags(song: Path) -> None:
    """Write the tags that the packages' files do not have."""
    song.with_suffix(".toml").write_text(TAGS, encoding="utf-8")


def play_at_other_speeds(song: Path) -> None:
    """Write copies of a song at other speeds beside it, each with its tags."""
    samples, rate = soundfile.read(song, dtype="float32")
    for semitones in SEMITONES:
        copy = song.with_name(f"{song.stem} {semitones:+g}.flac")
        other = soxr.resample(samples, rate, rate / 2 ** (semitones / 12)).clip(-1, 1)
        soundfile.write(copy, other, rate)
        add_tags(copy)


def main() -> None:
    """Put each song and its tags in place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for package, sha256 in PACKAGES.items():
            for song in fetch(package, sha256, Path(scratch)).rglob("musics/*.ogg"):
                place = out / song.name
                place.write_bytes(song.read_bytes())
                add_tags(place)
                if place.name not in HELD_OUT:
                    play_at_other_speeds(place)


if __name__ == "__main__":
    main()
