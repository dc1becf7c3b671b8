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
from math import log2
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.data.encoded import EncodedSongs
from jukectl.data.manifest import Track
from jukectl.data.segments import Segments, SegmentSet, genres_of
from jukectl.errors import BadInput, BadModel
from jukectl.evaluation.baselines import Bigram
from jukectl.evaluation.inputs import CPU, find_checked, read_checked, rounded, save_plot, split_songs
from jukectl.plots.charts import Layout, codes_axis, colour
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.prior.vocabulary import Vocabulary
from jukectl.progress import Listener, Progress, ignore, warn

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


if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOLD = {  # other labels than the true ones: what they are called, and their colour
    "shuffled": ("wrong artist and genre", colour(1)),
    "unlabelled": ("no artist and genre", colour(2)),
    "artist": ("wrong artist", colour(3)),
    "genre": ("wrong genre", colour(4)),
    "timing": ("wrong place in the song", "#be185d"),
}
FIRST = 8  # codes of the first point


def draw_prior(
    scores: Mapping[Level, tuple[PriorScore, PriorScore | None]], lengths: Sequence[int], *, title: str, about: str
) -> "Figure":
    """A row a level, of whole segments and of the beginnings of more of them; gains over the first `lengths` codes."""
    layout = Layout(len(scores), 2, height=230)
    grey = layout.theme.pale
    told = [
        name for name in TOLD if any(name in one.other for pair in scores.values() for one in pair if one is not None)
    ]
    key = [("true labels", colour(0)), *(TOLD[name] for name in told), ("unigram (dotted) and bigram (dashed)", grey)]
    page = layout.page(title, about, key)
    for row, (level, (whole, heads)) in enumerate(scores.items()):
        axes = layout.panel(page, 2 * row, f"{level.label.capitalize()}: bits by place in the segment")
        for costs, shade, width, dashes in (
            (whole.unigram, grey, 1.3, ":"),
            (whole.bigram, grey, 1.3, "--"),
            (whole.true, colour(0), 3.0, "-"),
            *((costs, TOLD[name][1], 1.5, "--") for name, costs in whole.other.items()),
        ):
            places, means = by_place(costs)
            axes.plot(places, means, color=shade, linewidth=width, linestyle=dashes)
        codes_axis(axes, places.tolist())
        layout.name_axes(axes, "codes into the segment", "bits a code")
        axes = layout.panel(page, 2 * row + 1, "What true labels save", f"with {CONFIDENCE} % intervals over songs")
        spans = [(f"first {length}", heads, length) for length in lengths if heads is not None] + [("all", whole, None)]
        for place, (_, one, length) in enumerate(spans):
            for shift, name in zip(np.linspace(-0.25, 0.25, len(told)), told, strict=True):
                found = None if one is None else one.gain(name, length)
                if found is None:
                    continue
                axes.plot(place + shift, found.bits, "o", markersize=5, color=TOLD[name][1])
                if found.low is not None and found.high is not None:
                    axes.vlines(place + shift, found.low, found.high, color=TOLD[name][1], linewidth=1.8)
        axes.axhline(0, color=grey, linewidth=0.8)
        axes.set_xticks(range(len(spans)), [name for name, _, _ in spans])
        axes.set_xlim(-0.5, len(spans) - 0.5)
        layout.name_axes(axes, "codes of the segment", "bits a code saved")
    return page.figure


def by_place(costs: Costs) -> tuple[np.ndarray, np.ndarray]:
    """Where stretches of segments (S, T) end, FIRST codes and then each as long as all before, and their mean costs."""
    length = costs.shape[1]
    ends = [min(length, FIRST)]
    while ends[-1] < length:
        ends.append(min(2 * ends[-1], length))
    means = [costs[:, start:end].mean() for start, end in zip([0, *ends], ends, strict=False)]
    return np.array(ends), np.array(means)


SEGMENTS = 48  # that a prior is judged on; as many as validation in training has
BEGINNINGS = (16, 64, 256)  # first codes of a segment, over which the gain of labels is told apart
MORE_BEGINNINGS = 2  # for each whole segment: they are short, and from more places
BATCH = 4  # of beginnings


@dataclass(frozen=True, eq=False, kw_only=True)
class _Judged:
    """A level's prior."""

    whole: PriorScore  # whole segments
    heads: PriorScore | None  # the first codes of more segments; None where the context is no longer than that
    lengths: tuple[int, ...]  # of BEGINNINGS, those shorter than the context
    styles: int  # artists and genres together that came in training: how much labels can tell


