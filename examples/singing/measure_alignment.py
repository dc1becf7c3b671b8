"""Measure the errors of `jukectl lyrics align` on singing with known word times, beside those of an even spread.

Takes folders of songs as make_singing.py writes them, NAME.flac with NAME.json, or such files themselves. Even: the
characters spread over the whole recording, as for plain text; sung: over the part of it with singing.

    python examples/singing/measure_alignment.py build/singing/music/held-out
"""

import argparse
import json
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jukectl.alignment.song import align_text
from jukectl.alignment.sphinx import SphinxAligner
from jukectl.audio.io import load
from jukectl.audio.mix import resample, to_mono
from jukectl.lyrics import lrc


def errors(audio: Path, aligner: SphinxAligner) -> tuple[float, float, float]:
    """Return mean onset errors of a song's words in seconds: aligned, spread over all of it, over the sung part."""
    words = json.loads(audio.with_suffix(".json").read_text(encoding="utf-8"))
    truth = np.array([word["start"] for word in words])
    beside = audio.with_suffix(".lrc")
    lines = lrc.parse(beside.read_text(encoding="utf-8")).text if beside.exists() else None
    text = lines or " ".join(word["word"] for word in words)
    recording = load(audio)
    heard = resample(to_mono(recording.samples), recording.sample_rate, aligner.sample_rate)
    found = align_text(heard, aligner.sample_rate, text, aligner, lambda done, total: None)
    lengths = np.cumsum([0, *(len(word["word"]) + 1 for word in words)])
    even = lengths[:-1] / lengths[-1]
    spread = even * recording.seconds, truth[0] + even * (words[-1]["end"] - truth[0])
    times = np.array([word.start for word in found.lyrics.words]), *spread
    aligned, over_all, over_sung = (float(np.abs(one - truth).mean()) for one in times)
    return aligned, over_all, over_sung


def recordings(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        found = sorted(path.glob("*.flac")) if path.is_dir() else [path]
        yield from (one for one in found if one.with_suffix(".json").exists())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+", help="folders, or recordings with .json beside them")
    options = parser.parse_args()
    aligner, kinds = SphinxAligner(), defaultdict(list)
    for audio in recordings(options.paths):
        about = audio.with_suffix(".toml")
        tags = tomllib.loads(about.read_text(encoding="utf-8")) if about.exists() else {}
        kinds[", ".join(tags.get("genres", ["other"]))].append(errors(audio, aligner))
        print(audio.name, *(f"{one:.3f}" for one in kinds[", ".join(tags.get("genres", ["other"]))][-1]), flush=True)
    print("| songs | | aligned | worst song | even | sung |\n| --- | --- | --- | --- | --- | --- |")
    for kind, found in sorted(kinds.items()):
        aligned, even, sung = np.mean(found, axis=0)
        worst = max(one for one, _, _ in found)
        print(f"| {kind} | {len(found)} | {aligned:.3f} s | {worst:.3f} s | {even:.2f} s | {sung:.2f} s |")


if __name__ == "__main__":
    main()
