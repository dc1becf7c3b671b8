"""Held-out bits per code of a prior, compared with n-gram baselines and with wrong labels.

Labels save at most their entropy, however long the music: n artists and genres save at most log2(n) / T bits per code
over T codes, on average and against the best prior without labels. That is next to nothing over thousands of codes,
since the style can be read from the first few. So the gain is measured over the first codes of segments separately.
Wrong labels may cost more than none, because they mislead. S segments of T codes.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
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
from jukectl.plots.charts import PALE, chart, codes_axis, label_panel
from jukectl.plots.style import colour
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.prior.vocabulary import Vocabulary
from jukectl.progress import Listener, Progress, ignore, warn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEGMENTS = 48  # per level, as in the validation of a training run
BEGINNINGS = (16, 64, 256)  # first codes of a segment over which the gain of labels is measured
MORE_BEGINNINGS = 2  # per whole segment: beginnings are short, so more places can be afforded
BATCH = 4  # of beginnings

STYLE = ("artist", "genres")
PLACE = ("total_length", "offset")

OTHER_LABELS = {  # labels compared with the true ones: their description and colour
    "shuffled": ("wrong artist and genre", colour(1)),
    "unlabelled": ("no artist and genre", colour(2)),
    "artist": ("wrong artist", colour(3)),
    "genre": ("wrong genre", colour(4)),
    "timing": ("wrong place in the song", "#be185d"),
}

RESAMPLES = 2_000  # of the bootstrap
CONFIDENCE = 95  # percent

Costs = NDArray[np.float64]  # (S, T) bits
Watch = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Bits per code that the true labels save, and the bootstrap interval of the mean over songs."""

    bits: float
    low: float | None  # None if all segments are of one song
    high: float | None

    def to_json(self, digits: int = 4) -> dict[str, float | None]:
        """Return the figures for JSON."""
        return {name: rounded(value, digits) for name, value in vars(self).items()}


@dataclass(frozen=True, eq=False, kw_only=True)
class PriorScore:
    """Bits of the same codes by a prior with true and other labels, and by the baselines."""

    true: Costs
    unigram: Costs
    bigram: Costs
    other: Mapping[str, Costs]  # by the name of the labels, without those that equal the true ones
    songs: NDArray[np.int64]  # (S,) song of each segment

    def gain(self, name: str, first: int | None = None) -> Gain | None:
        """Return what the true labels save against others over the first codes of segments; None if not scored.

        The comparison is paired: the same codes with both.
        """
        if name not in self.other:
            return None
        return gain_over_songs((self.other[name] - self.true)[:, :first].mean(axis=1), self.songs)


