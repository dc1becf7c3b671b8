"""What lyrics save a prior in bits a code, and how near its attention comes to when words are sung.

Right lyrics are compared with those of another song, cut or repeated to as many characters, so that how much is sung
tells nothing; and with none. S segments of T codes.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from jukectl.codes.level import Level
from jukectl.data.segments import Segments, SegmentSet, with_other_lyrics
from jukectl.errors import BadInput, BadModel
from jukectl.evaluation.inputs import find_checked, rounded, save_plot, split_songs
from jukectl.evaluation.prior import Costs, Gain, gain_over_songs
from jukectl.lyrics.tokens import TokenWord
from jukectl.plots.charts import Layout, colour
from jukectl.prior.lyric_attention import attention_of, attentions_of, hearing_layers, mass_near, word_onsets
from jukectl.prior.model import Prior
from jukectl.progress import Listener, Progress, ignore, warn
from jukectl.training.starting import PriorStart, find_prior

Watch = Callable[[int], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class LyricsScore:
    """What each of the same codes costs a prior that is told the right lyrics, others, and none."""

    right: Costs  # (S, T) bits
    other: Costs | None  # None where all songs have the same lyrics
    none: Costs
    songs: NDArray[np.int64]  # (S,) which song each segment is of

    def saved(self, told: Costs) -> Gain:
        """How much less a code costs with the right lyrics than when the prior is told otherwise: paired, by songs."""
        return gain_over_songs((told - self.right).mean(axis=1), self.songs)


@torch.inference_mode()
def score_lyrics(
    prior: Prior,
    segments: Sequence[Segments],
    others: Sequence[Segments] | None,
    *,
    songs: Sequence[int],
    watch: Watch,
) -> LyricsScore:
    """Score a prior on segments, of these songs; `others` are the same with the lyrics of other songs."""
    right, other, none = [], [], []
    for number, batch in enumerate(segments):
        right.append(prior.bits(batch.codes, batch.labels, batch.upper).double().numpy())
        unsung = replace(batch.labels, lyrics=None)
        none.append(prior.bits(batch.codes, unsung, batch.upper).double().numpy())
        if others is not None:
            told = others[number].labels
            other.append(prior.bits(batch.codes, told, batch.upper).double().numpy())
        watch(number + 1)
    return LyricsScore(
        right=np.concatenate(right),
        other=np.concatenate(other) if other else None,
        none=np.concatenate(none),
        songs=np.asarray(songs),
    )


def even_onsets(words: Sequence[TokenWord], characters: slice, start: float, end: float) -> NDArray[np.float64]:
    """When words (n,) would begin if the `characters` of a window were sung evenly from start to end."""
    first = np.array([word.first for word in words], dtype=np.float64)
    share: NDArray[np.float64] = (first - characters.start) / (characters.stop - characters.start)
    return start + share * (end - start)


if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "attention": ("by attention", colour(0)),
    "even_song": ("spread evenly over the song", colour(1)),
    "even_sung": ("spread evenly over what is sung", colour(2)),
}
STEPS = 0.1  # seconds between two points of the right-hand curves
LONGEST = 4.0  # seconds of error that they go to
COLUMNS = 400  # of the left-hand picture, at most


def draw_lyrics(
    attention: NDArray[np.float32],
    words: Sequence[tuple[int, float]],
    errors: Mapping[str, NDArray[np.float64]],
    *,
    seconds: float,
    title: str,
    about: str,
) -> "Figure":
    """The attention (T, L) of a segment with its words, (first character, true onset), and all errors by their names.

    A code takes so many `seconds`; errors are in seconds.
    """
    layout = Layout(1, 2, height=330)
    page = layout.page(title, about, list(NAMES.values()))
    axes = layout.panel(page, 0, "One held-out segment", "attention; a dot where a word begins in truth")
    stride = max(len(attention) // COLUMNS, 1)
    whole = attention[: len(attention) // stride * stride].reshape(-1, stride, attention.shape[1]).mean(axis=1)
    first, last = min(place for place, _ in words), attention.shape[1]
    shown = whole[:, first:last].T
    extent = (0, len(attention) * seconds, last, first)
    axes.imshow(np.sqrt(shown), aspect="auto", cmap="Purples", extent=extent, interpolation="nearest")
    axes.plot([onset for _, onset in words], [place + 0.5 for place, _ in words], "o", markersize=3, color=colour(1))
    layout.name_axes(axes, "seconds", "character of the lyrics' window")
    axes = layout.panel(page, 1, "Words whose onset is within so many seconds")
    limits = np.arange(0, LONGEST + STEPS, STEPS)
    for name, (_, shade) in NAMES.items():
        shares = [100 * float((errors[name] <= limit).mean()) for limit in limits]
        axes.plot(limits, shares, color=shade, linewidth=2.5 if name == "attention" else 1.5)
    axes.set_ylim(0, 100)
    layout.name_axes(axes, "seconds", "% of words")
    return page.figure


SEGMENTS = 48
CHOOSING = 16  # segments of training songs that the layer and the head are chosen on
NEAR = 0.5  # seconds


@dataclass(frozen=True)
class _Timed:
    """A segment of which it is known when its words are sung, times in seconds from its start."""

    segment: Segments
    words: tuple[TokenWord, ...]
    starts: NDArray[np.float64]  # (n,)
    end: float  # of the last word


@dataclass(frozen=True, kw_only=True)
class _Errors:
    """How far the onsets of words are from the true ones, in seconds, (n,) each, over all segments."""

    attention: NDArray[np.float64]
    even_song: NDArray[np.float64]
    even_sung: NDArray[np.float64]


def evaluate_lyrics(
    model: str,
    codes: Path,
    *,
    held_out: Path | None = None,
    segments: int = SEGMENTS,
    plots: Path | None = None,
    listener: Listener = ignore,
) -> dict[str, Any]:
    """What a model, or a training run, makes of the lyrics of the held-out songs of a code folder.

    Bits a code with the right lyrics, with another song's of the same length, and with none; and, where words have
    times, how far the onsets of words by its attention are from the true ones, beside those of characters that are
    spread evenly over the song, or over what is sung of it. The layer and the head that are looked at are chosen on
    songs that are not held out: those that look most at what is sung. `plots` is a folder for a picture.
    """
    if segments < 1:
        raise BadInput(f"--segments is 1 or more, got {segments}")
    start = find_prior(model, Level.TOP)
    if start.config.lyrics is None:
        raise BadModel(
            f"the top prior of {model} is told no lyrics. Teach it: jukectl train prior RECIPE --from {model} "
            "--add-lyrics"
        )
    encoded, kept, held = split_songs(codes, held_out)
    if held_out is None:
        held = [track for track in kept if track.split == "validation"]
        if not held or len(held) == len(kept):
            raise BadInput("--held-out is needed, as the scan held out no songs: a file of globs, one a line")
        kept = [track for track in kept if track not in held]
    sides = []
    for tracks in (kept, held):
        if start.codec is not None:
            find_checked(encoded, tracks, Level.TOP, start.codec, whose=model)
        config = start.config
        sides.append(
            SegmentSet.load(
                encoded,
                tracks,
                Level.TOP,
                start.vocabulary,
                context=config.context,
                ratio=1,
                slots=config.genre_slots,
                lyrics=config.lyrics,
            )
        )
    training, held_out_songs = sides
    if not any(song.conditioning.lyrics.ids for song in held_out_songs.songs):
        raise BadInput(f"the held-out songs of {codes} have no lyrics: see docs/TRAINING.md, Lyrics")
    return _judge(start, training, held_out_songs, segments, plots, listener)


def _judge(
    start: PriorStart,
    training: SegmentSet,
    held_out: SegmentSet,
    count: int,
    plots: Path | None,
    listener: Listener,
) -> dict[str, Any]:
    prior, whole = start.prior.eval(), held_out.spread(count)
    timed = _timed(prior, held_out, whole, count)
    choosing = _timed(prior, training, training.spread(CHOOSING), CHOOSING)
    steps = len(whole) + len(choosing) + len(timed)
    score = score_lyrics(
        prior,
        whole,
        with_other_lyrics(whole),
        songs=held_out.spread_songs(count),
        watch=lambda done: listener(Progress("scoring", done, steps)),
    )
    facts: dict[str, Any] = {
        "model": start.model or start.name,
        "songs": len({*held_out.spread_songs(count)}),
        "segments": count,
        "codes": score.right.size,
        "bits": _figures(score),
        "alignment": None,
    }
    if not timed or not choosing:
        warn(listener, "the songs have no times of words (.lrc), so nothing is told of when attention is where")
        return facts
    layer, head = choose_head(prior, choosing)
    listener(Progress("looking", len(whole) + len(choosing), steps))
    errors, shown = [], None
    for number, one in enumerate(timed):
        attention = attention_of(prior, one.segment.codes, one.segment.labels, layer, head)[0].numpy()
        errors.append(_errors(prior, attention, one))
        shown = shown or (attention, one)
        listener(Progress("looking", len(whole) + len(choosing) + number + 1, steps))
    joined = _Errors(
        **{name: np.concatenate([getattr(one, name) for one in errors]) for name in _Errors.__dataclass_fields__}
    )
    facts["alignment"] = {
        "layer": layer,
        "head": head,
        "chosen_on": len(choosing),
        "words": len(joined.attention),
        "songs": len(timed),
        **{name: _error(getattr(joined, name)) for name in _Errors.__dataclass_fields__},
    }
    if plots is not None and shown is not None:
        attention, one = shown
        figure = draw_lyrics(
            attention,
            [(word.first, begun) for word, begun in zip(one.words, one.starts.tolist(), strict=True)],
            {name: getattr(joined, name) for name in _Errors.__dataclass_fields__},
            seconds=_seconds_a_code(prior),
            title=f"What {facts['model']} makes of lyrics",
            about=f"layer {layer}, head {head}; {len(joined.attention)} words of {len(timed)} held-out segments",
        )
        facts["plots"] = [save_plot(plots, "lyrics", figure)]
    return facts


def choose_head(prior: Prior, timed: Sequence[_Timed]) -> tuple[int, int]:
    """The layer and head that looks most at what is sung, by its weights near that, over all codes of segments."""
    masses: dict[tuple[int, int], list[float]] = defaultdict(list)
    for one in timed:
        assert one.segment.sung is not None
        sung = one.segment.sung[0].numpy()
        for layer, weights in attentions_of(prior, one.segment.codes, one.segment.labels):
            for head in range(weights.shape[1]):
                masses[layer, head].append(mass_near(weights[0, head].numpy(), sung))
    if not masses:
        raise BadModel(f"none of its layers attends to lyrics: {hearing_layers(prior.config)}")
    return max(masses, key=lambda place: float(np.mean(masses[place])))


def _timed(prior: Prior, songs: SegmentSet, segments: Sequence[Segments], count: int) -> list[_Timed]:
    """Those of the segments that `spread` gives in which words with times are sung."""
    rate = prior.config.sample_rate
    return [
        _Timed(
            segment,
            words,
            np.array([word.start / rate for word in words]),
            max(word.end for word in words) / rate,
        )
        for segment, words in zip(segments, songs.spread_words(count), strict=True)
        if words
    ]


def _errors(prior: Prior, attention: NDArray[np.float32], one: _Timed) -> _Errors:
    """How far the onsets of a segment's words are from the true ones, by attention (T, L) and spread evenly."""
    seconds = _seconds_a_code(prior)
    found = word_onsets(attention, [(word.first, word.last) for word in one.words], seconds)
    assert one.segment.labels.lyrics is not None
    filled = np.flatnonzero(one.segment.labels.lyrics[0].numpy())
    all_of_them = slice(int(filled[0]), int(filled[-1]) + 1)
    sung = slice(one.words[0].first, one.words[-1].last + 1)
    begun = np.array([time.start for time in found])
    song = even_onsets(one.words, all_of_them, 0.0, len(attention) * seconds)
    part = even_onsets(one.words, sung, float(one.starts[0]), one.end)
    each = {"attention": begun, "even_song": song, "even_sung": part}
    return _Errors(**{name: np.abs(onsets - one.starts) for name, onsets in each.items()})


def _seconds_a_code(prior: Prior) -> float:
    return prior.config.hop / prior.config.sample_rate


def _figures(score: LyricsScore) -> dict[str, Any]:
    told = {"other": score.other, "none": score.none}
    return {
        "right": rounded(score.right.mean()),
        **{name: None if costs is None else rounded(costs.mean()) for name, costs in told.items()},
        "saved": {name: None if costs is None else _gain(score.saved(costs)) for name, costs in told.items()},
    }


def _gain(gain: Gain) -> dict[str, float | None]:
    return {name: rounded(getattr(gain, name), 5) for name in ("bits", "low", "high")}


def _error(errors: NDArray[np.float64]) -> dict[str, float | None]:
    return {
        "mean": rounded(errors.mean(), 3),
        "median": rounded(float(np.median(errors)), 3),
        "near": rounded((errors <= NEAR).mean(), 3),
    }
