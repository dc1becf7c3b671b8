"""How well one level of a codec renders a recording, and how it uses its codebook (SPEC 7, after the Jukebox paper)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from jukectl.audio import mix
from jukectl.audio.mel import log_mel_distance
from jukectl.audio.mix import Samples
from jukectl.audio.spectral import spectral_convergence_db
from jukectl.checkpoints import catalogue
from jukectl.codes.archive import entropy_bits
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadAudio, BadInput, MissingTool
from jukectl.evaluation import measures
from jukectl.evaluation.beat import SHORTEST_SECONDS, beat_strength
from jukectl.evaluation.inputs import CPU, middle, recordings, rounded, save_plot
from jukectl.evaluation.measures import Rate, multi_resolution_stft, si_sdr_db
from jukectl.evaluation.notes_followed import note_f1
from jukectl.midi.notes import SUFFIXES as MIDI_FILES
from jukectl.midi.notes import Notes, read_midi
from jukectl.midi.transcribe import SAMPLE_RATE as TRANSCRIBED_RATE
from jukectl.midi.transcribe import check_installed, transcribe
from jukectl.plan.prompt import hear
from jukectl.plots.charts import Layout, colour
from jukectl.plots.sound import Panel, draw_levels
from jukectl.progress import Listener, Progress, ignore, warn
from jukectl.vqvae import chunks
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.model import VQVAE

SHIFT_SECONDS = 0.0015  # an eighth of a code of 256 samples at 22,050 Hz


@dataclass(frozen=True, eq=False, kw_only=True)
class ReconstructionScore:
    """One level's reconstruction of one recording, or of several taken together."""

    spectral_convergence_db: float  # lower is better
    multi_resolution_stft: float  # lower is better
    si_sdr_db: float  # higher is better
    visqol_mos: float | None  # 1 to about 4.7, higher is better; None where it was not asked for
    log_mel: float = nan  # mean distance of log mel bands, lower is better
    stable: float = nan  # share of codes that stay the same when the recording is shifted by SHIFT_SECONDS
    beat: float = nan  # see `beat_strength`; nan of less than a few seconds
    beat_recorded: float = nan  # the same of the recording
    note_f1: float | None = (
        None  # of transcribed notes by those of a MIDI file; None where there is none to compare with
    )
    note_f1_recorded: float | None = None  # the same of the recording
    counts: NDArray[np.int64]  # (codebook_size,) how often each code came

    @property
    def entropy_bits(self) -> float:
        """Entropy of the codes; an evenly used codebook has log2(codebook_size)."""
        return entropy_bits(self.counts)

    @property
    def used_codes(self) -> int:
        """How many of the codebook's codes came at all."""
        return int(np.count_nonzero(self.counts))

    @property
    def beat_share(self) -> float:
        """The beat as a share of the recording's."""
        return self.beat / self.beat_recorded if self.beat_recorded else nan

    @property
    def note_f1_share(self) -> float | None:
        """The note F1 as a share of the recording's."""
        if self.note_f1 is None or self.note_f1_recorded is None:
            return None
        return self.note_f1 / self.note_f1_recorded if self.note_f1_recorded else nan


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording to be rendered, and what can be heard of its notes and its beat."""

    samples: Samples  # (N,)
    sample_rate: int  # Hz
    notes: Notes | None = None  # that are written, without drums; None where they are not known or cannot be heard

    @cached_property
    def beat(self) -> float:
        """The beat of the recording itself."""
        return _beat(self.samples, self.sample_rate)

    @cached_property
    def note_f1(self) -> float | None:
        """The note F1 of the recording itself."""
        return self.note_f1_of(self.samples)

    def note_f1_of(self, samples: Samples) -> float | None:
        """Return how well the notes that are heard in samples (N,) agree with those that are written."""
        if self.notes is None:
            return None
        heard = mix.resample(samples[None], self.sample_rate, TRANSCRIBED_RATE)[0]
        return note_f1(self.notes, transcribe(heard))


def score(
    vqvae: VQVAE, recording: Recording | Samples, level: Level, *, rate: Rate | None = None
) -> ReconstructionScore:
    """Encode and decode a recording (N,), N a multiple of the level's hop, and compare.

    `rate` gives ViSQOL's opinion.
    """
    if not isinstance(recording, Recording):
        recording = Recording(recording, vqvae.config.sample_rate)
    audio, rate_hz = recording.samples, recording.sample_rate
    codes, predicted = render(vqvae, audio, level)
    return ReconstructionScore(
        spectral_convergence_db=spectral_convergence_db(audio, predicted),
        multi_resolution_stft=multi_resolution_stft(audio, predicted),
        si_sdr_db=si_sdr_db(audio, predicted),
        visqol_mos=rate(audio, predicted, vqvae.config.sample_rate) if rate else None,
        log_mel=float(log_mel_distance(torch.from_numpy(predicted)[None], torch.from_numpy(audio)[None], rate_hz)),
        stable=stable_share(vqvae, audio, codes, level),
        beat=_beat(predicted, rate_hz),
        beat_recorded=recording.beat,
        note_f1=recording.note_f1_of(predicted),
        note_f1_recorded=recording.note_f1,
        counts=np.bincount(codes, minlength=vqvae.config.codebook_size),
    )


def stable_share(vqvae: VQVAE, audio: Samples, codes: NDArray[np.int64], level: Level) -> float:
    """Return the share of codes (T,) of audio (N,) that stay the same when it begins SHIFT_SECONDS later."""
    shifted = audio[round(SHIFT_SECONDS * vqvae.config.sample_rate) :]
    again = chunks.encode(vqvae, torch.from_numpy(np.ascontiguousarray(shifted))[None], level)[0].numpy()
    return float((again == codes[: len(again)]).mean()) if len(again) else nan


def _beat(samples: Samples, sample_rate: int) -> float:
    return beat_strength(samples, sample_rate) if len(samples) >= SHORTEST_SECONDS * sample_rate else nan


def render(vqvae: VQVAE, audio: Samples, level: Level) -> tuple[NDArray[np.int64], Samples]:
    """The codes (T,) of audio (N,), N a multiple of the level's hop, and their audio (N,). Long audio in chunks."""
    codes = chunks.encode(vqvae, torch.from_numpy(audio)[None], level)  # (1, T)
    predicted = torch.cat([piece[0] for piece in chunks.decode(vqvae, codes, level)])  # (N,)
    return codes[0].numpy(), predicted.numpy()


