"""Distance of new music from its prompt, compared with that of recordings from their own and other beginnings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jukectl.audio import io
from jukectl.audio.mix import Samples
from jukectl.errors import BadAudio, BadInput
from jukectl.evaluation.beat import SHORTEST_SECONDS, beat_strength
from jukectl.evaluation.inputs import recordings, rounded, save_plot
from jukectl.evaluation.likeness import MEASURES, SHORTEST, Likeness
from jukectl.evaluation.songs import SampleAudio, decode_song
from jukectl.evaluation.traits import Comparison, Stretch, Transcriber, facts_of, find_transcriber, medians
from jukectl.plan.prompt import Recording, load_mono
from jukectl.plots.charts import PALE, chart, label_panel, spread_dots
from jukectl.plots.style import colour
from jukectl.progress import Listener, Progress, ignore, warn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, kw_only=True)
class _SampleResult:
    """A sample of a song: its prompt, its new part, and how they compare."""

    audio: SampleAudio
    before: Stretch
    after: Stretch
    likeness: Likeness
    comparison: Comparison
    original_beat: float  # beat strength of the recording's own continuation; nan if that is not at hand


@dataclass(frozen=True, eq=False, kw_only=True)
class _Reference:
    """Recordings compared with their own beginnings and with those of other recordings."""

    recordings: int
    own: Sequence[Likeness]
    strangers: Sequence[Likeness]
    own_comparisons: Sequence[Comparison]
    stranger_comparisons: Sequence[Comparison]
    skipped: Sequence[str]


def evaluate_continuation(
    songs: Sequence[Path],
    *,
    reference: Sequence[Path] = (),
    held_out: Path | None = None,
    plots: Path | None = None,
    transcriber: Transcriber | None = None,
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Compare the new part of songs with their prompts, in the measures of `Likeness` and `traits.Comparison`.

    Both are taken as the codec decodes them. `reference` are recordings, or manifests (.jsonl) of which `held_out` (a
    file of globs) chooses songs: their distances from their own beginnings and from those of other recordings are
    measured over as many seconds. `plots` is a folder for pictures. `transcriber` is by default basic-pitch, if it is
    installed.
    """
    transcriber = transcriber or find_transcriber()
    results = _compare_songs(songs, transcriber, listener)
    first, then = (
        float(np.mean([stretch.seconds for stretch in stretches]))
        for stretches in ([one.before for one in results], [one.after for one in results])
    )
    files = recordings(reference, held_out)
    compared = None
    if files:
        compared = _compare_recordings(files, first, then, results[0].audio, transcriber, listener)
    rows = [_sample_facts(one) for one in results]
    facts: dict[str, Any] = {
        "songs": rows,
        "summary": {"songs": len(rows), **medians([row["measures"] for row in rows])},
        "reference": None,
    }
    if compared is not None:
        facts["reference"] = {
            "recordings": compared.recordings,
            "prompt_seconds": rounded(first, 3),
            "new_seconds": rounded(then, 3),
            "own": _spread(compared.own),
            "stranger": _spread(compared.strangers),
            "own_measures": medians([facts_of(one) for one in compared.own_comparisons]),
            "stranger_measures": medians([facts_of(one) for one in compared.stranger_comparisons]),
            "skipped": list(compared.skipped),
        }
    if plots is not None:
        figure = draw_continuation(
            {one.audio.name: one.likeness for one in results},
            compared.own if compared else (),
            compared.strangers if compared else (),
            seconds=(first, then),
        )
        facts["plots"] = [save_plot(plots, "continuation", figure)]
    return facts


def _compare_songs(songs: Sequence[Path], transcriber: Transcriber | None, listener: Listener) -> list[_SampleResult]:
    """Compare prompt and new part of each sample of songs."""
    results = []
    for number, path in enumerate(songs):
        listener(Progress("analysing songs", number, len(songs), path.name))
        results += [_compare(audio, transcriber) for audio in decode_song(path)]
    listener(Progress("analysing songs", len(songs), len(songs)))
    return results


