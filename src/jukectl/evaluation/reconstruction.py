"""Reconstruction of recordings by the levels of a codec, and their use of the codebook (SPEC 7, Jukebox paper)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
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
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import entropy_bits
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadAudio, BadInput, MissingTool
from jukectl.evaluation.beat import SHORTEST_SECONDS, beat_strength
from jukectl.evaluation.inputs import CPU, middle, recordings, rounded, save_plot
from jukectl.evaluation.measures import Rate, load_visqol, multi_resolution_stft, note_f1, si_sdr_db
from jukectl.midi.notes import SUFFIXES as MIDI_FILES
from jukectl.midi.notes import Notes, read_midi
from jukectl.midi.transcribe import SAMPLE_RATE as TRANSCRIBED_RATE
from jukectl.midi.transcribe import check_installed, transcribe
from jukectl.plan import prompt as prompts
from jukectl.plots.charts import PALE, chart, label_panel, spread_dots
from jukectl.plots.sound import Panel, draw_levels
from jukectl.plots.style import colour
from jukectl.progress import Listener, Progress, ignore, warn
from jukectl.vqvae import chunks
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.model import VQVAE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHIFT_SECONDS = 0.0015  # an eighth of a code of 256 samples at 22,050 Hz
SHOWN_SECONDS = 10.0  # of a recording, in the picture of spectrograms


@dataclass(frozen=True, eq=False, kw_only=True)
class ReconstructionScore:
    """Reconstruction of one recording by one level, or of several taken together."""

    spectral_convergence_db: float  # lower is better
    multi_resolution_stft: float  # lower is better
    si_sdr_db: float  # higher is better
    visqol_mos: float | None  # 1 to about 4.7, higher is better; None if not asked for
    log_mel: float = nan  # mean distance of log mel bands, lower is better
    stable: float = nan  # share of codes that stay the same when the recording is shifted by SHIFT_SECONDS
    beat: float = nan  # see `beat_strength`; nan for a few seconds
    beat_recorded: float = nan  # the same of the recording
    note_f1: float | None = None  # of transcribed notes against those of a MIDI file; None without one
    note_f1_recorded: float | None = None  # the same of the recording
    counts: NDArray[np.int64]  # (codebook_size,) how often each code occurs

    @property
    def entropy_bits(self) -> float:
        """Entropy of the codes; an evenly used codebook has log2(codebook_size)."""
        return entropy_bits(self.counts)

    @property
    def used_codes(self) -> int:
        """Number of different codes."""
        return int(np.count_nonzero(self.counts))

    @property
    def beat_share(self) -> float:
        """Beat as a share of the recording's."""
        return self.beat / self.beat_recorded if self.beat_recorded else nan

    @property
    def note_f1_share(self) -> float | None:
        """Note F1 as a share of the recording's."""
        if self.note_f1 is None or self.note_f1_recorded is None:
            return None
        return self.note_f1 / self.note_f1_recorded if self.note_f1_recorded else nan


