"""Transcribe the songs of a folder or a manifest that have no notes, for training priors."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from jukectl.data.manifest import Manifest, Track
from jukectl.data.scan import find_midi, music_files
from jukectl.errors import BadAudio, BadInput, MissingTool
from jukectl.midi.notes import write_midi
from jukectl.midi.transcribe import check_installed
from jukectl.plan.notes import notes_of_recording
from jukectl.progress import Listener, Progress, ignore

STAGE = "transcribing songs"


@dataclass(frozen=True)
class Transcribed:
    """Result of `transcribe_songs`."""

    written: tuple[Path, ...]
    there: int  # songs that already had notes
    skipped: tuple[str, ...]  # a message for each song that could not be transcribed


def transcribe_songs(place: Path, *, listener: Listener = ignore) -> Transcribed:
    """Write NAME.mid beside every song of a manifest or folder that has no notes, and list it in the manifest.

    A killed run resumes at the song that it was transcribing. Raise MissingTool if the model is not installed, and
    BadManifest if there are no songs.
    """
    check_installed()
    manifest = None if place.is_dir() else Manifest.load(place)
    songs = sorted(music_files(place)) if manifest is None else [_song(manifest, track) for track in manifest.tracks]
    written, there, skipped = [], 0, []
    for number, song in enumerate(songs):
        listener(Progress(STAGE, number, len(songs), song.name))
        if find_midi(song) is not None:
            there += 1
            continue
        try:
            notes = notes_of_recording(song)
        except (BadAudio, BadInput, MissingTool) as error:
            skipped.append(str(error))
            continue
        written.append(song.with_suffix(".mid"))
        write_midi(written[-1], notes)
    listener(Progress(STAGE, len(songs), len(songs)))
    if manifest is not None:
        named = replace(manifest, tracks=tuple(_with_notes(manifest, track) for track in manifest.tracks))
        if named != manifest:
            named.save(place)
    return Transcribed(tuple(written), there, tuple(skipped))


def _song(manifest: Manifest, track: Track) -> Path:
    return manifest.folder / track.path


def _with_notes(manifest: Manifest, track: Track) -> Track:
    found = find_midi(_song(manifest, track))
    if found is None:
        return track
    base, song = manifest.folder.resolve(), found.parent.resolve() / found.name
    return replace(track, midi=Path(os.path.relpath(song, base)).as_posix())
