"""Notes that a song follows: read from a MIDI file or transcribed, kept in the song folder, and read from there."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from jukectl.audio import io, mix
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.recipe import Recipe, Score
from jukectl.codes.song import Song
from jukectl.errors import BadInput, NotASong, RecipeDiffers
from jukectl.files import atomic_write, read_bytes
from jukectl.midi.notes import LARGEST, SUFFIXES, Notes, midi_of, parse_midi
from jukectl.midi.roll import CoveredNotes
from jukectl.midi.transcribe import SAMPLE_RATE, check_installed, transcribe
from jukectl.plan.conditioning import check_notes
from jukectl.plan.request import Request


@dataclass(frozen=True, eq=False)
class GivenNotes:
    """Notes that a user gives, before they belong to a song."""

    source: Path
    data: bytes  # of a MIDI file
    notes: Notes

    def score(self, start: float) -> Score:
        """Return their recipe entry, for notes that begin at `start` seconds of the song."""
        return Score(
            source=str(self.source.absolute()), sha256=hashlib.sha256(self.data).hexdigest(), start=round(start, 6)
        )


def with_notes(request: Request, folder: ModelFolder) -> tuple[Request, GivenNotes | None]:
    """Return a request and the notes that it names, whose length is the new music's if it names none. BadInput."""
    if request.midi is None:
        return request, None
    check_notes(folder.card)  # before minutes of transcribing
    given = given_notes(request.midi)
    if request.seconds is not None:
        return request, given
    seconds = given.notes.seconds + request.midi_at
    if not seconds > 0:
        raise BadInput(f"--midi-at {request.midi_at:g} leaves nothing of {given.source}: it ends before")
    return replace(request, seconds=seconds), given


def given_notes(path: Path) -> GivenNotes:
    """Return the notes of a MIDI file, or of a recording, which is transcribed. BadInput."""
    if path.suffix.lower() in SUFFIXES:
        data = read_bytes(path, BadInput, "notes", largest=LARGEST)
    else:
        data = midi_of(notes_of_recording(path))
    return GivenNotes(path, data, parse_midi(data, path))


def notes_of_recording(path: Path) -> Notes:
    """Transcribe a recording. BadAudio, BadInput if it has no notes, MissingTool."""
    check_installed()
    audio = io.load(path)
    mono = mix.resample(mix.to_mono(audio.samples)[None], audio.sample_rate, SAMPLE_RATE)[0]
    notes = transcribe(mono)
    if not len(notes):
        raise BadInput(f"no notes are found in {path}")
    return notes


def notes_of(song: Song, recipe: Recipe) -> CoveredNotes | None:
    """Return the notes that a recipe follows, in the song's time. NotASong or RecipeDiffers without the right file.

    They condition the music from where they begin to where the last one ends; before and after, it is free.
    """
    score = recipe.midi
    if score is None:
        return None
    notes = parse_midi(_midi_data(song, score), song.notes_path).moved(score.start)
    return CoveredNotes(notes, score.start, notes.seconds)


def notes_data(song: Song, recipe: Recipe) -> bytes | None:
    """Return the MIDI file of a song, None if its recipe follows no notes. NotASong or RecipeDiffers without it."""
    return None if recipe.midi is None else _midi_data(song, recipe.midi)


def _midi_data(song: Song, score: Score) -> bytes:
    """Return the song's MIDI file, or its source if that is gone; either must be the recipe's."""
    kept = song.notes_path.exists()
    path = song.notes_path if kept else Path(score.source)
    try:
        data = read_bytes(path, BadInput, "notes", largest=LARGEST)
    except BadInput as error:
        raise NotASong(
            f"{song.path} has lost {song.notes_path.name}, whose notes it follows, and {score.source} cannot be read. "
            "Put it back"
        ) from error
    if hashlib.sha256(data).hexdigest() != score.sha256:
        raise RecipeDiffers(
            f"{path} was changed: it is not the file in the recipe of {song.path}. Put the right one back"
        )
    return data


def save_notes(song: Song, data: bytes) -> None:
    """Write a song's notes.mid. Raises CannotWrite."""
    with atomic_write(song.notes_path) as file:
        file.write(data)
