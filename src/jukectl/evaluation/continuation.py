"""Distance of new music from its prompt, compared with that of recordings from their own and other beginnings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jukectl.audio import io, mix
from jukectl.audio.mix import Samples
from jukectl.codes.prefix import codes_of_song
from jukectl.codes.song import Song
from jukectl.errors import BadAudio, BadInput
from jukectl.evaluation.inputs import recordings, rounded, sample_name, save_plot
from jukectl.evaluation.likeness import MEASURES, SHORTEST, Likeness, Portrait
from jukectl.plan.device import choose
from jukectl.plan.models import check_codec, model_for
from jukectl.plots.charts import PALE, chart, label_panel, spread_dots
from jukectl.plots.style import colour
from jukectl.progress import Listener, Progress, ignore, warn
from jukectl.render.decode import finest, waveform

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, kw_only=True)
class _Pair:
    """Two stretches of music, one after the other."""

    first: Samples  # (N,) mono
    then: Samples  # (M,)
    sample_rate: int  # Hz

    @property
    def seconds(self) -> tuple[float, float]:
        """Length of each."""
        return len(self.first) / self.sample_rate, len(self.then) / self.sample_rate

    def portraits(self) -> tuple[Portrait, Portrait]:
        """Analyse each."""
        return Portrait.of(self.first, self.sample_rate), Portrait.of(self.then, self.sample_rate)


@dataclass(frozen=True, eq=False, kw_only=True)
class _SampleResult:
    """A sample of a song: its prompt, its new part, and the distance between them."""

    name: str
    path: Path
    sample: int
    pair: _Pair
    before: Portrait
    after: Portrait
    likeness: Likeness


@dataclass(frozen=True, eq=False, kw_only=True)
class _Reference:
    """Distances of recordings from their own beginnings and from those of other recordings."""

    recordings: int
    own: Sequence[Likeness]
    strangers: Sequence[Likeness]
    skipped: Sequence[str]


def evaluate_continuation(
    songs: Sequence[Path],
    *,
    reference: Sequence[Path] = (),
    held_out: Path | None = None,
    plots: Path | None = None,
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Measure the distance of the new part of songs from their prompts, in the measures of `likeness.Likeness`.

    Both are taken as the codec decodes them. `reference` are recordings, or manifests (.jsonl) of which `held_out` (a
    file of globs) chooses songs: their distances from their own beginnings and from those of other recordings are
    measured over as many seconds. `plots` is a folder for pictures.
    """
    results = _compare_songs(songs, listener)
    first, then = (float(seconds) for seconds in np.mean([one.pair.seconds for one in results], axis=0))
    files = recordings(reference, held_out)
    compared = None
    if files:
        compared = _compare_recordings(files, first, then, results[0].pair.sample_rate, listener)
    facts: dict[str, Any] = {"songs": [_sample_facts(one) for one in results], "reference": None}
    if compared is not None:
        facts["reference"] = {
            "recordings": compared.recordings,
            "prompt_seconds": rounded(first, 3),
            "new_seconds": rounded(then, 3),
            "own": _spread(compared.own),
            "stranger": _spread(compared.strangers),
            "skipped": list(compared.skipped),
        }
    if plots is not None:
        figure = draw_continuation(
            {one.name: one.likeness for one in results},
            compared.own if compared else (),
            compared.strangers if compared else (),
            seconds=(first, then),
        )
        facts["plots"] = [save_plot(plots, "continuation", figure)]
    return facts


def _compare_songs(songs: Sequence[Path], listener: Listener) -> list[_SampleResult]:
    """Compare prompt and new part of each sample of songs."""
    results = []
    for number, path in enumerate(songs):
        listener(Progress("analysing songs", number, len(songs), path.name))
        for sample, (name, pair) in enumerate(_prompt_and_new(path).items()):
            before, after = pair.portraits()
            results.append(
                _SampleResult(
                    name=name,
                    path=path,
                    sample=sample,
                    pair=pair,
                    before=before,
                    after=after,
                    likeness=Likeness.between(before, after),
                )
            )
    listener(Progress("analysing songs", len(songs), len(songs)))
    return results


