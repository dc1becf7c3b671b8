"""What a song costs by its length: time and peak memory of `jukectl continue`, each length in a process of its own.

    python benchmarks/length.py                        # 20, 60 and 180 seconds of new music with mini
    python benchmarks/length.py --seconds 10 40 --levels top --model my-model

Both should speak for themselves: time that grows as the song does, memory that does not. The first line, of next to no
music, is what starting takes: Python, libraries, the recording, the models.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RIFF = Path(__file__).parents[1] / "examples/riff.wav"
SHORTEST = 0.1  # seconds of music


def run(command: list[str]) -> tuple[float, float]:
    """Seconds that a command takes, and the most memory that it ever held, in MB."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(command)}\n{said.read().decode()}")
    held = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # bytes there, KiB on Linux
    return time.perf_counter() - began, held / 1e6


def continued(seconds: float, given: argparse.Namespace) -> dict[str, Any]:
    """One length."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--model", given.model, "--levels", given.levels, "--seed", "7", "--prompt-seconds", "6"]
        options += ["--seconds", str(seconds), "--out", str(Path(folder) / "song"), *given.more]
        took, held = run([sys.executable, "-m", "jukectl", "--quiet", "continue", str(given.audio), *options])
    return {"music_seconds": seconds, "seconds": took, "peak_megabytes": held}


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="+", default=[20.0, 60.0, 180.0], help="of new music")
    parser.add_argument("--audio", type=Path, default=RIFF, help="what is continued")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--levels", default="top,middle,bottom")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--quick", action="store_true", help="does it run at all: one short piece of the top level")
    parser.add_argument("more", nargs="*", help="further options of jukectl continue, after --")
    return parser.parse_args()


def main() -> None:
    """Run each length, and print a Markdown table."""
    given = options()
    if given.quick:
        given.seconds, given.levels = [0.5], "top"
    print("| music (s) | time (s) | beyond starting, a second of music (s) | peak memory (MB) |")
    print("| ---: | ---: | ---: | ---: |")
    rows: list[dict[str, Any]] = []
    for seconds in [SHORTEST, *given.seconds]:
        row = continued(seconds, given)
        more = row["seconds"] - rows[0]["seconds"] if rows else 0.0
        each = f"{more / (seconds - SHORTEST):.3f}" if rows else "-"
        print(f"| {seconds:g} | {row['seconds']:.1f} | {each} | {row['peak_megabytes']:.0f} |", flush=True)
        rows.append(row)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
