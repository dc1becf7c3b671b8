"""Agreement of a model's music with the notes it is conditioned on: transcribed, and compared by note F1."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jukectl.audio import io, mix
from jukectl.checkpoints import catalogue
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.data.scan import read_overrides, read_tags
from jukectl.errors import BadInput
from jukectl.evaluation.inputs import rounded
from jukectl.evaluation.measures import note_f1
from jukectl.midi.notes import SUFFIXES as MIDI_FILES
from jukectl.midi.notes import Notes, read_midi
from jukectl.midi.transcribe import SAMPLE_RATE, check_installed, transcribe
from jukectl.plan.conditioning import check_notes
from jukectl.plan.job import prepare_new
from jukectl.plan.request import DEFAULT_SECONDS, Request
from jukectl.progress import Listener, Progress, ignore
from jukectl.render.decode import decode
from jukectl.render.encode import encode
from jukectl.render.song import run

RECORDINGS = (".flac", ".wav", ".ogg", ".opus", ".mp3", ".m4a")
"""Suffixes of a recording of the music beside a MIDI file."""

DIGITS = 6  # of F1 in JSON, so that tables round it once

Transcriber = Callable[[NDArray[np.float32]], Notes]
"""A function of samples (N,), mono at the rate of the transcription, to notes."""


@dataclass(frozen=True, eq=False)
class Tune:
    """A MIDI file, and the recording beside it, whose tags have the style."""

    name: str
    path: Path
    notes: Notes  # without drums, those that start in the seconds compared
    seconds: float  # of the whole file
    recording: Path | None
    artist: str | None
    genres: tuple[str, ...]

    @classmethod
    def read(cls, path: Path, seconds: float) -> "Tune":
        """Read a MIDI file. Raises BadInput if its first `seconds` have no notes other than drums."""
        notes = read_midi(path)
        first = notes.part(0.0, seconds)
        if not len(first):
            raise BadInput(f"{path} has no notes in its first {seconds:g} s but drums, which are not transcribed")
        recording = next((one for suffix in RECORDINGS if (one := path.with_suffix(suffix)).is_file()), None)
        artist, genres = _style(recording) if recording is not None else (None, ())
        return cls(path.stem, path, first, notes.seconds, recording, artist, genres)

    def has_notes_of(self, other: "Tune") -> bool:
        """Return whether another file has the same notes: one tune in two renderings."""
        return np.array_equal(self.notes.starts, other.notes.starts) and np.array_equal(
            self.notes.pitches, other.notes.pitches
        )


def _style(recording: Path) -> tuple[str | None, tuple[str, ...]]:
    """Return artist and genres of a recording, by its tags and the corrections beside it."""
    tags, (corrected, _) = read_tags(recording), read_overrides(recording)
    artist = corrected.artist if corrected.artist is not None else next(iter(tags.get("artist", ())), "")
    return artist or None, corrected.genres if corrected.genres is not None else tags.get("genre", ())


@dataclass(frozen=True)
class _Variant:
    """A way to make audio of a tune: a row of the result."""

    name: str
    guidance: float | None
    audio: Callable[[Tune, Path], Path]  # of a tune, with a folder for new songs


def evaluate_midi(
    model: str,
    files: Sequence[Path],
    request: Request,
    *,
    guidance: Sequence[float] = (1.0,),
    out: Path | None = None,
    transcriber: Transcriber | None = None,
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Measure the note F1 of samples conditioned on MIDI files, by their own notes and by those of the other files.

    Samples without notes are measured too, and for recordings beside the files the recordings and their top codes
    decoded, which are the ceiling of that level. `request` has the seconds and the options of the samples; artist and
    genre that it leaves open are those of the recording's tags. Songs are kept in `out` and used again, or dropped for
    None. Raises MissingTool without a transcription, BadInput if the model has no MIDI conditioner.
    """
    if not files:
        raise BadInput("give MIDI files whose notes are to be followed")
    if wrong := [path for path in files if path.suffix.lower() not in MIDI_FILES]:
        raise BadInput(f"{wrong[0]} is no MIDI file by its name: its notes must be known exactly")
    folder = catalogue.find(model)
    check_notes(folder.card)
    if transcriber is None:
        check_installed()
        transcriber = transcribe
    seconds = DEFAULT_SECONDS if request.seconds is None else request.seconds
    request = replace(request, seconds=seconds)
    tunes = [Tune.read(path, seconds) for path in files]
    if len({tune.name for tune in tunes}) < len(tunes):
        raise BadInput("two of the files have the same name, and songs are named after them: rename one")
    variants = _variants(tunes, _Songs(replace(request, model=model), listener), guidance)
    rows = []
    with _kept_in(out) as place:
        for number, variant in enumerate(variants):
            found = []
            for index, tune in enumerate(tunes):
                listener(Progress("following notes", number * len(tunes) + index, len(variants) * len(tunes)))
                found.append(transcriber(_beginning(variant.audio(tune, place), seconds)))
            rows.append({"what": variant.name, "guidance": variant.guidance, **_facts(tunes, found)})
    listener(Progress("following notes", len(variants) * len(tunes), len(variants) * len(tunes)))
    return {
        "model": folder.card.name,
        "seconds": seconds,
        "seed": request.seed,
        "levels": [level.label for level in request.levels or TOP_DOWN],
        "files": [str(path) for path in files],
        "rows": rows,
        "out": None if out is None else str(out),
    }


