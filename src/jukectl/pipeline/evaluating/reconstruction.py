"""How well each level of a codec renders recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jukectl.audio.mix import Samples
from jukectl.checkpoints import catalogue
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadAudio, BadInput, MissingTool
from jukectl.evaluation import reconstruction, visqol
from jukectl.evaluation.plots import Panel, draw_levels
from jukectl.evaluation.reconstruction import ReconstructionScore, Recording
from jukectl.evaluation.reconstruction_plot import draw_reconstruction
from jukectl.midi.notes import SUFFIXES as MIDI_FILES
from jukectl.midi.notes import Notes, read_midi
from jukectl.midi.transcribe import check_installed
from jukectl.pipeline.encoding import hear
from jukectl.pipeline.evaluating.inputs import CPU, middle, recordings, rounded, save_plot
from jukectl.progress import Progress, Report, Warn, silent, unheard
from jukectl.vqvae.model import VQVAE

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
    report: Report = silent,
    warn: Warn = unheard,
) -> dict[str, Any]:
    """How well each level of a model's codec renders recordings, a file and all together.

    `audio` are files, or manifests (.jsonl), of which `held_out` (a file of globs) chooses songs. At most `seconds` of
    each are taken, from its middle, down-mixed as for encoding. Files that cannot be read are left out with a warning.
    Where a MIDI file lies beside a recording and the transcription is installed, notes are compared too. `among` are
    the levels that are judged.
    `plots` is a folder for pictures.
    """
    folder = catalogue.find(model)
    config, vqvae = folder.card.vqvae, folder.vqvae(CPU, tuple(among))
    rate = visqol.load() if with_visqol else None
    files = recordings(audio, held_out)
    heard: list[_Heard] = []
    skipped = []
    for number, path in enumerate(files):
        report(Progress("listening", number, len(files), path.name))
        try:
            start, most = middle(path, seconds)
            samples, _ = hear(path, folder, start=start, seconds=most)
        except BadAudio as error:
            if len(files) == 1:
                raise
            skipped.append(str(error))
            warn(f"left out: {error}")
            continue
        recording = Recording(
            samples, config.sample_rate, _notes_beside(path, start, len(samples) / config.sample_rate)
        )
        scores = {level: reconstruction.score(vqvae, recording, level, rate=rate) for level in among}
        shown = samples if plots is not None and not heard else samples[:0]
        heard.append(_Heard(path=path, samples=shown, seconds=len(samples) / config.sample_rate, scores=scores))
    report(Progress("listening", len(files), len(files)))
    if not heard:
        raise BadAudio(f"none of the {len(files)} recordings can be used: {skipped[0]}")
    together = {level: reconstruction.together([one.scores[level] for one in heard]) for level in among}
    facts: dict[str, Any] = {
        "model": folder.card.name,
        "levels": {
            level.label: {
                "hop": config.hop(level),
                "kbit_per_second": round(reconstruction.kbit_per_second(config, level), 3),
                "codebook_size": config.codebook_size,
                **_figures(score),
            }
            for level, score in together.items()
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
        figure = draw_reconstruction([one.scores for one in heard], together, title=title, about=_about(heard))
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
        rendering = reconstruction.render(vqvae, samples, level)[1]
        about = f"{config.hop(level)} audio samples a code · {reconstruction.kbit_per_second(config, level):.2f} kbit/s"
        panels.append(
            Panel(name=level.label.capitalize(), about=about, samples=rendering, sample_rate=config.sample_rate)
        )
    return panels
