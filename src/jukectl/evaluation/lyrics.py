"""Bits per code that lyrics save a prior, and the accuracy of word onsets found by its attention.

The right lyrics are compared with those of another song, cut or repeated to the same number of characters, so that the
amount of lyrics gives nothing away; and with none. S segments of T codes.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from jukectl.codes.level import Level
from jukectl.data.encoded import EncodedSongs
from jukectl.data.manifest import Track
from jukectl.data.segments import Segments, SegmentSet, with_other_lyrics
from jukectl.errors import BadInput, BadModel
from jukectl.evaluation.inputs import find_checked, rounded, save_plot, split_songs
from jukectl.evaluation.prior import SEGMENTS, Costs, Gain, Watch, gain_over_songs
from jukectl.lyrics.tokens import TokenWord
from jukectl.plots.charts import chart, label_panel
from jukectl.plots.style import colour
from jukectl.prior.lyric_attention import attention_of, attentions_of, lyric_layers, mass_near, word_onsets
from jukectl.prior.model import Prior
from jukectl.progress import Listener, Progress, ignore, warn
from jukectl.training.starting import PriorStart, find_prior

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHOOSING = 16  # segments of training songs that the layer and the head are chosen on
NEAR = 0.5  # seconds

ESTIMATES = {  # ways to estimate onsets: their description and colour
    "attention": ("by attention", colour(0)),
    "even_song": ("spread evenly over the song", colour(1)),
    "even_sung": ("spread evenly over what is sung", colour(2)),
}

Errors = Mapping[str, NDArray[np.float64]]
"""Distance of estimated onsets of words from the true ones, in seconds (n,), by the name of the estimate."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LyricsScore:
    """Bits of the same codes by a prior conditioned on the right lyrics, on others, and on none."""

    right: Costs  # (S, T) bits
    other: Costs | None  # None if all songs have the same lyrics
    none: Costs
    songs: NDArray[np.int64]  # (S,) song of each segment

    def saved(self, costs: Costs) -> Gain:
        """Return the bits per code that the right lyrics save over other costs: paired, with an interval over songs."""
        return gain_over_songs((costs - self.right).mean(axis=1), self.songs)


@dataclass(frozen=True)
class _Timed:
    """A segment with the true times of its words, in seconds from its start."""

    segment: Segments
    words: tuple[TokenWord, ...]
    starts: NDArray[np.float64]  # (n,)
    end: float  # of the last word