Scores = Mapping[Level, ReconstructionScore]


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording to reconstruct, with its own beat and note F1."""

    samples: Samples  # (N,)
    sample_rate: int  # Hz
    notes: Notes | None = None  # of its MIDI file, without drums; None without one, or without a transcription

    @cached_property
    def beat(self) -> float:
        """Beat of the recording itself."""
        return _beat(self.samples, self.sample_rate)

    @cached_property
    def note_f1(self) -> float | None:
        """Note F1 of the recording itself."""
        return self.note_f1_of(self.samples)

    def note_f1_of(self, samples: Samples) -> float | None:
        """Return the F1 of the notes transcribed from samples (N,) against those of the MIDI file."""
        if self.notes is None:
            return None
        resampled = mix.resample(samples[None], self.sample_rate, TRANSCRIBED_RATE)[0]
        return note_f1(self.notes, transcribe(resampled))


@dataclass(frozen=True, eq=False, kw_only=True)
class _FileResult:
    """The scores of a recording."""

    path: Path
    seconds: float
    scores: Scores


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
    """Measure the reconstruction of recordings by levels of a model's codec, each file and all together.

    `audio` are files, or manifests (.jsonl), of which `held_out` (a file of globs) chooses songs. At most `seconds` of
    each are taken, from its middle, down-mixed as for encoding. Files that cannot be read are skipped with a warning.
    For a MIDI file beside a recording, notes are compared too if the transcription is installed. `among` are the
    levels to measure. `plots` is a folder for pictures.
    """
    folder = catalogue.find(model)
    vqvae = folder.vqvae(CPU, tuple(among))
    rate = load_visqol() if with_visqol else None
    files = recordings(audio, held_out)
    results: list[_FileResult] = []
    skipped = []
    shown: Recording | None = None  # the first one
    for number, path in enumerate(files):
        listener(Progress("encoding", number, len(files), path.name))
        try:
            recording = _load(path, folder, seconds)
        except BadAudio as error:
            if len(files) == 1:
                raise
            skipped.append(str(error))
            warn(listener, f"skipped: {error}")
            continue
        scores = {level: score(vqvae, recording, level, rate=rate) for level in among}
        shown = shown or recording
        results.append(_FileResult(path=path, seconds=len(recording.samples) / recording.sample_rate, scores=scores))
    listener(Progress("encoding", len(files), len(files)))
    if shown is None:
        raise BadAudio(f"none of the {len(files)} recordings can be used: {skipped[0]}")
    summary = {level: together([one.scores[level] for one in results]) for level in among}
    facts = {
        "model": folder.card.name,
        "levels": {level.label: _level_facts(folder.card.vqvae, level, one) for level, one in summary.items()},
        "files": [_file_facts(one) for one in results],
        "skipped": skipped,
    }
    if plots is not None:
        title = f"Reconstruction by the codec of {folder.card.name}"
        about = "one of the recordings, from its middle"
        figure = draw_reconstruction([one.scores for one in results], summary, title=title, about=_about(results))
        spectrograms = draw_levels(_panels(vqvae, results[0].path, shown, among), title=title, about=about)
        facts["plots"] = [
            save_plot(plots, "reconstruction", figure),
            save_plot(plots, "reconstruction-spectrograms", spectrograms),
        ]
    return facts


def _load(path: Path, folder: ModelFolder, seconds: float | None) -> Recording:
    """Load the middle of a recording, and the notes of the MIDI file beside it."""
    start, most = middle(path, seconds)
    samples, _ = prompts.load_samples(prompts.Recording(path, start, most), folder)
    rate = folder.card.vqvae.sample_rate
    return Recording(samples, rate, _notes_beside(path, start, len(samples) / rate))


def _notes_beside(recording: Path, start: float, seconds: float) -> Notes | None:
    """Return the notes of a span of the MIDI file beside a recording; None without one, or without a transcription."""
    file = next((one for suffix in sorted(MIDI_FILES) if (one := recording.with_suffix(suffix)).is_file()), None)
    if file is None:
        return None
    try:
        check_installed()
        notes = read_midi(file).part(start, seconds)
    except (MissingTool, BadInput):
        return None
    return notes if len(notes) else None


def score(
    vqvae: VQVAE, recording: Recording | Samples, level: Level, *, rate: Rate | None = None
) -> ReconstructionScore:
    """Encode and decode a recording (N,), N a multiple of the level's hop, and compare. `rate` is ViSQOL."""
    if not isinstance(recording, Recording):
        recording = Recording(recording, vqvae.config.sample_rate)
    audio, sample_rate = recording.samples, recording.sample_rate
    codes, predicted = render(vqvae, audio, level)
    return ReconstructionScore(
        spectral_convergence_db=spectral_convergence_db(audio, predicted),
        multi_resolution_stft=multi_resolution_stft(audio, predicted),
        si_sdr_db=si_sdr_db(audio, predicted),
        visqol_mos=rate(audio, predicted, sample_rate) if rate else None,
        log_mel=float(log_mel_distance(torch.from_numpy(predicted)[None], torch.from_numpy(audio)[None], sample_rate)),
        stable=stable_share(vqvae, audio, codes, level),
        beat=_beat(predicted, sample_rate),
        beat_recorded=recording.beat,
        note_f1=recording.note_f1_of(predicted),
        note_f1_recorded=recording.note_f1,
        counts=np.bincount(codes, minlength=vqvae.config.codebook_size),
    )


