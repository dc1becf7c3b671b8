"""A classifier of genre by log-mel statistics, trained in seconds: does a song sound as the genre it was asked for?

F features of a window, G genres.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from jukectl.evaluation.fd_mel import BANDS, HOP, SAMPLE_RATE, Frames

WINDOW = round(5 * SAMPLE_RATE / HOP)  # frames of a window: 5 s
STEP = WINDOW // 2  # frames between two windows
DECAY = 3e-3  # weight of the squared weights in the loss
ITERATIONS = 100

Features = NDArray[np.float32]


def features(frames: Frames) -> Features:
    """Return the features (windows, 3 BANDS) of a song: mean, deviation and mean absolute change of its mel bands.

    Windows are of 5 s, a new one each 2.5 s. What is shorter is one window.
    """
    starts = range(0, max(1, len(frames) - WINDOW + 1), STEP)
    windows = [frames[start : start + WINDOW] for start in starts]
    return np.stack(
        [
            np.concatenate(
                [
                    window[:, :BANDS].mean(axis=0),
                    window[:, :BANDS].std(axis=0),
                    np.abs(window[:, BANDS:]).mean(axis=0),
                ]
            )
            for window in windows
        ]
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class GenreClassifier:
    """Multinomial logistic regression on the features of windows; a song's genre is that of the mean logarithm."""

    genres: tuple[str, ...]  # G
    mean: Features  # (F,) of the features in training
    deviation: Features  # (F,)
    weights: Features  # (F + 1, G), the last row is the bias

    @classmethod
    def train(cls, songs: Sequence[Frames], genres: Sequence[str]) -> Self:
        """Train on songs and the genre of each. Every genre weighs the same, however many songs it has.

        The loss is convex, so that the result depends on the songs alone. Raises ValueError for less than two genres.
        """
        names = tuple(sorted(set(genres)))
        if len(names) < 2:
            raise ValueError(f"needs two genres or more, got {len(names)}")
        rows = [features(frames) for frames in songs]
        inputs = np.concatenate(rows)
        labels = np.repeat([names.index(genre) for genre in genres], [len(one) for one in rows])
        mean, deviation = inputs.mean(axis=0), inputs.std(axis=0) + 1e-6
        shares = np.bincount(labels, minlength=len(names))
        weights = _fit(
            torch.from_numpy((inputs - mean) / deviation),
            torch.from_numpy(labels),
            torch.from_numpy(len(labels) / (len(names) * shares)).float(),
        )
        return cls(genres=names, mean=mean, deviation=deviation, weights=weights.numpy())

    def classify(self, frames: Frames) -> str:
        """Return the genre that a song sounds like."""
        scaled = (features(frames) - self.mean) / self.deviation
        logits = torch.from_numpy(scaled @ self.weights[:-1] + self.weights[-1])  # (windows, G)
        return self.genres[int(F.log_softmax(logits, dim=1).mean(dim=0).argmax())]


def _fit(inputs: torch.Tensor, labels: torch.Tensor, class_weights: torch.Tensor) -> torch.Tensor:
    """Return weights (F + 1, G) that minimise the weighted cross-entropy of labels (n,) given inputs (n, F)."""
    weights = torch.zeros(inputs.shape[1] + 1, len(class_weights), requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = inputs @ weights[:-1] + weights[-1]
        total = F.cross_entropy(logits, labels, weight=class_weights) + DECAY * weights[:-1].square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach()


def balanced_accuracy(found: Sequence[str], genres: Sequence[str]) -> float:
    """Return the share of songs whose genre was recognised, the mean over genres, so that rare ones count as much."""
    hits = {genre: [one == genre for one, own in zip(found, genres, strict=True) if own == genre] for genre in genres}
    return float(np.mean([np.mean(found) for found in hits.values()]))
