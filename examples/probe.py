"""Genres of recordings by a linear probe: embeddings of jukectl beside MFCCs, on recordings that are held out.

    jukectl data scan music
    python examples/probe.py music/manifest.jsonl

Both are fitted on the "train" songs of the manifest and measured on its "validation" songs. Of several genres the first
counts; recordings without one, and those of genres with few songs to learn from, are left out.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jukectl import Request, embed
from jukectl.audio import io, mix
from jukectl.data.manifest import Manifest, Track
from jukectl.librosa import load_librosa

RATE = 22_050  # Hz, for MFCCs
LEAST = 3  # recordings of a genre to learn from


def main() -> None:
    """Print the shares of held-out recordings whose genre is found, and that of the most frequent one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--layer", type=int)
    options = parser.parse_args()
    manifest = Manifest.load(options.manifest)
    learned, held_out = usable(*manifest.split(()))
    paths = [manifest.folder / track.path for track in (*learned, *held_out)]
    genres = np.array([track.genres[0] for track in (*learned, *held_out)])
    vectors = np.stack([one.array for one in embed(paths, Request(model=options.model), layer=options.layer)])
    print(f"{len(learned)} recordings to learn from, {len(held_out)} held out, {len(set(genres))} genres")
    for name, found in (("embedding", vectors), ("MFCC", np.stack([mfcc(path) for path in paths]))):
        print(f"{name}: {accuracy(found, genres, len(learned)):.3f}")
    (likeliest, _), *_ = Counter(genres[: len(learned)]).most_common(1)
    print(f"always {likeliest}: {(genres[len(learned) :] == likeliest).mean():.3f}")


def usable(learned: Sequence[Track], held_out: Sequence[Track]) -> tuple[list[Track], list[Track]]:
    """Return the recordings of genres that have enough to learn from."""
    counts = Counter(track.genres[0] for track in learned if track.genres)
    enough = {genre for genre, count in counts.items() if count >= LEAST}
    first, second = ([one for one in side if one.genres and one.genres[0] in enough] for side in (learned, held_out))
    if len(enough) < 2 or not second:
        raise SystemExit(f"two genres with {LEAST} songs to learn from, and songs held out, are needed")
    return first, second


def mfcc(path: Path) -> np.ndarray:
    """Return the means and standard deviations (40,) of 20 MFCCs of a recording."""
    samples = mix.to_mono(io.load(path, sample_rate=RATE).samples)
    found = load_librosa().feature.mfcc(y=samples, sr=RATE, n_mfcc=20)  # (20, frames)
    return np.concatenate([found.mean(axis=1), found.std(axis=1)])


def accuracy(vectors: np.ndarray, genres: np.ndarray, count: int) -> float:
    """Return the share of recordings after the first `count` whose genre a linear model of those finds."""
    from sklearn.linear_model import RidgeClassifierCV  # librosa brings scikit-learn along
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-2, 5, 15)))
    probe.fit(vectors[:count], genres[:count])
    return float(probe.score(vectors[count:], genres[count:]))


if __name__ == "__main__":
    main()
