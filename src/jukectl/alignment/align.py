"""Word times of lyrics in a recording: vocal separation, then forced alignment."""

from dataclasses import dataclass
from pathlib import Path

from jukectl.alignment.separation import DemucsSeparator, Separator
from jukectl.alignment.song import Found, align_lines, align_text
from jukectl.alignment.sphinx import Aligner, SphinxAligner
from jukectl.audio.io import load
from jukectl.audio.mix import resample, to_mono
from jukectl.errors import BadInput
from jukectl.folders import check_file
from jukectl.lyrics import files
from jukectl.lyrics.value import Lyrics
from jukectl.plan.device import choose
from jukectl.progress import Listener, Progress, ignore, warn

NAMED = 8  # words that a warning names


@dataclass(frozen=True)
class Separation:
    """Source of the vocals: a separator, or the recording as it is."""

    wanted: bool = True
    weights: str | None = None  # a file, a folder or a name on the hub; None: the usual one from there
    device: str = "auto"


def align_file(
    audio: Path,
    text: Path,
    out: Path,
    *,
    file_format: str | None = None,
    separation: Separation | None = None,
    separator: Separator | None = None,
    aligner: Aligner | None = None,
    listener: Listener = ignore,
) -> Found:
    """Align a text, or an LRC file with times of lines, with a recording, and write the times of its words.

    `separator` and `aligner` replace demucs and pocketsphinx. Raises BadInput, BadAudio and MissingTool before anything
    is written; warns of words that were guessed or left out.
    """
    written = files.format_of(out, file_format)
    if out.exists():
        check_file(out, (f".{name}" for name in files.WRITERS), "a file of times that is replaced", [audio, text])
    lyrics = Lyrics.read(text)
    recording = load(audio)
    aligner = aligner or SphinxAligner()
    separation = separation or Separation()
    samples, rate = recording.samples, recording.sample_rate
    if separation.wanted:
        separator = separator or DemucsSeparator.load(separation.weights, str(choose(separation.device).device))
        listener(Progress("separating the voice", 0, 1))
        samples, rate = separator.vocals(samples, rate)[None], separator.sample_rate
        listener(Progress("separating the voice", 1, 1))
    mono = resample(to_mono(samples), rate, aligner.sample_rate)

    def watch(done: int, total: int) -> None:
        listener(Progress("aligning words", done, total))

    if lyrics.timed is None:
        found = align_text(mono, aligner.sample_rate, lyrics.text, aligner, watch)
    else:
        found = align_lines(mono, aligner.sample_rate, lyrics.timed, aligner, watch)
    if not found.lyrics.words:
        raise BadInput(f"{text} has no words that can be sung")
    files.write(found.lyrics, out, written)
    _warn(found, listener)
    return found


def _warn(found: Found, listener: Listener) -> None:
    guessed = [word.text for word in found.lyrics.words if word.guessed]
    if guessed:
        warn(
            listener,
            f"{len(guessed)} of {len(found.lyrics.words)} words could not be aligned, so they are spread evenly over "
            f"the loud parts near them: {_named(guessed)}",
        )
    if found.unsure:
        warn(listener, f"not in the dictionary, so aligned by their spelling: {_named(found.unsure)}")
    if found.left_out:
        warn(listener, f"not sung, so they have no time: {_named(found.left_out)}")


def _named(words: tuple[str, ...] | list[str]) -> str:
    more = [f"{len(words) - NAMED} more"] if len(words) > NAMED else []
    return ", ".join([*words[:NAMED], *more])