def render(vqvae: VQVAE, audio: Samples, level: Level) -> tuple[NDArray[np.int64], Samples]:
    """Return the codes (T,) of audio (N,), N a multiple of the level's hop, and the audio (N,) decoded from them."""
    codes = chunks.encode(vqvae, torch.from_numpy(audio)[None], level)  # (1, T)
    predicted = torch.cat([piece[0] for piece in chunks.decode(vqvae, codes, level)])  # (N,)
    return codes[0].numpy(), predicted.numpy()


def stable_share(vqvae: VQVAE, audio: Samples, codes: NDArray[np.int64], level: Level) -> float:
    """Return the share of codes (T,) of audio (N,) that stay the same when it begins SHIFT_SECONDS later."""
    shifted = audio[round(SHIFT_SECONDS * vqvae.config.sample_rate) :]
    again = chunks.encode(vqvae, torch.from_numpy(np.ascontiguousarray(shifted))[None], level)[0].numpy()
    return float((again == codes[: len(again)]).mean()) if len(again) else nan


def _beat(samples: Samples, sample_rate: int) -> float:
    """Return the beat strength of samples; nan if they are too short."""
    return beat_strength(samples, sample_rate) if len(samples) >= SHORTEST_SECONDS * sample_rate else nan


def together(scores: Sequence[ReconstructionScore]) -> ReconstructionScore:
    """Combine recordings: the means of their finite figures, and the codes of all."""
    measured = [field.name for field in fields(ReconstructionScore) if field.name != "counts"]
    return ReconstructionScore(
        **{name: _mean([getattr(one, name) for one in scores]) for name in measured},
        counts=np.sum([one.counts for one in scores], axis=0),
    )


def _mean(values: Sequence[float | None]) -> Any:
    """Return the mean of the finite values, nan if there are none; None if no value was measured."""
    measured = [value for value in values if value is not None]
    finite = [value for value in measured if isfinite(value)]
    if not measured:
        return None
    return sum(finite) / len(finite) if finite else nan


def kbit_per_second(config: VQVAEConfig, level: Level) -> float:
    """Return the bit rate of a level's codes, at log2(codebook_size) bits each."""
    return config.codes_per_second(level) * float(np.log2(config.codebook_size)) / 1_000


def _level_facts(config: VQVAEConfig, level: Level, score: ReconstructionScore) -> dict[str, Any]:
    """Return the figures of a level for JSON."""
    return {
        "hop": config.hop(level),
        "kbit_per_second": round(kbit_per_second(config, level), 3),
        "codebook_size": config.codebook_size,
        **_figures(score),
    }


def _file_facts(result: _FileResult) -> dict[str, Any]:
    """Return the figures of a recording for JSON."""
    return {
        "path": str(result.path),
        "seconds": round(result.seconds, 3),
        "levels": {level.label: _figures(score) for level, score in result.scores.items()},
    }


def _figures(score: ReconstructionScore) -> dict[str, Any]:
    """Return the figures of a score for JSON, those of notes and of ViSQOL only if measured."""
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


def _about(results: Sequence[_FileResult]) -> str:
    """Return the line under the title of the picture."""
    seconds = sum(one.seconds for one in results)
    if len(results) == 1:
        return f"{results[0].path.name}, {seconds:.1f} s"
    return f"{len(results)} recordings, {seconds:.0f} s in all · bars are means, dots recordings"


def _panels(vqvae: VQVAE, path: Path, recording: Recording, levels: Sequence[Level]) -> list[Panel]:
    """Return the middle of a recording, and its reconstruction by each level, bottom first."""
    config = vqvae.config
    hop = config.hop(Level.TOP)
    length = min(len(recording.samples), int(SHOWN_SECONDS * config.sample_rate)) // hop * hop
    start = (len(recording.samples) - length) // 2
    samples = recording.samples[start : start + length]
    panels = [Panel(name=path.name, about="as recorded", samples=samples, sample_rate=config.sample_rate)]
    for level in sorted(levels):
        decoded = render(vqvae, samples, level)[1]
        about = f"{config.hop(level)} audio samples per code · {kbit_per_second(config, level):.2f} kbit/s"
        panel = Panel(name=level.label.capitalize(), about=about, samples=decoded, sample_rate=config.sample_rate)
        panels.append(panel)
    return panels


