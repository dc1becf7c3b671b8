"""Fetch seven songs of an artist the built-in model does not know: Kenta Cho, from Debian packages of his games (BSD).

Five are there to learn from, two (held_out.txt) to be judged by. Each has its tags beside it. Needs Debian 12; takes
seconds:

    python examples/finetune/fetch_songs.py build/finetune/music
"""

import argparse
import hashlib
import subprocess
import tempfile
from pathlib import Path

PACKAGES = {  # and the SHA-256 of the files that bookworm has of them
    "torus-trooper-data": "774d4134f57dd201ae89471b2d3fd1f0b7255dc0ceabcfe0d9e6c3e6b34499aa",
    "titanion-data": "8a291c78bbd2b48e932439aefa219243ea72095e5a92cabb69b54af4797e2008",
}
TAGS = 'artist = "Kenta Cho"\ngenres = ["Electronic"]\nlicence = "BSD-2-Clause"\n'


def fetch(package: str, sha256: str, folder: Path) -> Path:
    """Download a package into `folder` and unpack it there; where it is unpacked."""
    subprocess.run(["apt-get", "download", package], cwd=folder, check=True, capture_output=True)
    archive = next(folder.glob(f"{package}_*.deb"))
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != sha256:
        raise SystemExit(f"{archive.name} is not the file this was written for: its SHA-256 is {found}")
    unpacked = folder / package
    subprocess.run(["dpkg-deb", "-x", archive, unpacked], check=True)
    return unpacked


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
                place.with_suffix(".toml").write_text(TAGS, encoding="utf-8")


if __name__ == "__main__":
    main()