def together(scores: Sequence[ReconstructionScore]) -> ReconstructionScore:
    """Several recordings as one: the mean of their figures, the silent ones' left out, and the codes of all."""
    noted = any(one.note_f1 is not None for one in scores)
    rated = any(one.visqol_mos is not None for one in scores)
    return ReconstructionScore(
        spectral_convergence_db=_mean([one.spectral_convergence_db for one in scores]),
        multi_resolution_stft=_mean([one.multi_resolution_stft for one in scores]),
        si_sdr_db=_mean([one.si_sdr_db for one in scores]),
        visqol_mos=_mean([one.visqol_mos for one in scores if one.visqol_mos is not None]) if rated else None,
        log_mel=_mean([one.log_mel for one in scores]),
        stable=_mean([one.stable for one in scores]),
        beat=_mean([one.beat for one in scores]),
        beat_recorded=_mean([one.beat_recorded for one in scores]),
        note_f1=_mean([one.note_f1 for one in scores if one.note_f1 is not None]) if noted else None,
        note_f1_recorded=_mean([one.note_f1_recorded for one in scores if one.note_f1_recorded is not None])
        if noted
        else None,
        counts=np.sum([one.counts for one in scores], axis=0),
    )


def kbit_per_second(config: VQVAEConfig, level: Level) -> float:
    """What a level's codes take at log2(codebook_size) bits each."""
    return config.codes_per_second(level) * float(np.log2(config.codebook_size)) / 1_000


def _mean(values: Sequence[float]) -> float:
    """The mean of those that are finite; nan where none is."""
    finite = [value for value in values if isfinite(value)]
    return sum(finite) / len(finite) if finite else nan


if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scores = Mapping[Level, ReconstructionScore]

PANELS = (  # measure, name, unit, whether lower is better
    ("spectral_convergence_db", "Spectral convergence", "dB", True),
    ("multi_resolution_stft", "Multi-resolution STFT", "distance", True),
    ("si_sdr_db", "SI-SDR", "dB", False),
)


