"""Held-out bits a code of a prior, against n-gram baselines and against labels that are not the segment's own.

What a label can tell of the music is at most its entropy, whatever the length: with n artists and genres it saves at
most log2(n) / T bits a code over T codes, on average and against the best prior without labels. Within a context of
thousands of codes that is next to nothing, since the music itself tells its style after the first few. So the gain of
labels is told for the first codes of a segment apart. Wrong labels may cost more than none: they mislead.
S segments of T codes.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray

from jukectl.evaluation.baselines import Bigram
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.training.segments import Segments

Costs = NDArray[np.float64]  # (S, T) bits

STYLE = ("artist", "genres")
PLACE = ("total_length", "offset")
DRAWS = 2_000  # of songs, for an interval
CONFIDENCE = 95  # percent


@dataclass(frozen=True, kw_only=True)
class Gain:
    """How many bits a code the true labels save, with the interval that holds the mean over songs in 95 % of cases."""

    bits: float
    low: float | None  # None where all segments are of one song
    high: float | None


@dataclass(frozen=True, eq=False, kw_only=True)
class PriorScore:
    """What each of the same codes costs, told in several ways."""

    true: Costs  # by the prior, with the segment's own labels
    unigram: Costs
    bigram: Costs
    other: Mapping[str, Costs]  # by the prior, with other labels, by their name; without those that would be the same
    songs: NDArray[np.int64]  # (S,) which song each segment is of

    def gain(self, name: str, first: int | None = None) -> Gain | None:
        """What the true labels save against others, over the first codes of each segment; None where there are none.

        Paired: the same codes in both. Songs, not segments, are drawn with replacement for the interval, since segments
        of a song have their labels in common.
        """
        if name not in self.other:
            return None
        return gain_over_songs((self.other[name] - self.true)[:, :first].mean(axis=1), self.songs)


def gain_over_songs(saved: NDArray[np.float64], songs: NDArray[np.int64]) -> Gain:
    """The mean of what is saved in each segment (S,), which are of these songs (S,), and its interval over songs."""
    numbers, places = np.unique(songs, return_inverse=True)
    sums, counts = np.bincount(places, saved), np.bincount(places)
    if len(numbers) < 2:
        return Gain(bits=float(saved.mean()), low=None, high=None)
    picks = np.random.default_rng(0).integers(len(numbers), size=(DRAWS, len(numbers)))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    low, high = np.percentile(means, [(100 - CONFIDENCE) / 2, (100 + CONFIDENCE) / 2])
    return Gain(bits=float(saved.mean()), low=float(low), high=float(high))


Watch = Callable[[int], None]


@torch.inference_mode()
def score(
    prior: Prior,
    segments: Sequence[Segments],
    bigram: Bigram,
    *,
    songs: Sequence[int],
    other: Mapping[str, Sequence[LabelBatch] | None],
    watch: Watch,
) -> PriorScore:
    """Score a prior and both baselines on segments (one or more a batch), of these songs.

    `other` are labels to tell the prior instead of the segments' own; None is left out. `watch` hears how many batches
    are done.
    """
    told = {name: labels for name, labels in other.items() if labels is not None}
    costs = defaultdict[str, list[Costs]](list)
    for number, batch in enumerate(segments):
        costs["true"].append(prior.bits(batch.codes, batch.labels, batch.upper).double().numpy())
        for name, labels in told.items():
            costs[name].append(prior.bits(batch.codes, labels[number], batch.upper).double().numpy())
        rows = batch.codes.numpy()
        costs["unigram"].append(np.stack([bigram.unigram.bits(row) for row in rows]))
        costs["bigram"].append(np.stack([bigram.bits(row) for row in rows]))
        watch(number + 1)
    whole = {name: np.concatenate(parts) for name, parts in costs.items()}
    return PriorScore(
        true=whole["true"],
        unigram=whole["unigram"],
        bigram=whole["bigram"],
        other={name: whole[name] for name in told},
        songs=np.asarray(songs),
    )


def beginnings(segments: Sequence[Segments], length: int, *, batch: int) -> list[Segments]:
    """The first codes of segments, that many to a batch; their labels and the codes above stay those of the whole."""
    groups = [segments[start : start + batch] for start in range(0, len(segments), batch)]
    return [
        Segments(
            torch.cat([one.codes[:, :length] for one in group]),
            None if group[0].upper is None else torch.cat([one.upper for one in group if one.upper is not None]),
            join_labels([one.labels for one in group]),
        )
        for group in groups
    ]


def join_labels(batches: Sequence[LabelBatch]) -> LabelBatch:
    """Several batches as one."""
    columns = {field.name: [getattr(batch, field.name) for batch in batches] for field in fields(LabelBatch)}
    # no lyrics are none for all of them
    return LabelBatch(**{name: torch.cat(parts) for name, parts in columns.items() if parts[0] is not None})


def shuffle_labels(
    batches: Sequence[LabelBatch], names: Sequence[str] = STYLE, *, seed: int = 0
) -> list[LabelBatch] | None:
    """The same batches, every segment with these labels of another, never equal to its own; all other labels stay.

    None where all segments have the same.
    """
    whole = {name: torch.cat([getattr(batch, name) for batch in batches]) for name in names}
    rows = torch.cat([column.reshape(len(column), -1) for column in whole.values()], dim=1).tolist()
    picks = derangement([tuple(row) for row in rows], np.random.default_rng(seed))
    if picks is None:
        return None
    sizes = [len(batch) for batch in batches]
    given = {name: torch.split(column[picks], sizes) for name, column in whole.items()}
    return [
        replace(batch, **{name: columns[number] for name, columns in given.items()})
        for number, batch in enumerate(batches)
    ]


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
