"""Compare how likely the top codes of songs are under several labels: bits per code under each, and under none.

    python scripts/labels.py SONG SONG --labels "Sectoid|Metal" "Nikola Whallon|Ambient" --start 8 --stop 16

A label is an artist, a vertical bar and a genre; either may be a mixture. Fewer bits mean that the codes fit the label
better: all codes are scored in one window at their place in the song, conditioned on that label alone. Songs must fit
into the top prior's context. The output is the bits under the first label, and the difference under each other one, as
means over samples and codes with their standard errors over samples.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.errors import JukectlError
from jukectl.plan.conditioning import begun_samples, song_samples
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior


@torch.inference_mode()
def bits(song: Song, folder: ModelFolder, prior: Prior, label: str, first: int) -> np.ndarray:
    """Return the bits of the top codes of a song under a label, from the `first` on, (samples, codes)."""
    config, recipe, codes = prior.config, song.recipe(), song.codes(Level.TOP)
    if recipe is None or codes is None:
        raise JukectlError(f"{song.path} has no recipe, or no top codes")
    if codes.done > config.context:
        raise JukectlError(f"{song.path} has {codes.done} top codes, and {config.context} are read at once")
    artist, _, genre = label.partition("|")
    mixtures = folder.card.mixtures(Level.TOP, artist or None, (genre,) if genre else ())
    labels = LabelBatch.repeat(
        codes.samples,
        slots=config.genre_slots,
        total_length=song_samples(recipe.song_seconds, config),
        offset=begun_samples(recipe.start_at, config) + first * config.hop,
        sample_length=config.window_samples,
    ).styled(*([one] * codes.samples for one in mixtures))
    return prior.bits(torch.from_numpy(codes.array[:, first:].astype(np.int64)), labels).numpy()


def main() -> None:
    """Print a row for each song."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("songs", nargs="+", type=Path)
    parser.add_argument("--labels", nargs="+", required=True, metavar="ARTIST|GENRE")
    parser.add_argument("--start", type=float, default=0.0, help="seconds; codes before it are context, not counted")
    parser.add_argument("--stop", type=float, default=float("inf"), help="seconds")
    parser.add_argument("--apart", action="store_true", help="without the codes before START as context")
    parser.add_argument("--model", default="mini")
    options = parser.parse_args()
    folder = catalogue.find(options.model)
    prior = folder.prior(Level.TOP, torch.device("cpu"), torch.float32)
    second = prior.config.sample_rate / prior.config.hop
    start = round(options.start * second)
    stop = round(min(options.stop, prior.config.context / second) * second)
    labels = [*options.labels, "|"]
    names = [label.replace("|", ", ") if label != "|" else "no label" for label in labels]
    print(" | ".join(["song", names[0], *(f"more under {name}" for name in names[1:])]))
    skipped = start if options.apart else 0
    for path in options.songs:
        read = [bits(Song.open(path), folder, prior, label, skipped) for label in labels]
        first, *others = (each[:, start - skipped : stop - skipped].mean(axis=1) for each in read)
        print(" | ".join([path.name, shown(first), *(shown(other - first) for other in others)]))


def shown(values: np.ndarray) -> str:
    """Format the mean of values and its standard error."""
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{values.mean():.3f} ± {error:.3f}"


if __name__ == "__main__":
    main()