def _compare(audio: SampleAudio, transcriber: Transcriber | None) -> _SampleResult:
    """Compare prompt and new part of a sample. Raises BadInput if one is too short."""
    if not audio.prompt:
        raise BadInput(
            f"{audio.path} has no prompt to compare with. Make one that has: jukectl continue AUDIO --out SONG"
        )
    seconds = [len(part) / audio.sample_rate for part in (audio.first, audio.new)]
    if min(seconds) < SHORTEST:
        raise BadInput(
            f"{audio.path} is too short to compare: it needs {SHORTEST:g} s of prompt and as much new music, and has "
            f"{seconds[0]:.2f} s and {seconds[1]:.2f} s at its {audio.level.label} level"
        )
    before, after = (
        Stretch.measure(part, audio.sample_rate, code_rate=audio.code_rate, transcriber=transcriber)
        for part in (audio.first, audio.new)
    )
    original = audio.original()
    beat = nan
    if original is not None and len(original) >= SHORTEST_SECONDS * audio.sample_rate:
        beat = beat_strength(original, audio.sample_rate)
    return _SampleResult(
        audio=audio,
        before=before,
        after=after,
        likeness=Likeness.between(before.portrait, after.portrait),
        comparison=Comparison.between(before, after, beat),
        original_beat=beat,
    )


def _compare_recordings(
    files: Sequence[Path],
    first: float,
    then: float,
    audio: SampleAudio,
    transcriber: Transcriber | None,
    listener: Listener,
) -> _Reference:
    """Cut `first` and `then` seconds from the middle of recordings, and compare. Skip those that are too short.

    Sample rate and code rate are those of `audio`.
    """
    pairs, skipped = [], []
    for number, path in enumerate(files):
        listener(Progress("analysing recordings", number, len(files), path.name))
        try:
            cut = _cut_in_two(path, first, then, audio.sample_rate)
        except BadAudio as error:
            skipped.append(str(error))
            warn(listener, f"skipped: {error}")
            continue
        before, after = (
            Stretch.measure(part, audio.sample_rate, code_rate=audio.code_rate, transcriber=transcriber) for part in cut
        )
        pairs.append((before, after))
    listener(Progress("analysing recordings", len(files), len(files)))
    if len(pairs) < 2:
        raise BadAudio(
            f"a reference is two recordings or more of {first + then:.1f} s, "
            f"and {len(pairs)} of {len(files)} can be used"
        )
    half = len(pairs) // 2  # neighbours in a manifest are often of one album
    own = [(before, after, after.traits.beat) for before, after in pairs]
    strangers = [
        (before, pairs[(number + half) % len(pairs)][1], after.traits.beat)
        for number, (before, after) in enumerate(pairs)
    ]
    return _Reference(
        recordings=len(pairs),
        own=[Likeness.between(before.portrait, after.portrait) for before, after, _ in own],
        strangers=[Likeness.between(before.portrait, after.portrait) for before, after, _ in strangers],
        own_comparisons=[Comparison.between(*one) for one in own],
        stranger_comparisons=[Comparison.between(*one) for one in strangers],
        skipped=skipped,
    )


def _cut_in_two(path: Path, first: float, then: float, sample_rate: int) -> tuple[Samples, Samples]:
    """Load two neighbouring stretches around the middle of a recording. Raises BadAudio if it is shorter."""
    there = io.info(path).seconds
    if there < first + then:
        raise BadAudio(f"{path} is too short: {there:.1f} s, and {first + then:.1f} s are needed")
    mono, _ = load_mono(Recording(path, (there - first - then) / 2, first + then), sample_rate)
    cut = round(first * sample_rate)
    return mono[:cut], mono[cut:]


def _sample_facts(result: _SampleResult) -> dict[str, Any]:
    """Return the figures of a sample for JSON."""
    prompt, new = facts_of(result.before.traits), facts_of(result.after.traits)
    return {
        "name": result.audio.name,
        "path": str(result.audio.path),
        "sample": result.audio.sample,
        "prompt": _portrait_facts(result.before),
        "new": _portrait_facts(result.after),
        "likeness": {measure: rounded(getattr(result.likeness, measure)) for measure in MEASURES},
        "measures": {
            **facts_of(result.comparison),
            "beat_original": rounded(result.original_beat),
            **{f"{name}_prompt": value for name, value in prompt.items()},
            **{f"{name}_new": value for name, value in new.items()},
        },
    }


def _portrait_facts(stretch: Stretch) -> dict[str, Any]:
    """Return the figures of a stretch for JSON."""
    portrait = stretch.portrait
    return {
        "seconds": rounded(stretch.seconds, 3),
        "key": None if portrait.key is None else str(portrait.key),
        "bpm": rounded(portrait.bpm, 1),
        "lufs": rounded(portrait.lufs, 2),
        "repetition": rounded(portrait.repetition),
        "silence": rounded(portrait.silence),
    }