def draw_reconstruction(files: Sequence[Scores], together: Scores, *, title: str, about: str) -> "Figure":
    """Bars of three measures a level, with a dot a recording, and how often each code came, by rank."""
    layout = Layout(2, 3, height=230)
    levels = list(together)
    colours = {level: colour(place) for place, level in enumerate(levels)}
    page = layout.page(title, about, [(level.label, colours[level]) for level in levels])
    strewn = np.linspace(-0.22, 0.22, len(files)) if len(files) > 1 else np.zeros(len(files))
    for number, (measure, name, unit, lower) in enumerate(PANELS):
        axes = layout.panel(page, number, name, "lower is better" if lower else "higher is better")
        for place, level in enumerate(levels):
            mean = getattr(together[level], measure)
            axes.bar(place, mean, width=0.62, color=colours[level], alpha=0.35)
            values = [getattr(one[level], measure) for one in files]
            axes.scatter(place + strewn, values, s=9, color=colours[level], alpha=0.8, linewidths=0)
            if np.isfinite(mean):
                axes.annotate(
                    f"{mean:.2f}",
                    (place, 0),
                    (0, -5 if mean < 0 else 5),
                    textcoords="offset points",
                    ha="center",
                    va="top" if mean < 0 else "bottom",
                    fontsize=9,
                    color=layout.theme.ink,
                    fontweight="bold",
                )
        axes.margins(y=0.14)
        axes.axhline(0, color=layout.theme.pale, linewidth=0.6)
        axes.set_xticks(range(len(levels)), [level.label for level in levels])
        layout.name_axes(axes, "", unit)
    size = len(together[levels[0]].counts)
    axes = layout.panel(page, 3, "Use of the codebook", "dashed: all alike")
    for level in levels:
        counts = np.sort(together[level].counts)[::-1]
        shares = counts[counts > 0] / counts.sum()
        axes.plot(np.arange(1, len(shares) + 1), 100 * shares, color=colours[level], linewidth=1.6)
    axes.axhline(100 / size, color=layout.theme.pale, linewidth=1, dashes=(4, 3))
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(1, size)
    layout.name_axes(axes, "rank of the code", "share of all codes (%)")
    for number, (name, unit, most, values) in enumerate(
        (
            ("Entropy", "bits", float(np.log2(size)), [together[level].entropy_bits for level in levels]),
            ("Used codes", "codes", float(size), [float(together[level].used_codes) for level in levels]),
        ),
        4,
    ):
        axes = layout.panel(page, number, name, f"of {most:g}")
        for place, (level, value) in enumerate(zip(levels, values, strict=True)):
            axes.bar(place, value, width=0.62, color=colours[level], alpha=0.35)
            axes.text(
                place,
                value,
                f"{value:.4g}",
                ha="center",
                va="bottom",
                fontsize=9,
                color=layout.theme.ink,
                fontweight="bold",
            )
        axes.axhline(most, color=layout.theme.pale, linewidth=1, dashes=(4, 3))
        axes.set_ylim(0, 1.15 * most)
        axes.set_xticks(range(len(levels)), [level.label for level in levels])
        layout.name_axes(axes, "", unit)
    return page.figure


SHOWN_SECONDS = 10.0  # of a recording, in the picture of spectrograms


@dataclass(frozen=True, eq=False, kw_only=True)
class _Heard:
    """A recording and what each level makes of it."""

    path: Path
    samples: Samples  # (N,)
    seconds: float
    scores: Mapping[Level, ReconstructionScore]