@dataclass(frozen=True, eq=False, kw_only=True)
class _LevelScores:
    """The scores of one level's prior."""

    whole: PriorScore  # whole segments
    heads: PriorScore | None  # the first codes of more segments; None if the context is no longer than that
    lengths: tuple[int, ...]  # those of BEGINNINGS that are shorter than the context
    styles: int  # artists and genres together in the training songs, which bounds the gain of labels

    def spans(self) -> Iterator[tuple[str, PriorScore, int | None]]:
        """Yield the name, the score and the number of first codes of each span that gains are measured over."""
        if self.heads is not None:
            yield from ((str(length), self.heads, length) for length in self.lengths)
        yield "all", self.whole, None


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
    """Measure the bits per code of each prior of a model on the held-out songs of a code folder.

    The same codes are scored by a unigram and a bigram counted in the other songs, and by the prior with the labels of
    other segments and with none. Segments are a full context each, spread evenly over the held-out songs. The first
    codes of more of them are scored with a wrong artist, a wrong genre and a wrong place in the song one by one. The
    levels are those of `among` that the model has. `plots` is a folder for pictures.
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
            "without --held-out the baselines are counted in the songs they are scored on, which flatters them",
        )
        held = kept
    _warn_of_unknown_labels(held, [folder.card.vocabulary_at(level) for level in levels], listener)
    scores = {level: _score_level(folder, encoded, kept, held, level, segments, listener) for level in levels}
    facts: dict[str, Any] = {
        "model": folder.card.name,
        "songs": len(held),
        "levels": {level.label: _level_facts(one) for level, one in scores.items()},
    }
    if plots is not None:
        unseen = " that it was not trained on" if held_out else ""
        figure = draw_prior(
            scores,
            title=f"Bits per code of the priors of {folder.card.name}",
            about=f"{segments} segments a level from {len(held)} songs{unseen}",
        )
        facts["plots"] = [save_plot(plots, "prior", figure)]
    return facts


def _warn_of_unknown_labels(held: Sequence[Track], vocabularies: Sequence[Vocabulary], listener: Listener) -> None:
    """Warn of artists and genres that no level of the model has: their songs are scored without them."""
    artists = {name for track in held if (name := track.artist.strip())}
    genres = {genre for track in held for genre in genres_of(track)}
    unknown = sorted(
        {name for name in artists if all(one.found_artist(name).unknown for one in vocabularies)}
        | {genre for genre in genres if all(one.found_tag(genre).unknown for one in vocabularies)}
    )
    if unknown:
        warn(listener, f"the model has no label for {', '.join(unknown)}: those songs are scored without that label")


def _score_level(
    folder: ModelFolder,
    encoded: EncodedSongs,
    kept: Sequence[Track],
    held: Sequence[Track],
    level: Level,
    segments: int,
    listener: Listener,
) -> _LevelScores:
    """Score the prior of a level and the baselines, on whole segments and on beginnings."""
    prior = folder.prior(level, CPU)
    config = prior.config
    vqvae, name = folder.fingerprint(VQVAE_PART), folder.card.name
    training = read_checked(encoded, kept, level, vqvae, whose=name)
    find_checked(encoded, held, level, vqvae, whose=name)
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
    whole, more = held_out.spread(segments), MORE_BEGINNINGS * segments
    lengths = tuple(length for length in BEGINNINGS if length < config.context)
    heads = beginnings(held_out.spread(more), lengths[-1], batch=BATCH) if lengths else []
    steps = len(whole) + len(heads)

    def watch(done: int) -> None:
        listener(Progress(f"scoring {level.label}", done, steps))

    on_whole = score(
        prior,
        whole,
        bigram,
        songs=held_out.spread_songs(segments),
        other=_other_labels(whole, ("shuffled",)),
        watch=watch,
    )
    on_heads = None
    if heads:
        names = [name for name in OTHER_LABELS if name != "timing" or config.timing]
        on_heads = score(
            prior,
            heads,
            bigram,
            songs=held_out.spread_songs(more),
            other=_other_labels(heads, names),
            watch=lambda done: watch(len(whole) + done),
        )
    styles = len({(track.artist, genres_of(track)) for track in kept})
    return _LevelScores(whole=on_whole, heads=on_heads, lengths=lengths, styles=styles)


def _other_labels(segments: Sequence[Segments], names: Sequence[str]) -> dict[str, list[LabelBatch] | None]:
    """Return no labels of artist and genre for segments, and those shuffled in the ways named as in OTHER_LABELS."""
    labels = [batch.labels for batch in segments]
    shuffled = {"shuffled": STYLE, "artist": ("artist",), "genre": ("genres",), "timing": PLACE}
    changed = {name: shuffle_labels(labels, shuffled[name]) for name in names if name in shuffled}
    return {**changed, "unlabelled": [batch.unlabelled() for batch in labels]}


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
    """Score a prior and both baselines on batches of segments, `songs` being the song of each segment.

    `other` has labels to give to the prior in place of the segments' own; None is left out. `watch` is called with the
    number of batches done.
    """
    scored = {name: labels for name, labels in other.items() if labels is not None}
    costs = defaultdict[str, list[Costs]](list)
    for number, batch in enumerate(segments):
        costs["true"].append(prior.bits(batch.codes, batch.labels, batch.upper).double().numpy())
        for name, labels in scored.items():
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
        other={name: whole[name] for name in scored},
        songs=np.asarray(songs),
    )


def beginnings(segments: Sequence[Segments], length: int, *, batch: int) -> list[Segments]:
    """Return the first codes of segments in batches; their labels and upper codes stay those of the whole segment."""
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
    """Concatenate batches of labels; a kind of label that is missing in the first is missing in all."""
    columns = {field.name: [getattr(batch, field.name) for batch in batches] for field in fields(LabelBatch)}
    return LabelBatch(**{name: torch.cat(parts) for name, parts in columns.items() if parts[0] is not None})


def shuffle_labels(
    batches: Sequence[LabelBatch], names: Sequence[str] = STYLE, *, seed: int = 0
) -> list[LabelBatch] | None:
    """Give every segment the named labels of another, never equal to its own; all other labels stay.

    Returns None if all segments have the same.
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
    """Return for each place a place with another label, None if all labels are equal.

    It is a permutation, so each label is given as often as it is true, unless one label has more than half of the
    places. Then the labels of the others are given to its places in turn.
    """
    groups = defaultdict(list)
    for place in generator.permutation(len(labels)):
        groups[labels[place]].append(int(place))
    if len(groups) < 2:
        return None
    largest = max(groups.values(), key=len)
    in_order = [place for group in groups.values() for place in group]
    if 2 * len(largest) <= len(labels):  # rotated by the size of the largest group, no place meets its own label
        given = in_order[len(largest) :] + in_order[: len(largest)]
    else:
        others = [place for place in in_order if place not in largest]
        in_order = largest + others
        given = [others[turn % len(others)] for turn in range(len(largest))] + largest[: len(others)]
    picks = dict(zip(in_order, given, strict=True))
    return [picks[place] for place in range(len(labels))]


