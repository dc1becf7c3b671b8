"""Held-out bits a code of a prior, against n-gram baselines and against labels that are not the segment's own."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from jukectl.evaluation.baselines import Bigram
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.training.segments import Segments


@dataclass(frozen=True, kw_only=True)
class PriorScore:
    """Mean bits a code over the same codes, by four ways to tell them; less is better."""

    bits: float
    unigram_bits: float
    bigram_bits: float
    shuffled_bits: float | None  # with other artists and genres; None where all segments have the same
    codes: int  # how many were told
    segments: int


@torch.inference_mode()
def score(
    prior: Prior, segments: Sequence[Segments], bigram: Bigram, *, seed: int = 0, watch: Callable[[int], None]
) -> PriorScore:
    """Score a prior and both baselines on segments (one or more a batch); `watch` hears how many batches are done."""
    shuffled = shuffle_labels([batch.labels for batch in segments], seed=seed)
    bits, wrong, unigram_bits, bigram_bits = [], [], [], []
    for number, batch in enumerate(segments):
        bits.append(prior.bits(batch.codes, batch.labels, batch.upper).numpy())
        if shuffled is not None:
            wrong.append(prior.bits(batch.codes, shuffled[number], batch.upper).numpy())
        rows = batch.codes.numpy()
        unigram_bits.append(np.stack([bigram.unigram.bits(row) for row in rows]))
        bigram_bits.append(np.stack([bigram.bits(row) for row in rows]))
        watch(number + 1)
    return PriorScore(
        bits=_mean(bits),
        unigram_bits=_mean(unigram_bits),
        bigram_bits=_mean(bigram_bits),
        shuffled_bits=_mean(wrong) if wrong else None,
        codes=sum(batch.codes.numel() for batch in segments),
        segments=sum(len(batch.codes) for batch in segments),
    )


def shuffle_labels(batches: Sequence[LabelBatch], *, seed: int = 0) -> list[LabelBatch] | None:
    """The same batches, every segment with artist and genres of another, never equal to its own; timing stays.

    None where all segments have the same artist and genres.
    """
    artists = torch.cat([batch.artist for batch in batches])
    genres = torch.cat([batch.genres for batch in batches])
    labels = [(int(artist), tuple(row.tolist())) for artist, row in zip(artists, genres, strict=True)]
    picks = derangement(labels, np.random.default_rng(seed))
    if picks is None:
        return None
    sizes = [len(batch) for batch in batches]
    taken = zip(batches, torch.split(artists[picks], sizes), torch.split(genres[picks], sizes), strict=True)
    return [replace(batch, artist=artist, genres=genre) for batch, artist, genre in taken]


def derangement(labels: Sequence[Hashable], generator: np.random.Generator) -> list[int] | None:
    """For each place a place with another label, None where all labels are equal.

    As long as no label has more than half of the places it is a permutation, so that each label is given as often as
    it is true. Where one has, the labels of the others are given to its places in turn.
    """
    groups = defaultdict(list)
    for place in generator.permutation(len(labels)):
        groups[labels[place]].append(int(place))
    if len(groups) < 2:
        return None
    largest = max(groups.values(), key=len)
    in_order = [place for group in groups.values() for place in group]
    if 2 * len(largest) <= len(labels):  # moved on by the largest group, no place lands in its own
        given = in_order[len(largest) :] + in_order[: len(largest)]
    else:
        others = [place for place in in_order if place not in largest]
        in_order = largest + others
        given = [others[turn % len(others)] for turn in range(len(largest))] + largest[: len(others)]
    picks = dict(zip(in_order, given, strict=True))
    return [picks[place] for place in range(len(labels))]


def _mean(bits: Sequence[np.ndarray]) -> float:
    return float(np.concatenate([batch.ravel() for batch in bits]).mean(dtype=np.float64))