def _spread(distances: Sequence[Likeness]) -> Mapping[str, Mapping[str, float | None]]:
    """Return median, 10th and 90th percentile of each measure for JSON."""
    spread = {}
    for measure in MEASURES:
        values = _finite(distances, measure)
        low, median, high = np.percentile(values, [10, 50, 90]) if values.size else (np.nan,) * 3
        spread[measure] = {
            "median": rounded(median),
            "percentile_10": rounded(low),
            "percentile_90": rounded(high),
        }
    return spread


def _finite(distances: Sequence[Likeness], measure: str) -> NDArray[np.float64]:
    """Return the values of a measure that are numbers."""
    values = np.array([getattr(one, measure) for one in distances], dtype=np.float64)
    return values[np.isfinite(values)]


PANELS = (  # measure, name, remark, unit
    ("key_fifths", "Key", "", "steps on the circle of fifths"),
    ("tempo_percent", "Tempo", "octaves aside", "% apart"),
    ("chroma", "Chroma", "", "1 - cosine"),
    ("timbre", "Timbre", "", "MFCC distance (dB)"),
    ("loudness_lu", "Loudness", "", "apart (LU)"),
    ("repetition", "Repetition", "of half seconds", "% of them, new less prompt"),
    ("silence", "Silence", "below -60 dB", "% of the time, new less prompt"),
)
SHARES = ("repetition", "silence")  # drawn in percent, the axis at least LEAST to either side
LEAST = 5.0
DASHES = ("-", "--", ":", "-.")
SONG_COLOURS = (0, 1, 3, 4, 5)  # the others but that of recordings
OWN, STRANGER = colour(2), PALE


def draw_continuation(
    songs: Mapping[str, Likeness],
    own: Sequence[Likeness],
    strangers: Sequence[Likeness],
    *,
    seconds: tuple[float, float],
) -> "Figure":
    """Draw the distance of songs from their prompts as lines, those of recordings as dots.

    `seconds` are the lengths of prompt and new music.
    """
    lines = [(name, colour(SONG_COLOURS[place % len(SONG_COLOURS)])) for place, name in enumerate(songs)]
    key = [*lines, ("recordings and their own continuation", OWN), ("and that of another recording", STRANGER)]
    about = f"new music against its prompt, {seconds[0]:.1f} s and {seconds[1]:.1f} s after it · 0 is equal"
    with chart("Continuations", about, rows=2, columns=4, height=2.2, key=key if own else lines) as (figure, panels):
        for axes, (measure, name, remark, unit) in zip(panels, PANELS, strict=False):
            label_panel(axes, name, remark, y=unit)
            _draw_distances(axes, measure, own, strangers)
            for place, ((_, shade), likeness) in enumerate(zip(lines, songs.values(), strict=True)):
                for value in _drawn(measure, [likeness]):
                    axes.axhline(value, color=shade, linewidth=1.8, linestyle=DASHES[place % len(DASHES)])
            low, high = axes.get_ylim()
            least = (min(low, -LEAST), max(high, LEAST)) if measure in SHARES else (min(0, -0.03 * high), high)
            axes.set_ylim(*least)
        panels[-1].set_visible(False)
    return figure


def _draw_distances(axes: "Axes", measure: str, own: Sequence[Likeness], strangers: Sequence[Likeness]) -> None:
    """Draw the distances of recordings as dots, with their medians."""
    for place, (distances, shade) in enumerate(((own, OWN), (strangers, STRANGER))):
        values = _drawn(measure, distances)
        axes.scatter(spread_dots(place, len(values), 0.6), values, s=11, color=shade, alpha=0.55, linewidths=0)
        if values.size:
            axes.hlines(float(np.median(values)), place - 0.4, place + 0.4, color=shade, linewidth=2.2)
    axes.set_xlim(-0.6, 1.6)
    axes.set_xticks([0, 1], ["its own", "another"] if own else ["", ""])


def _drawn(measure: str, distances: Sequence[Likeness]) -> NDArray[np.float64]:
    """Return the values of a measure in the unit of its panel."""
    return _finite(distances, measure) * (100 if measure in SHARES else 1)
