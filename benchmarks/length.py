"""Measure time and peak memory of `jukectl continue` by the length of the song, each length in a separate process.

    python benchmarks/length.py                        # 20, 60 and 180 seconds of new music with mini
    python benchmarks/length.py --seconds 10 40 --levels top --model my-model

Time should grow linearly with the song, and memory should not grow. The first row, of almost no music, is the start-up:
Python, libraries, the recording, the models.
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
    """Run a command; return its seconds and its peak memory in MB."""
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
    """Measure one length."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--model", given.model, "--levels", given.levels, "--seed", "7", "--prompt-seconds", "6"]
        options += ["--seconds", str(seconds), "--out", str(Path(folder) / "song"), *given.more]
        took, held = run([sys.executable, "-m", "jukectl", "--quiet", "continue", str(given.audio), *options])
    return {"music_seconds": seconds, "seconds": took, "peak_megabytes": held}


def options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="+", default=[20.0, 60.0, 180.0], help="of new music")
    parser.add_argument("--audio", type=Path, default=RIFF, help="the recording to continue")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--levels", default="top,middle,bottom")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--quick", action="store_true", help="check that it runs: one short piece of the top level")
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