def evaluate_lyrics(
    model: str,
    codes: Path,
    *,
    held_out: Path | None = None,
    segments: int = SEGMENTS,
    plots: Path | None = None,
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Measure the use that a model or a training run makes of the lyrics of held-out songs of a code folder.

    Bits per code with the right lyrics, with another song's of the same length, and with none. For words with times:
    the error of onsets found by attention, compared with characters spread evenly over the song or over the sung part
    of it. The layer and the head are chosen on songs that are not held out, as those whose attention lies nearest to
    what is sung. `plots` is a folder for a picture.
    """
    if segments < 1:
        raise BadInput(f"--segments is 1 or more, got {segments}")
    start = find_prior(model, Level.TOP)
    if start.config.lyrics is None:
        raise BadModel(
            f"the top prior of {model} is not conditioned on lyrics. Train it to be: "
            f"jukectl train prior RECIPE --from {model} --add-lyrics"
        )
    encoded, kept, held = split_songs(codes, held_out)
    if held_out is None:
        held = [track for track in kept if track.split == "validation"]
        if not held or len(held) == len(kept):
            raise BadInput("--held-out is needed, as the scan held out no songs: a file of globs, one a line")
        kept = [track for track in kept if track not in held]
    training, held_out_songs = (_load(start, encoded, tracks, model) for tracks in (kept, held))
    if not any(song.conditioning.lyrics.ids for song in held_out_songs.songs):
        raise BadInput(f"the held-out songs of {codes} have no lyrics: see docs/train-conditions.md")
    return _evaluate(start, training, held_out_songs, segments, plots, listener)


def _load(start: PriorStart, encoded: EncodedSongs, tracks: Sequence[Track], model: str) -> SegmentSet:
    """Open songs for segments of the top prior. Raises WrongCodec for codes of another codec."""
    if start.codec is not None:
        find_checked(encoded, tracks, Level.TOP, start.codec, whose=model)
    config = start.config
    return SegmentSet.load(
        encoded,
        tracks,
        Level.TOP,
        start.vocabulary,
        context=config.context,
        ratio=1,
        slots=config.genre_slots,
        lyrics=config.lyrics,
    )


def _evaluate(
    start: PriorStart,
    training: SegmentSet,
    held_out: SegmentSet,
    count: int,
    plots: Path | None,
    listener: Listener,
) -> dict[str, Any]:
    """Score `count` held-out segments, and measure the onsets of those in which words have times."""
    prior, whole = start.prior.eval(), held_out.spread(count)
    timed = _timed(prior, held_out, whole, count)
    choosing = _timed(prior, training, training.spread(CHOOSING), CHOOSING)
    steps = len(whole) + len(timed)
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
        "bits": _bits_facts(score),
        "alignment": None,
    }
    if not timed or not choosing:
        warn(listener, "the songs have no times of words (.lrc), so word onsets are not measured")
        return facts
    layer, head = choose_head(prior, choosing)
    attentions, errors = [], []
    for number, one in enumerate(timed):
        listener(Progress("measuring attention", len(whole) + number, steps))
        attention = attention_of(prior, one.segment.codes, one.segment.labels, layer, head)[0].numpy()
        attentions.append(attention)
        errors.append(_errors(prior, attention, one))
    listener(Progress("measuring attention", steps, steps))
    joined = {name: np.concatenate([one[name] for one in errors]) for name in ESTIMATES}
    words = len(joined["attention"])
    facts["alignment"] = {
        "layer": layer,
        "head": head,
        "chosen_on": len(choosing),
        "words": words,
        "songs": len(timed),
        **{name: _error_facts(seconds) for name, seconds in joined.items()},
    }
    if plots is not None:
        figure = draw_lyrics(
            attentions[0],
            [(word.first, begun) for word, begun in zip(timed[0].words, timed[0].starts.tolist(), strict=True)],
            joined,
            seconds=_seconds_per_code(prior),
            title=f"Lyrics and the attention of {facts['model']}",
            about=f"layer {layer}, head {head}; {words} words of {len(timed)} held-out segments",
        )
        facts["plots"] = [save_plot(plots, "lyrics", figure)]
    return facts


@torch.inference_mode()
def score_lyrics(
    prior: Prior,
    segments: Sequence[Segments],
    others: Sequence[Segments] | None,
    *,
    songs: Sequence[int],
    watch: Watch,
) -> LyricsScore:
    """Score a prior on segments, `songs` being the song of each; `others` are the same with other lyrics."""
    right, other, none = [], [], []
    for number, batch in enumerate(segments):
        right.append(prior.bits(batch.codes, batch.labels, batch.upper).double().numpy())
        without = replace(batch.labels, lyrics=None)
        none.append(prior.bits(batch.codes, without, batch.upper).double().numpy())
        if others is not None:
            other.append(prior.bits(batch.codes, others[number].labels, batch.upper).double().numpy())
        watch(number + 1)
    return LyricsScore(
        right=np.concatenate(right),
        other=np.concatenate(other) if other else None,
        none=np.concatenate(none),
        songs=np.asarray(songs),
    )


def choose_head(prior: Prior, timed: Sequence[_Timed]) -> tuple[int, int]:
    """Return the layer and the head with the most attention near the characters sung, over all codes of segments."""
    masses: dict[tuple[int, int], list[float]] = defaultdict(list)
    for one in timed:
        assert one.segment.sung is not None
        sung = one.segment.sung[0].numpy()
        for layer, weights in attentions_of(prior, one.segment.codes, one.segment.labels):
            for head in range(weights.shape[1]):
                masses[layer, head].append(mass_near(weights[0, head].numpy(), sung))
    if not masses:
        raise BadModel(f"none of its layers attends to lyrics: {lyric_layers(prior.config)}")
    return max(masses, key=lambda place: float(np.mean(masses[place])))


def even_onsets(words: Sequence[TokenWord], characters: slice, start: float, end: float) -> NDArray[np.float64]:
    """Return the onsets of words (n,) if the `characters` of a window were sung evenly from start to end."""
    first = np.array([word.first for word in words], dtype=np.float64)
    share: NDArray[np.float64] = (first - characters.start) / (characters.stop - characters.start)
    return start + share * (end - start)


def _timed(prior: Prior, songs: SegmentSet, segments: Sequence[Segments], count: int) -> list[_Timed]:
    """Return those of the `count` spread segments that contain words with times."""
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


def _errors(prior: Prior, attention: NDArray[np.float32], one: _Timed) -> Errors:
    """Return the errors of the onsets of a segment's words, by attention (T, L) and by even spreads."""
    seconds = _seconds_per_code(prior)
    found = word_onsets(attention, [(word.first, word.last) for word in one.words], seconds)
    assert one.segment.labels.lyrics is not None
    filled = np.flatnonzero(one.segment.labels.lyrics[0].numpy())  # 0 is padding
    whole = slice(int(filled[0]), int(filled[-1]) + 1)
    sung = slice(one.words[0].first, one.words[-1].last + 1)
    onsets = {
        "attention": np.array([time.start for time in found]),
        "even_song": even_onsets(one.words, whole, 0.0, len(attention) * seconds),
        "even_sung": even_onsets(one.words, sung, float(one.starts[0]), one.end),
    }
    return {name: np.abs(starts - one.starts) for name, starts in onsets.items()}


def _seconds_per_code(prior: Prior) -> float:
    """Return the duration of a code."""
    return prior.config.hop / prior.config.sample_rate


def _bits_facts(score: LyricsScore) -> dict[str, Any]:
    """Return bits per code, and what the right lyrics save, for JSON."""
    compared = {"other": score.other, "none": score.none}
    return {
        "right": rounded(score.right.mean()),
        **{name: None if costs is None else rounded(costs.mean()) for name, costs in compared.items()},
        "saved": {
            name: None if costs is None else score.saved(costs).to_json(digits=5) for name, costs in compared.items()
        },
    }


def _error_facts(errors: NDArray[np.float64]) -> dict[str, float | None]:
    """Return the errors of onsets in seconds for JSON."""
    return {
        "mean": rounded(errors.mean(), 3),
        "median": rounded(float(np.median(errors)), 3),
        "near": rounded((errors <= NEAR).mean(), 3),
    }


STEPS = 0.1  # seconds between two points of the curves of errors
LONGEST = 4.0  # seconds of error, the end of the curves
COLUMNS = 400  # of the picture of attention, at most


def draw_lyrics(
    attention: NDArray[np.float32],
    words: Sequence[tuple[int, float]],
    errors: Errors,
    *,
    seconds: float,
    title: str,
    about: str,
) -> "Figure":
    """Draw the attention (T, L) of a segment with its words, (first character, true onset), and the errors of all.

    A code takes that many `seconds`.
    """
    with chart(title, about, rows=1, columns=2, key=list(ESTIMATES.values()), height=3.3) as (figure, panels):
        remark = "attention; a dot at the true onset of each word"
        label_panel(panels[0], "One held-out segment", remark, x="seconds", y="character of the lyrics' window")
        _draw_attention(panels[0], attention, words, seconds)
        label_panel(panels[1], "Words by the error of their onset", x="largest error (seconds)", y="% of words")
        limits = np.arange(0, LONGEST + STEPS, STEPS)
        for name, (_, shade) in ESTIMATES.items():
            shares = [100 * float((errors[name] <= limit).mean()) for limit in limits]
            panels[1].plot(limits, shares, color=shade, linewidth=2.5 if name == "attention" else 1.5)
        panels[1].set_ylim(0, 100)
    return figure


def _draw_attention(
    axes: "Axes", attention: NDArray[np.float32], words: Sequence[tuple[int, float]], seconds: float
) -> None:
    """Draw attention (T, L), the mean of neighbouring codes where there are many, and a dot per word."""
    stride = max(len(attention) // COLUMNS, 1)
    whole = attention[: len(attention) // stride * stride].reshape(-1, stride, attention.shape[1]).mean(axis=1)
    first, last = min(place for place, _ in words), attention.shape[1]
    shown = np.sqrt(whole[:, first:last].T)  # the root makes weak attention visible
    extent = (0, len(attention) * seconds, last, first)
    axes.imshow(shown, aspect="auto", cmap="Purples", extent=extent, interpolation="nearest")
    axes.plot([onset for _, onset in words], [place + 0.5 for place, _ in words], "o", markersize=3, color=colour(1))