def gain_over_songs(saved: NDArray[np.float64], songs: NDArray[np.int64]) -> Gain:
    """Return the mean of the bits saved per segment (S,), with its bootstrap interval over songs.

    Songs, not segments, are resampled, since the segments of a song have their labels in common.
    """
    different, places = np.unique(songs, return_inverse=True)
    sums, counts = np.bincount(places, saved), np.bincount(places)
    if len(different) < 2:
        return Gain(bits=float(saved.mean()), low=None, high=None)
    picks = np.random.default_rng(0).integers(len(different), size=(RESAMPLES, len(different)))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    low, high = np.percentile(means, [(100 - CONFIDENCE) / 2, (100 + CONFIDENCE) / 2])
    return Gain(bits=float(saved.mean()), low=float(low), high=float(high))


def _level_facts(scores: _LevelScores) -> dict[str, Any]:
    """Return the figures of a level for JSON."""
    whole = scores.whole
    shuffled = whole.other.get("shuffled")
    return {
        "bits": rounded(whole.true.mean()),
        "unigram_bits": rounded(whole.unigram.mean()),
        "bigram_bits": rounded(whole.bigram.mean()),
        "shuffled_bits": None if shuffled is None else rounded(shuffled.mean()),
        "unlabelled_bits": rounded(whole.other["unlabelled"].mean()),
        "codes": whole.true.size,
        "segments": len(whole.true),
        "by_length": {name: _span_facts(one, length, scores.styles) for name, one, length in scores.spans()},
    }


def _span_facts(score: PriorScore, length: int | None, styles: int) -> dict[str, Any]:
    """Return the figures over the first `length` codes of segments, or over all, for JSON."""
    gains = {name: score.gain(name, length) for name in OTHER_LABELS}
    return {
        "bits": rounded(score.true[:, :length].mean()),
        "unigram_bits": rounded(score.unigram[:, :length].mean()),
        "bigram_bits": rounded(score.bigram[:, :length].mean()),
        "segments": len(score.true),
        "most_gain": rounded(log2(styles) / (length or score.true.shape[1])),
        "gains": {name: None if gain is None else gain.to_json() for name, gain in gains.items()},
    }


def draw_prior(scores: Mapping[Level, _LevelScores], *, title: str, about: str) -> "Figure":
    """Draw a row per level: bits by position in the segment, and what true labels save."""
    both = [score for one in scores.values() for score in (one.whole, one.heads) if score is not None]
    names = [name for name in OTHER_LABELS if any(name in score.other for score in both)]
    key = [
        ("true labels", colour(0)),
        *(OTHER_LABELS[name] for name in names),
        ("unigram (dotted) and bigram (dashed)", PALE),
    ]
    with chart(title, about, rows=len(scores), columns=2, key=key) as (figure, panels):
        for row, (level, one) in enumerate(scores.items()):
            costs, gains = panels[2 * row : 2 * row + 2]
            name = f"{level.label.capitalize()}: bits by position in the segment"
            label_panel(costs, name, x="codes into the segment", y="bits per code")
            _draw_by_place(costs, one.whole)
            remark = f"with {CONFIDENCE} % intervals over songs"
            label_panel(gains, "Saved by true labels", remark, x="codes of the segment", y="bits per code saved")
            _draw_gains(gains, one, names)
    return figure


def _draw_by_place(axes: "Axes", score: PriorScore) -> None:
    """Draw the mean costs of stretches of the segment that get longer and longer."""
    lines = [
        (score.unigram, PALE, 1.3, ":"),
        (score.bigram, PALE, 1.3, "--"),
        (score.true, colour(0), 3.0, "-"),
        *((costs, OTHER_LABELS[name][1], 1.5, "--") for name, costs in score.other.items()),
    ]
    for costs, shade, width, dashes in lines:
        ends, means = by_place(costs)
        axes.plot(ends, means, color=shade, linewidth=width, linestyle=dashes)
    codes_axis(axes, ends.tolist())


def _draw_gains(axes: "Axes", scores: _LevelScores, names: Sequence[str]) -> None:
    """Draw a dot per span and kind of labels, with its interval."""
    spans = list(scores.spans())
    for place, (_, score, length) in enumerate(spans):
        for shift, name in zip(np.linspace(-0.25, 0.25, len(names)), names, strict=True):
            gain, shade = score.gain(name, length), OTHER_LABELS[name][1]
            if gain is None:
                continue
            axes.plot(place + shift, gain.bits, "o", markersize=5, color=shade)
            if gain.low is not None and gain.high is not None:
                axes.vlines(place + shift, gain.low, gain.high, color=shade, linewidth=1.8)
    axes.axhline(0, color=PALE, linewidth=0.8)
    axes.set_xticks(range(len(spans)), [name if length is None else f"first {name}" for name, _, length in spans])
    axes.set_xlim(-0.5, len(spans) - 0.5)


FIRST_STRETCH = 8  # codes


def by_place(costs: Costs) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the ends of stretches of segments (S, T) and their mean costs; each is as long as all before it."""
    length = costs.shape[1]
    ends = [min(length, FIRST_STRETCH)]
    while ends[-1] < length:
        ends.append(min(2 * ends[-1], length))
    means = [costs[:, start:end].mean() for start, end in zip([0, *ends], ends, strict=False)]
    return np.array(ends), np.array(means)