def evaluate_prior(
    codes: Path,
    *,
    model: str = catalogue.EMBEDDED,
    held_out: Path | None = None,
    among: Sequence[Level] = TOP_DOWN,
    segments: int = SEGMENTS,
    plots: Path | None = None,
    listener: Listener = ignore,
) -> dict[str, Any]:
    """What a code costs each prior of a model, in bits, on the held-out songs of a code folder.

    Beside it, on the very same codes: a unigram and a bigram counted in the other songs, and the prior itself without
    artist and genre, and with those of other segments. Segments are a full context each, spread evenly over the
    held-out songs; the first codes of more of them tell what labels save before the music tells its style, for a wrong
    artist, a wrong genre and, at the top, a wrong place in the song apart. Levels are those of `among` that the model
    has. `plots` is a folder for pictures.
    """
    if segments < 1:
        raise BadInput(f"--segments is 1 or more, got {segments}")
    folder = catalogue.find(model)
    levels = [level for level in among if level in folder.card.priors and folder.has(level.label)]
    if not levels:
        named = ", ".join(level.label for level in among)
        raise BadModel(f"the model {folder.card.name} has no priors to evaluate at the levels {named}")
    encoded, kept, held = split_songs(codes, held_out)
    if held_out is None:
        warn(
            listener,
            "without --held-out the baselines are counted in the very songs they are scored on, which flatters them",
        )
        held = kept
    _warn_of_unknown_labels(held, [folder.card.vocabulary_at(level) for level in levels], listener)
    judged = {level: _judge(folder, encoded, kept, held, level, segments, listener) for level in levels}
    facts: dict[str, Any] = {
        "model": folder.card.name,
        "songs": len(held),
        "levels": {level.label: _figures(one) for level, one in judged.items()},
    }
    if plots is not None:
        figure = draw_prior(
            {level: (one.whole, one.heads) for level, one in judged.items()},
            next(iter(judged.values())).lengths,
            title=f"What the next code costs the priors of {folder.card.name}",
            about=f"{segments} segments a level from {len(held)} songs it has not heard"
            if held_out
            else f"{segments} segments a level from {len(held)} songs",
        )
        facts["plots"] = [save_plot(plots, "prior", figure)]
    return facts


def _judge(
    folder: ModelFolder,
    encoded: EncodedSongs,
    kept: Sequence[Track],
    held: Sequence[Track],
    level: Level,
    segments: int,
    listener: Listener,
) -> _Judged:
    prior = folder.prior(level, CPU)
    config = prior.config
    here, name = folder.fingerprint(VQVAE_PART), folder.card.name
    training = read_checked(encoded, kept, level, here, whose=name)
    find_checked(encoded, held, level, here, whose=name)
    held_out = SegmentSet.load(
        encoded,
        held,
        level,
        folder.card.vocabulary_at(level),
        context=config.context,
        ratio=config.ratio,
        slots=config.genre_slots,
    )
    bigram = Bigram.fit(training, config.codebook_size)
    whole = held_out.spread(segments)
    labels = [batch.labels for batch in whole]
    lengths = tuple(length for length in BEGINNINGS if length < config.context)
    short = beginnings(held_out.spread(MORE_BEGINNINGS * segments), lengths[-1], batch=BATCH) if lengths else []
    steps = len(whole) + len(short)
    on_whole = score(
        prior,
        whole,
        bigram,
        songs=held_out.spread_songs(segments),
        other={"shuffled": shuffle_labels(labels), "unlabelled": [batch.unlabelled() for batch in labels]},
        watch=lambda done: listener(Progress(f"scoring {level.label}", done, steps)),
    )
    on_heads = None
    if short:
        labels = [batch.labels for batch in short]
        on_heads = score(
            prior,
            short,
            bigram,
            songs=held_out.spread_songs(MORE_BEGINNINGS * segments),
            other={
                "shuffled": shuffle_labels(labels, STYLE),
                "unlabelled": [batch.unlabelled() for batch in labels],
                "artist": shuffle_labels(labels, ("artist",)),
                "genre": shuffle_labels(labels, ("genres",)),
                "timing": shuffle_labels(labels, PLACE) if config.timing else None,
            },
            watch=lambda done: listener(Progress(f"scoring {level.label}", len(whole) + done, steps)),
        )
    styles = len({(track.artist, genres_of(track)) for track in kept})
    return _Judged(whole=on_whole, heads=on_heads, lengths=lengths, styles=styles)


def _figures(judged: _Judged) -> dict[str, Any]:
    """What is told of a level."""
    whole, heads = judged.whole, judged.heads
    spans = [(str(length), heads, length) for length in judged.lengths if heads is not None] + [("all", whole, None)]
    shuffled = whole.other.get("shuffled")
    return {
        "bits": rounded(whole.true.mean()),
        "unigram_bits": rounded(whole.unigram.mean()),
        "bigram_bits": rounded(whole.bigram.mean()),
        "shuffled_bits": None if shuffled is None else rounded(shuffled.mean()),
        "unlabelled_bits": rounded(whole.other["unlabelled"].mean()),
        "codes": whole.true.size,
        "segments": len(whole.true),
        "by_length": {
            name: {
                "bits": rounded(one.true[:, :length].mean()),
                "unigram_bits": rounded(one.unigram[:, :length].mean()),
                "bigram_bits": rounded(one.bigram[:, :length].mean()),
                "segments": len(one.true),
                "most_gain": rounded(log2(judged.styles) / (length or one.true.shape[1])),
                "gains": {
                    other: _gain(one.gain(other, length))
                    for other in ("shuffled", "unlabelled", "artist", "genre", "timing")
                },
            }
            for name, one, length in spans
            if one is not None
        },
    }


def _gain(gain: Gain | None) -> dict[str, float | None] | None:
    if gain is None:
        return None
    return {"bits": rounded(gain.bits), "low": rounded(gain.low), "high": rounded(gain.high)}


def _warn_of_unknown_labels(held: Sequence[Track], sets: Sequence[Vocabulary], listener: Listener) -> None:
    """Say which artists and genres no level of the model was ever told of: their songs go without."""
    artists = {name for track in held if (name := track.artist.strip())}
    genres = {genre for track in held for genre in genres_of(track)}
    unknown = sorted(
        {name for name in artists if all(one.found_artist(name).unknown for one in sets)}
        | {genre for genre in genres if all(one.found_tag(genre).unknown for one in sets)}
    )
    if unknown:
        warn(listener, f"the model does not know {', '.join(unknown)}: those songs are scored without that label")
