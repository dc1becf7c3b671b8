"""Songs an hour of `jukectl batch` against a loop over `jukectl sample`, with the same codes.

    python benchmarks/many_songs.py --songs 64 --seconds 8 --alone 4

The loop is measured on the first `--alone` songs, one command each, and scaled to all of them.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from jukectl.codes.level import TOP_DOWN
from jukectl.codes.song import Song

GENRES = ("Game", "Piano", "Metal")


def run(*arguments: object) -> np.ndarray:
    """Run a command; return the seconds that it takes, and those of CPUs, which other programs change less."""
    began = time.perf_counter(), cpu_seconds()
    subprocess.run([sys.executable, "-m", "jukectl", "--quiet", *map(str, arguments)], check=True, capture_output=True)
    return np.array([time.perf_counter(), cpu_seconds()]) - began


def cpu_seconds() -> float:
    """Return the CPU seconds of all commands so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def same(one: Path, other: Path) -> bool:
    """Return True if two songs have the same codes."""
    pairs = [(Song(one).codes(level), Song(other).codes(level)) for level in TOP_DOWN]
    return all(a is not None and b is not None and (a.array == b.array).all() for a, b in pairs)


def main() -> None:
    """Measure both ways and print their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--alone", type=int, default=4, help="songs that are also made one by one")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--quick", action="store_true", help="show that it runs; measures nothing worth knowing")
    options = parser.parse_args()
    if options.quick:
        options.songs, options.seconds, options.alone = 3, 0.3, 1
    songs = [{"genre": GENRES[number % len(GENRES)], "seed": number} for number in range(options.songs)]
    common = ["--seconds", options.seconds, "--model", options.model]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        manifest = place / "songs.jsonl"
        manifest.write_text("".join(json.dumps(song) + "\n" for song in songs), encoding="utf-8")
        workers = [] if options.workers is None else ["--workers", options.workers]
        together = run("batch", manifest, *common, *workers)
        alone, equal = np.zeros(2), True
        for number, song in enumerate(songs[: options.alone], 1):
            out = place / "alone" / f"{number:04}"
            alone += run("sample", "--out", out, "--genre", song["genre"], "--seed", song["seed"], *common)
            equal &= same(out, place / "songs" / out.name)
    batch, loop = 3600 * options.songs / together, 3600 * options.alone / alone
    for number, hours in enumerate(("hour", "hour of a CPU")):
        ratio = batch[number] / loop[number]
        print(f"batch: {batch[number]:.1f} songs an {hours}; loop: {loop[number]:.1f}; {ratio:.2f} times as many")
    print("codes are equal" if equal else "codes DIFFER")
    if options.json:
        figures = {"songs": options.songs, "seconds": options.seconds, "workers": options.workers, "equal": equal}
        rates = {"batch_per_hour": list(batch), "loop_per_hour": list(loop)}  # of time, and of CPU time
        options.json.write_text(json.dumps(figures | rates))


if __name__ == "__main__":
    main()
