"""The notes that a song follows: read or heard, kept in its folder, and found there again."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from jukectl.audio import io, mix
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.recipe import Recipe, Score
from jukectl.codes.song import Song
from jukectl.errors import BadInput, NotASong, RecipeDiffers
from jukectl.files import atomic_write
from jukectl.midi.notes import SUFFIXES, Notes, midi_of, parse_midi
from jukectl.midi.roll import CoveredNotes
from jukectl.midi.transcribe import SAMPLE_RATE, check_installed, transcribe
from jukectl.plan.conditioning import check_notes
from jukectl.plan.request import Request


@dataclass(frozen=True, eq=False)
class GivenNotes:
    """Notes that a user gives, before they are a song's."""

    source: Path
    data: bytes  # of a MIDI file
    notes: Notes

    def score(self, start: float) -> Score:
        """How a recipe names them, where they begin at `start` seconds of the song."""
        return Score(
            source=str(self.source.absolute()), sha256=hashlib.sha256(self.data).hexdigest(), start=round(start, 6)
        )


def with_notes(request: Request, folder: ModelFolder) -> tuple[Request, GivenNotes | None]:
    """The notes that a request names, and the request with their length where it asks for that. BadInput."""
    if request.midi is None:
        return request, None
    check_notes(folder.card)  # before minutes of transcribing
    given = given_notes(request.midi)
    return _long_as_notes(request, given), given


def given_notes(path: Path) -> GivenNotes:
    """The notes of a MIDI file, or of a recording, which is transcribed. BadInput."""
    if path.suffix.lower() in SUFFIXES:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
    else:
        data = midi_of(notes_of_recording(path))
    return GivenNotes(path, data, parse_midi(data, path))


def notes_of_recording(path: Path) -> Notes:
    """The notes of a recording, transcribed. BadAudio, BadInput where there are none, MissingTool."""
    check_installed()
    audio = io.load(path)
    mono = mix.resample(mix.to_mono(audio.samples)[None], audio.sample_rate, SAMPLE_RATE)[0]
    notes = transcribe(mono)
    if not len(notes):
        raise BadInput(f"no notes are heard in {path}")
    return notes


def _long_as_notes(request: Request, given: GivenNotes) -> Request:
    if not request.seconds_of_midi:
        return request
    seconds = given.notes.seconds + request.midi_at
    if not seconds > 0:
        raise BadInput(f"--midi-at {request.midi_at:g} leaves nothing of {given.source}: it ends before")
    return replace(request, seconds=seconds)


def keep_notes(song: Song, given: GivenNotes | None) -> None:
    """Write a song's notes into its folder. Raises CannotWrite."""
    if given is not None:
        _write(song, given.data)


def carry_notes(song: Song, target: Song, recipe: Recipe | None) -> None:
    """Copy the notes that a recipe follows from one song to another that is taken of it."""
    if recipe is not None and recipe.midi is not None and not target.notes_path.exists():
        _write(target, _data(song, recipe.midi))


def notes_of(song: Song, recipe: Recipe) -> CoveredNotes | None:
    """The notes that a song's recipe follows, in the song's time. NotASong or RecipeDiffers where they are not there.

    They are told from where they begin to where the last one ends; before and after, the music is free.
    """
    score = recipe.midi
    if score is None:
        return None
    notes = parse_midi(_data(song, score), song.notes_path).moved(score.start)
    return CoveredNotes(notes, score.start, notes.seconds)


def _data(song: Song, score: Score) -> bytes:
    """The song's MIDI file, or where that is gone its source, which must be the recipe's."""
    kept = song.notes_path.exists()
    path = song.notes_path if kept else Path(score.source)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotASong(
            f"{song.path} has no {song.notes_path.name}, whose notes it follows, and {score.source} cannot take its "
            "place. Put it back"
        ) from error
    if hashlib.sha256(data).hexdigest() != score.sha256:
        raise RecipeDiffers(
            f"{path} has not the notes that the recipe of {song.path} names: it was changed. Put the right one back"
        )
    return data


def _write(song: Song, data: bytes) -> None:
    with atomic_write(song.notes_path) as file:
        file.write(data)