PANELS = (  # measure, name, unit, remark
    ("spectral_convergence_db", "Spectral convergence", "dB", "lower is better"),
    ("multi_resolution_stft", "Multi-resolution STFT", "distance", "lower is better"),
    ("si_sdr_db", "SI-SDR", "dB", "higher is better"),
)


def draw_reconstruction(files: Sequence[Scores], together: Scores, *, title: str, about: str) -> "Figure":
    """Draw bars of three measures per level with a dot per recording, and the use of the codebook."""
    levels = list(together)
    size = len(together[levels[0]].counts)
    key = [(level.label, colour(place)) for place, level in enumerate(levels)]
    with chart(title, about, rows=2, columns=3, key=key) as (figure, panels):
        for axes, (measure, name, unit, remark) in zip(panels, PANELS, strict=False):
            label_panel(axes, name, remark, y=unit)
            _draw_measure(axes, measure, files, together)
        usage, entropy, used = panels[3:]
        label_panel(usage, "Use of the codebook", "dashed: all equal", x="rank of the code", y="share of all codes (%)")
        _draw_usage(usage, together)
        label_panel(entropy, "Entropy", f"of {np.log2(size):g}", y="bits")
        _draw_bars(entropy, {level: one.entropy_bits for level, one in together.items()}, float(np.log2(size)))
        label_panel(used, "Used codes", f"of {size}", y="codes")
        _draw_bars(used, {level: one.used_codes for level, one in together.items()}, size)
    return figure


def _draw_measure(axes: "Axes", measure: str, files: Sequence[Scores], together: Scores) -> None:
    """Draw the mean of a measure per level as a bar, and the recordings as dots."""
    for place, (level, score) in enumerate(together.items()):
        mean = getattr(score, measure)
        axes.bar(place, mean, width=0.62, color=colour(place), alpha=0.35)
        values = [getattr(one[level], measure) for one in files]
        axes.scatter(spread_dots(place, len(files), 0.44), values, s=9, color=colour(place), alpha=0.8, linewidths=0)
        if np.isfinite(mean):
            below = mean < 0
            axes.annotate(
                f"{mean:.2f}",
                (place, 0),
                (0, -5 if below else 5),
                textcoords="offset points",
                ha="center",
                va="top" if below else "bottom",
                fontsize=9,
                fontweight="bold",
            )
    axes.margins(y=0.14)
    axes.axhline(0, color=PALE, linewidth=0.6)
    axes.set_xticks(range(len(together)), [level.label for level in together])


def _draw_usage(axes: "Axes", together: Scores) -> None:
    """Draw the share of each code by rank, on logarithmic axes."""
    size = len(next(iter(together.values())).counts)
    for place, score in enumerate(together.values()):
        counts = np.sort(score.counts)[::-1]
        shares = counts[counts > 0] / counts.sum()
        axes.plot(np.arange(1, len(shares) + 1), 100 * shares, color=colour(place), linewidth=1.6)
    axes.axhline(100 / size, color=PALE, linewidth=1, dashes=(4, 3))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set_xlim(1, size)


def _draw_bars(axes: "Axes", values: Mapping[Level, float], most: float) -> None:
    """Draw a value per level as a bar, below a dashed line at the largest possible value."""
    for place, value in enumerate(values.values()):
        axes.bar(place, value, width=0.62, color=colour(place), alpha=0.35)
        axes.text(place, value, f"{value:.4g}", ha="center", va="bottom", fontsize=9, fontweight="bold")
    axes.axhline(most, color=PALE, linewidth=1, dashes=(4, 3))
    axes.set_ylim(0, 1.15 * most)
    axes.set_xticks(range(len(values)), [level.label for level in values])
