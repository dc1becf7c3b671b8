"""Whether songs go on as their prompts began, beside recordings that do and strangers that do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jukectl.audio import io, mix
from jukectl.audio.mix import Samples
from jukectl.codes.song import Song
from jukectl.errors import BadAudio, BadInput
from jukectl.evaluation.inputs import recordings, rounded, sample_name, save_plot
from jukectl.evaluation.likeness import MEASURES, SHORTEST, Likeness, Portrait
from jukectl.plan.device import choose
from jukectl.plan.recipes import check_codec, model_for
from jukectl.plots.charts import Layout, colour
from jukectl.progress import Listener, Progress, ignore, warn
from jukectl.render.decode import finest, waveform


@dataclass(frozen=True, eq=False, kw_only=True)
class _Pair:
    """What came first, and what came then."""

    first: Samples  # (N,) mono
    then: Samples  # (M,)
    sample_rate: int  # Hz

    @property
    def seconds(self) -> tuple[float, float]:
        """How long either is."""
        return len(self.first) / self.sample_rate, len(self.then) / self.sample_rate

    def portraits(self) -> tuple[Portrait, Portrait]:
        """What either is like."""
        return Portrait.of(self.first, self.sample_rate), Portrait.of(self.then, self.sample_rate)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Reference:
    """What came in recordings beside their own beginnings and beside those of others."""

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
    """How far the new part of songs is from their prompts: key, tempo, chroma, timbre, loudness, loops and silence.

    Both are heard as the codec renders them. `reference` are recordings, or manifests (.jsonl) of which `held_out` (a
    file of globs) chooses songs: how far music is from its own beginning, and from that of another recording. `plots`
    is a folder for pictures.
    """
    facts, found, lengths, rates = [], [], [], []
    for number, path in enumerate(songs):
        listener(Progress("listening to songs", number, len(songs), path.name))
        for sample, (name, pair) in enumerate(_prompt_and_new(path).items()):
            before, after = pair.portraits()
            likeness = Likeness.between(before, after)
            found.append((name, likeness))
            lengths.append(pair.seconds)
            rates.append(pair.sample_rate)
            facts.append(
                {
                    "name": name,
                    "path": str(path),
                    "sample": sample,
                    "prompt": _portrait(before, pair.seconds[0]),
                    "new": _portrait(after, pair.seconds[1]),
                    "likeness": _likeness(likeness),
                }
            )
    listener(Progress("listening to songs", len(songs), len(songs)))
    first, then = np.mean(lengths, axis=0)
    files = recordings(reference, held_out)
    heard = _compare_recordings(files, float(first), float(then), rates[0], listener) if files else None
    answer: dict[str, Any] = {"songs": facts, "reference": None}
    if heard is not None:
        answer["reference"] = {
            "recordings": heard.recordings,
            "prompt_seconds": rounded(float(first), 3),
            "new_seconds": rounded(float(then), 3),
            "own": _spread(heard.own),
            "stranger": _spread(heard.strangers),
            "skipped": list(heard.skipped),
        }
    if plots is not None:
        figure = draw_continuation(
            dict(found),
            heard.own if heard else (),
            heard.strangers if heard else (),
            seconds=(float(first), float(then)),
        )
        answer["plots"] = [save_plot(plots, "continuation", figure)]
    return answer


def _prompt_and_new(path: Path) -> dict[str, _Pair]:
    """Prompt and new part of each sample of a song, decoded from its finest level; BadInput where one is too short."""
    song = Song.open(path)
    level = finest(song)
    codes = song.codes(level)
    assert codes is not None  # it is the finest of those that are there
    if codes.prompt == 0:
        raise BadInput(f"{path} has no prompt to compare with. Make one that has: jukectl continue AUDIO --out SONG")
    shortest = min(codes.prompt, codes.done - codes.prompt) * codes.hop / codes.sample_rate
    if shortest < SHORTEST:
        raise BadInput(
            f"{path} is too short to judge: it needs {SHORTEST:g} s of prompt and as much new music, and has "
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
    """Cut `first` and `then` seconds from the middle of recordings, and compare. What is too short is left out."""
    portraits, skipped = [], []
    for number, path in enumerate(files):
        listener(Progress("listening to recordings", number, len(files), path.name))
        try:
            portraits.append(_cut_in_two(path, first, then, sample_rate).portraits())
        except BadAudio as error:
            skipped.append(str(error))
            warn(listener, f"left out: {error}")
    listener(Progress("listening to recordings", len(files), len(files)))
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
    """Two neighbouring stretches around the middle of a recording; BadAudio where it is shorter."""
    there = io.info(path).seconds
    if there < first + then:
        raise BadAudio(f"{path} is too short: {there:.1f} s, and {first + then:.1f} s are needed")
    span = io.load(path, start=(there - first - then) / 2, seconds=first + then)
    mono = mix.resample(mix.to_mono(span.samples), span.sample_rate, sample_rate)
    cut = round(first * sample_rate)
    return _Pair(first=mono[:cut], then=mono[cut:], sample_rate=sample_rate)


def _portrait(portrait: Portrait, seconds: float) -> dict[str, Any]:
    return {
        "seconds": rounded(seconds, 3),
        "key": None if portrait.key is None else str(portrait.key),
        "bpm": rounded(portrait.bpm, 1),
        "lufs": rounded(portrait.lufs, 2),
        "repetition": rounded(portrait.repetition),
        "silence": rounded(portrait.silence),
    }


def _likeness(likeness: Likeness) -> dict[str, float | None]:
    return {measure: rounded(getattr(likeness, measure)) for measure in MEASURES}


def _spread(found: Sequence[Likeness]) -> Mapping[str, Mapping[str, float | None]]:
    """Where the middle and nearly all of several likenesses lie, a measure."""
    spread = {}
    for measure in MEASURES:
        values = np.array([getattr(one, measure) for one in found])
        values = values[np.isfinite(values)]
        low, median, high = np.percentile(values, [10, 50, 90]) if values.size else (np.nan,) * 3
        spread[measure] = {
            "median": rounded(median),
            "percentile_10": rounded(low),
            "percentile_90": rounded(high),
        }
    return spread


if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = (  # measure, name, more about it, unit
    ("key_fifths", "Key", "", "steps on the circle of fifths"),
    ("tempo_percent", "Tempo", "octaves aside", "% apart"),
    ("chroma", "Chroma", "", "1 - cosine"),
    ("timbre", "Timbre", "", "MFCC distance (dB)"),
    ("loudness_lu", "Loudness", "", "apart (LU)"),
    ("repetition", "Repetition", "of half seconds", "% of them, new less prompt"),
    ("silence", "Silence", "under -60 dB", "% of the time, new less prompt"),
)
SHARES = ("repetition", "silence")  # drawn in percent, at least LEAST either way
LEAST = 5.0
DASHES = ("-", "--", ":", "-.")
SPREAD = 0.3  # how far dots are strewn, so that equal ones can be told apart


def draw_continuation(
    songs: Mapping[str, Likeness],
    own: Sequence[Likeness],
    strangers: Sequence[Likeness],
    *,
    seconds: tuple[float, float],
) -> "Figure":
    """How far songs are from their prompts, a line each, before dots of recordings. `seconds` are of prompt and new."""
    layout = Layout(2, 4, height=210)
    reference = ((own, "goes on", colour(2)), (strangers, "stranger", layout.theme.pale))
    key = [(name, (colour(0), colour(1), *map(colour, range(3, 6)))[place % 5]) for place, name in enumerate(songs)]
    if own:
        key += [("recordings and how they go on", colour(2)), ("and other recordings", layout.theme.pale)]
    about = f"new music against its prompt, {seconds[0]:.1f} s and {seconds[1]:.1f} s after it · 0 is alike"
    page = layout.page("Does it go on as it began?", about, key)
    for number, (measure, name, note, unit) in enumerate(PANELS):
        axes = layout.panel(page, number, name, note)
        for place, (found, _, shade) in enumerate(reference):
            values = _finite(found, measure)
            strewn = (
                place + SPREAD * np.linspace(-1, 1, len(values)) if len(values) > 1 else np.full(len(values), place)
            )
            axes.scatter(strewn, values, s=11, color=shade, alpha=0.55, linewidths=0)
            if values.size:
                axes.hlines(float(np.median(values)), place - 0.4, place + 0.4, color=shade, linewidth=2.2)
        for place, ((_, shade), likeness) in enumerate(zip(key, songs.values(), strict=False)):
            value = _finite([likeness], measure)
            if value.size:
                axes.axhline(float(value[0]), color=shade, linewidth=1.8, linestyle=DASHES[place % len(DASHES)])
        axes.set_xlim(-0.6, 1.6)
        axes.set_xticks([0, 1], ["goes on", "stranger"] if own else ["", ""])
        low, high = axes.get_ylim()
        axes.set_ylim(*((min(low, -LEAST), max(high, LEAST)) if measure in SHARES else (min(0, -0.03 * high), high)))
        layout.name_axes(axes, "", unit)
    return page.figure


def _finite(found: Sequence[Likeness], measure: str) -> NDArray[np.float64]:
    values = np.array([getattr(one, measure) for one in found], dtype=np.float64)
    return values[np.isfinite(values)] * (100 if measure in SHARES else 1)