def _variants(tunes: Sequence[Tune], songs: "_Songs", guidance: Sequence[float]) -> list[_Variant]:
    """List the ways to make audio of tunes, those of recordings if every tune has one."""
    variants = []
    if all(tune.recording is not None for tune in tunes):
        variants += [_Variant("recording", None, _recording), _Variant("codec", None, songs.through_codec)]
    variants.append(_Variant("free", None, songs.free))
    return variants + [_Variant("notes", strength, songs.following(strength)) for strength in guidance]


@dataclass(frozen=True)
class _Songs:
    """Songs of tunes, each in its own folder. The methods return the audio file of a tune."""

    request: Request
    listener: Listener

    def free(self, tune: Tune, place: Path) -> Path:
        """Sample without notes."""
        return self._sample(tune, place / "free" / tune.name, self.request)

    def following(self, guidance: float) -> Callable[[Tune, Path], Path]:
        """Return a function that samples with the tune's notes at a guidance."""

        def sampled(tune: Tune, place: Path) -> Path:
            settings = {**self.request.settings, "guidance": {Level.TOP: guidance}}
            request = replace(self.request, midi=tune.path, settings=settings)
            return self._sample(tune, place / f"notes-{guidance:g}" / tune.name, request)

        return sampled

    def through_codec(self, tune: Tune, place: Path) -> Path:
        """Encode the tune's recording at the top level and decode it."""
        assert tune.recording is not None
        folder = place / "codec" / tune.name
        file, request = Song(folder).preview_path(Level.TOP, 0), self.request
        if not file.exists():
            plain = Request(model=request.model, device=request.device)
            encode(tune.recording, folder, plain, levels=(Level.TOP,), seconds=request.seconds)
            decode(folder, plain, level=Level.TOP)
        return file

    def _sample(self, tune: Tune, folder: Path, request: Request) -> Path:
        """Sample a song in the style of the tune's recording."""
        length = max(tune.seconds, request.seconds or 0.0)
        styled = replace(
            request,
            artist=tune.artist if request.artist is None else request.artist,
            genres=request.genres or tune.genres,
            song_seconds=length if request.song_seconds is None else request.song_seconds,
        )
        return run(prepare_new(folder, styled, listener=self.listener)).audio[0]


def _recording(tune: Tune, place: Path) -> Path:
    """Return the recording of a tune."""
    assert tune.recording is not None
    return tune.recording


@contextmanager
def _kept_in(out: Path | None) -> Iterator[Path]:
    """Yield the folder for songs, a temporary one for None."""
    if out is not None:
        yield out
        return
    with TemporaryDirectory(prefix="jukectl-midi-") as name:
        yield Path(name)


def _beginning(path: Path, seconds: float) -> NDArray[np.float32]:
    """Load the beginning of an audio file, mono at the rate of the transcription."""
    audio = io.load(path, seconds=seconds)
    samples: NDArray[np.float32] = mix.resample(mix.to_mono(audio.samples)[None], audio.sample_rate, SAMPLE_RATE)[0]
    return samples


def _facts(tunes: Sequence[Tune], found: Sequence[Notes]) -> Mapping[str, Any]:
    """Return the F1 of the notes found in each tune against its own notes and the others', and means, for JSON."""
    own = [note_f1(tune.notes, notes) for tune, notes in zip(tunes, found, strict=True)]
    others = [
        [note_f1(other.notes, notes) for other in tunes if not tune.has_notes_of(other)]
        for tune, notes in zip(tunes, found, strict=True)
    ]
    strangers = [float(np.mean(one)) for one in others if one]
    return {
        "own": rounded(float(np.mean(own)), DIGITS),
        "others": rounded(float(np.mean(strangers)), DIGITS) if strangers else None,
        "notes": rounded(float(np.mean([len(notes) for notes in found])), 1),
        "songs": [
            {
                "name": tune.name,
                "own": rounded(own[index], DIGITS),
                "others": rounded(float(np.mean(others[index])), DIGITS) if others[index] else None,
                "notes": len(found[index]),
            }
            for index, tune in enumerate(tunes)
        ],
    }