def _prompt_and_new(path: Path) -> dict[str, _Pair]:
    """Decode prompt and new part of each sample from the finest level. Raises BadInput if one is too short."""
    song = Song.open(path)
    found = codes_of_song(song)
    level = finest(song, found)
    codes = found[level]
    if codes.prompt == 0:
        raise BadInput(f"{path} has no prompt to compare with. Make one that has: jukectl continue AUDIO --out SONG")
    shortest = min(codes.prompt, codes.done - codes.prompt) * codes.hop / codes.sample_rate
    if shortest < SHORTEST:
        raise BadInput(
            f"{path} is too short to compare: it needs {SHORTEST:g} s of prompt and as much new music, and has "
            f"{codes.prompt * codes.hop / codes.sample_rate:.2f} s and "
            f"{(codes.done - codes.prompt) * codes.hop / codes.sample_rate:.2f} s at its {level.label} level"
        )
    folder, machine = model_for(song, None), choose("auto")
    check_codec(song, codes, folder, force=False)
    vqvae = folder.vqvae(machine.device, (level,))
    pairs = {}
    for sample in range(codes.samples):
        samples = waveform(vqvae, codes.array[sample], level, machine)
        cut = codes.prompt * codes.hop
        pair = _Pair(first=samples[:cut], then=samples[cut:], sample_rate=codes.sample_rate)
        pairs[sample_name(path, sample, codes.samples)] = pair
    return pairs


def _compare_recordings(
    files: Sequence[Path], first: float, then: float, sample_rate: int, listener: Listener
) -> _Reference:
    """Cut `first` and `then` seconds from the middle of recordings, and compare. Skip those that are too short."""
    portraits, skipped = [], []
    for number, path in enumerate(files):
        listener(Progress("analysing recordings", number, len(files), path.name))
        try:
            portraits.append(_cut_in_two(path, first, then, sample_rate).portraits())
        except BadAudio as error:
            skipped.append(str(error))
            warn(listener, f"skipped: {error}")
    listener(Progress("analysing recordings", len(files), len(files)))
    if len(portraits) < 2:
        raise BadAudio(
            f"a reference is two recordings or more of {first + then:.1f} s, "
            f"and {len(portraits)} of {len(files)} can be used"
        )
    half = len(portraits) // 2  # neighbours in a manifest are often of one album
    return _Reference(
        recordings=len(portraits),
        own=[Likeness.between(before, after) for before, after in portraits],
        strangers=[
            Likeness.between(before, portraits[(number + half) % len(portraits)][1])
            for number, (before, _) in enumerate(portraits)
        ],
        skipped=skipped,
    )


def _cut_in_two(path: Path, first: float, then: float, sample_rate: int) -> _Pair:
    """Load two neighbouring stretches around the middle of a recording. Raises BadAudio if it is shorter."""
    there = io.info(path).seconds
    if there < first + then:
        raise BadAudio(f"{path} is too short: {there:.1f} s, and {first + then:.1f} s are needed")
    span = io.load(path, start=(there - first - then) / 2, seconds=first + then)
    mono = mix.resample(mix.to_mono(span.samples), span.sample_rate, sample_rate)
    cut = round(first * sample_rate)
    return _Pair(first=mono[:cut], then=mono[cut:], sample_rate=sample_rate)


def _sample_facts(result: _SampleResult) -> dict[str, Any]:
    """Return the figures of a sample for JSON."""
    return {
        "name": result.name,
        "path": str(result.path),
        "sample": result.sample,
        "prompt": _portrait_facts(result.before, result.pair.seconds[0]),
        "new": _portrait_facts(result.after, result.pair.seconds[1]),
        "likeness": {measure: rounded(getattr(result.likeness, measure)) for measure in MEASURES},
    }


def _portrait_facts(portrait: Portrait, seconds: float) -> dict[str, Any]:
    """Return the figures of a stretch for JSON."""
    return {
        "seconds": rounded(seconds, 3),
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