def evaluate_reconstruction(
    audio: Sequence[Path],
    *,
    model: str = catalogue.EMBEDDED,
    held_out: Path | None = None,
    seconds: float | None = None,
    among: Sequence[Level] = TOP_DOWN,
    with_visqol: bool = False,
    plots: Path | None = None,
    listener: Listener = ignore,
) -> dict[str, Any]:
    """How well each level of a model's codec renders recordings, a file and all together.

    `audio` are files, or manifests (.jsonl), of which `held_out` (a file of globs) chooses songs. At most `seconds` of
    each are taken, from its middle, down-mixed as for encoding. Files that cannot be read are left out with a warning.
    Where a MIDI file lies beside a recording and the transcription is installed, notes are compared too. `among` are
    the levels that are judged. `plots` is a folder for pictures.
    """
    folder = catalogue.find(model)
    config, vqvae = folder.card.vqvae, folder.vqvae(CPU, tuple(among))
    rate = measures.load() if with_visqol else None
    files = recordings(audio, held_out)
    heard: list[_Heard] = []
    skipped = []
    for number, path in enumerate(files):
        listener(Progress("listening", number, len(files), path.name))
        try:
            start, most = middle(path, seconds)
            samples, _ = hear(path, folder, start=start, seconds=most)
        except BadAudio as error:
            if len(files) == 1:
                raise
            skipped.append(str(error))
            warn(listener, f"left out: {error}")
            continue
        recording = Recording(
            samples, config.sample_rate, _notes_beside(path, start, len(samples) / config.sample_rate)
        )
        scores = {level: score(vqvae, recording, level, rate=rate) for level in among}
        shown = samples if plots is not None and not heard else samples[:0]
        heard.append(_Heard(path=path, samples=shown, seconds=len(samples) / config.sample_rate, scores=scores))
    listener(Progress("listening", len(files), len(files)))
    if not heard:
        raise BadAudio(f"none of the {len(files)} recordings can be used: {skipped[0]}")
    summary = {level: together([one.scores[level] for one in heard]) for level in among}
    facts: dict[str, Any] = {
        "model": folder.card.name,
        "levels": {
            level.label: {
                "hop": config.hop(level),
                "kbit_per_second": round(kbit_per_second(config, level), 3),
                "codebook_size": config.codebook_size,
                **_figures(score),
            }
            for level, score in summary.items()
        },
        "files": [
            {
                "path": str(one.path),
                "seconds": round(one.seconds, 3),
                "levels": {level.label: _figures(score) for level, score in one.scores.items()},
            }
            for one in heard
        ],
        "skipped": skipped,
    }
    if plots is not None:
        title = f"What the codec of {folder.card.name} keeps"
        figure = draw_reconstruction([one.scores for one in heard], summary, title=title, about=_about(heard))
        facts["plots"] = [
            save_plot(plots, "reconstruction", figure),
            save_plot(
                plots,
                "reconstruction-spectrograms",
                draw_levels(_panels(vqvae, heard[0]), title=title, about="one of the recordings, from its middle"),
            ),
        ]
    return facts


def _notes_beside(recording: Path, start: float, seconds: float) -> Notes | None:
    """Return the notes of a span of the MIDI file beside a recording; None without one, or without a transcription."""
    file = next((one for end in sorted(MIDI_FILES) if (one := recording.with_suffix(end)).is_file()), None)
    if file is None:
        return None
    try:
        check_installed()
        notes = read_midi(file).part(start, seconds)
    except (MissingTool, BadInput):
        return None
    return notes if len(notes) else None


def _figures(score: ReconstructionScore) -> dict[str, Any]:
    figures = {
        "log_mel": rounded(score.log_mel),
        "stable": rounded(score.stable),
        "beat": rounded(score.beat),
        "beat_share": rounded(score.beat_share),
        "spectral_convergence_db": rounded(score.spectral_convergence_db),
        "multi_resolution_stft": rounded(score.multi_resolution_stft),
        "si_sdr_db": rounded(score.si_sdr_db),
        "entropy_bits": rounded(score.entropy_bits),
        "used_codes": score.used_codes,
    }
    if score.note_f1 is not None:
        figures |= {"note_f1": rounded(score.note_f1), "note_f1_share": rounded(score.note_f1_share)}
    return figures if score.visqol_mos is None else {**figures, "visqol_mos": rounded(score.visqol_mos)}


def _about(heard: Sequence[_Heard]) -> str:
    seconds = sum(one.seconds for one in heard)
    if len(heard) == 1:
        return f"{heard[0].path.name}, {seconds:.1f} s"
    return f"{len(heard)} recordings, {seconds:.0f} s in all · bars are means, dots recordings"


def _panels(vqvae: VQVAE, heard: _Heard) -> list[Panel]:
    """The middle of a recording, and what each level makes of it, bottom first."""
    config = vqvae.config
    hop = config.hop(Level.TOP)
    length = min(len(heard.samples), int(SHOWN_SECONDS * config.sample_rate)) // hop * hop
    start = (len(heard.samples) - length) // 2
    samples = heard.samples[start : start + length]
    panels = [Panel(name=heard.path.name, about="as recorded", samples=samples, sample_rate=config.sample_rate)]
    for level in sorted(heard.scores):
        rendering = render(vqvae, samples, level)[1]
        about = f"{config.hop(level)} audio samples a code · {kbit_per_second(config, level):.2f} kbit/s"
        panels.append(
            Panel(name=level.label.capitalize(), about=about, samples=rendering, sample_rate=config.sample_rate)
        )
    return panels
