"""Vocals and accompaniment of songs and recordings, as files: `jukectl stems`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jukectl.alignment.separation import STEMS, DemucsSeparator, StereoSeparator
from jukectl.audio import io
from jukectl.audio.mix import Samples, peak, resample, to_mono
from jukectl.codes.level import Level
from jukectl.codes.prefix import codes_of_song
from jukectl.codes.song import Song, audio_paths
from jukectl.codes.tree import is_tree
from jukectl.errors import BadInput
from jukectl.files import make_folder
from jukectl.plan.device import choose
from jukectl.progress import Listener, Progress, ignore

VOCALS, ACCOMPANIMENT = "vocals", "accompaniment"
WHAT = "separating the voice"


@dataclass(frozen=True)
class StemOptions:
    """Source of the separator's weights, and format of the stems."""

    format: str = "wav"
    weights: str | None = None  # a file, a folder or a name on the hub; None: the usual one from there
    device: str = "auto"


def stems_of_song(
    path: Path,
    options: StemOptions | None = None,
    *,
    sample: int | None = None,
    separator: StereoSeparator | None = None,
    listener: Listener = ignore,
) -> list[Path]:
    """Separate the final audio of a song's samples, or of one, into audio/0-vocals.wav and audio/0-accompaniment.wav.

    `separator` replaces demucs. Raises BadInput without final audio, MissingTool, CannotFetch, BadModel, CannotWrite.
    """
    options = options or StemOptions()
    song, files = Song.open(path), _final_audio(path, sample)
    separator = separator or _demucs(options)
    with song.lock():
        make_folder(path / "audio")
        written: list[Path] = []
        for done, (number, file) in enumerate(files.items()):
            listener(Progress(WHAT, done, len(files)))
            written += _separate(file, path / "audio" / str(number), options, separator)
        listener(Progress(WHAT, len(files), len(files)))
    return written


def stems_of_recording(
    audio: Path,
    base: Path,
    options: StemOptions | None = None,
    *,
    separator: StereoSeparator | None = None,
    listener: Listener = ignore,
) -> list[Path]:
    """Separate a recording into `base`-vocals.wav and `base`-accompaniment.wav; see `stems_of_song`.

    Raises BadAudio for a file that is no recording.
    """
    options = options or StemOptions()
    io.load(audio)  # before weights are fetched
    separator = separator or _demucs(options)
    listener(Progress(WHAT, 0, 1))
    written = list(_separate(audio, base, options, separator))
    listener(Progress(WHAT, 1, 1))
    return written


def separate(samples: Samples, sample_rate: int, separator: StereoSeparator) -> tuple[Samples, Samples]:
    """Return vocals and accompaniment (C, N) of samples (C, N), whose sum is the samples.

    If one of them is over full scale, both are scaled down by the same factor.
    """
    voice = resample(separator.voices(samples, sample_rate), separator.sample_rate, sample_rate)
    if len(voice) != len(samples):
        voice = np.repeat(to_mono(voice)[None], len(samples), axis=0)
    length = samples.shape[1]
    voice = np.pad(voice[:, :length], ((0, 0), (0, max(0, length - voice.shape[1]))))
    rest = samples - voice
    scale = max(1.0, peak(voice), peak(rest))
    return voice / scale, rest / scale


def _separate(file: Path, base: Path, options: StemOptions, separator: StereoSeparator) -> Iterator[Path]:
    """Write the stems of an audio file, and yield their paths."""
    audio = io.load(file)
    stems = separate(audio.samples, audio.sample_rate, separator)
    for name, samples in zip((VOCALS, ACCOMPANIMENT), stems, strict=True):
        path = base.with_name(f"{base.name}-{name}.{options.format}")
        io.save(path, samples, audio.sample_rate)
        yield path


def _final_audio(path: Path, sample: int | None) -> dict[int, Path]:
    """Return the final audio files of a song's samples. Raises BadInput if there are none, or not of that sample."""
    if is_tree(path):
        raise BadInput(f"{path} is a tree: extract a leaf first, with jukectl pick {path} --leaf 0.1")
    song = Song.open(path)
    count = max((codes.samples for codes in codes_of_song(song).values()), default=0)
    found = audio_paths(song, Level.BOTTOM, range(count), None)
    files = {number: file for number, file in found.items() if file.exists() and sample in (None, number)}
    if sample is not None and not 0 <= sample < count:
        raise BadInput(f"{path} has the samples 0 to {count - 1}; got --sample {sample}")
    if not files:
        raise BadInput(f"{path} has no final audio to separate. Make it with: jukectl upsample {path}")
    return files


def _demucs(options: StemOptions) -> DemucsSeparator:
    """Load demucs. Raises MissingTool, CannotFetch and BadModel with the way out."""
    return DemucsSeparator.load(options.weights, str(choose(options.device).device), STEMS)
