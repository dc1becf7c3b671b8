"""Scan a music folder into a manifest: decode each file once, read tags and sidecars, find copies, split.

Fingerprints are cached in a hidden folder beside the manifest, so that a killed scan resumes and a repeated scan
decodes only new files.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import floor
from pathlib import Path
from typing import Any

import numpy as np

from jukectl.audio import io
from jukectl.codes.npz import read_npz
from jukectl.data.duplicates import VERSION, Fingerprint, find_duplicates, fingerprint_of
from jukectl.data.manifest import VALIDATION, Manifest, Track, check_replaceable, side_of, song_key
from jukectl.errors import BadAudio, BadInput, BadManifest, BadRecipe, MissingTool
from jukectl.files import atomic_write, make_folder
from jukectl.lyrics.files import SUFFIXES as LYRICS_SUFFIXES
from jukectl.midi.beats import find_beats
from jukectl.progress import Listener, Progress
from jukectl.tables import build, parse_toml, read_text

MIDI = (".mid", ".midi")


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """Corrections in `song.toml` beside `song.flac`; they take precedence over the tags."""

    artist: str | None = None
    genres: tuple[str, ...] | None = None
    title: str | None = None
    licence: str | None = None
    song: str | None = None  # files with the same value count as one song, on one side of the split
    skip: bool = False

    def facts(self) -> dict[str, Any]:
        """Return the fields of a track that the corrections override."""
        table = asdict(self)
        return {name: table[name] for name in ("artist", "genres", "title", "licence") if table[name] is not None}


def find_lyrics(song: Path) -> Path | None:
    """Return the lyrics file beside a song, the timed one if there are two; None if there is none."""
    return next((path for suffix in LYRICS_SUFFIXES if (path := song.with_suffix(suffix)).is_file()), None)


def find_midi(song: Path) -> Path | None:
    """Return the MIDI file beside a song; None if there is none."""
    return next((path for suffix in MIDI if (path := song.with_suffix(suffix)).is_file()), None)


def read_overrides(song: Path) -> tuple[Overrides, list[str]]:
    """Return the corrections beside a song, and a message for each invalid one, which is ignored."""
    path = song.with_suffix(".toml")
    if not path.is_file():
        return Overrides(), []
    try:
        table = parse_toml(read_text(path, BadInput))
    except BadInput as error:
        return Overrides(), [str(error)]
    except ValueError as error:
        return Overrides(), [f"{path} is not TOML: {error}"]
    good, wrong = {}, []
    for key, value in table.items():
        try:
            build(Overrides, {key: value}, str(path))
        except BadRecipe as error:
            wrong.append(str(error))
        else:
            good[key] = value
    return build(Overrides, good, str(path)), wrong


SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff", ".wma"})
LOSSLESS = frozenset({".wav", ".flac", ".aif", ".aiff"})
HELD_OUT_SHARE = 0.1
NEARLY_WHOLE = 0.85  # of the longest copy: from this length on, sound quality decides between copies


@dataclass(frozen=True)
class Scanned:
    """Result of a scan."""

    manifest: Manifest
    skipped: tuple[str, ...]  # unusable files, with the reason
    warnings: tuple[str, ...]  # invalid fields of sidecar files, and what audio files lack
    copies: tuple[str, ...]  # duplicate recordings, one message each


@dataclass(frozen=True)
class _Song:
    track: Track
    fingerprint: Fingerprint
    key: str


def scan(
    folder: Path,
    manifest: Path,
    listener: Listener,
    *,
    held_out_share: float = HELD_OUT_SHARE,
    keep_duplicates: bool = False,
) -> Scanned:
    """Scan every song under `folder`; paths are relative to the folder of `manifest`, which is not written.

    Only the best copy of a recording is listed, unless `keep_duplicates`. Raise BadManifest if no file is found or can
    be read.
    """
    if not 0 <= held_out_share < 1:
        raise BadInput(f"the share of songs to hold out must be in [0, 1), got {held_out_share}")
    check_replaceable(manifest)
    files = sorted(music_files(folder))
    if not files:
        raise BadManifest(f"no music under {folder} (looked for {', '.join(sorted(SUFFIXES))})")
    cache = _Cache(manifest.parent / f".{manifest.stem}-heard")
    songs, skipped, warnings = [], [], []
    total = sum(_megabytes(path) for path in files)
    done = 0.0
    for path in files:
        listener(Progress("scanning megabytes", floor(done), floor(total), path.name))
        done += _megabytes(path)
        overrides, wrong = read_overrides(path)
        warnings += wrong
        if overrides.skip:
            skipped.append(f"{path}: skip is set in {path.with_suffix('.toml').name}")
            continue
        try:
            fingerprint, about = cache.fingerprint(path), io.info(path)
        except (BadAudio, MissingTool) as error:
            skipped.append(str(error))
            continue
        warnings += about.remarks
        track = _track(path, manifest.parent, about, fingerprint, overrides)
        songs.append(_Song(track, fingerprint, song_key(track, overrides.song)))
    cache.drop_others()
    if not songs:
        raise BadManifest(f"none of the {len(files)} files under {folder} could be used: {skipped[0]}")
    listener(Progress("scanning megabytes", floor(total), floor(total)))
    tracks, copies = _settle(songs, held_out_share, keep_duplicates)
    return Scanned(Manifest(manifest.parent, tracks), tuple(skipped), tuple(warnings), copies)


def _settle(
    songs: Sequence[_Song], held_out_share: float, keep_duplicates: bool
) -> tuple[tuple[Track, ...], tuple[str, ...]]:
    """Return the tracks with their sides of the split, and a message for each copy.

    Copies are on one side even under different names: if one of them is held out, all are.
    """
    sides = [side_of(song.key, held_out_share) for song in songs]
    copy_of: dict[int, int] = {}
    for group in find_duplicates([song.fingerprint for song in songs]):
        best = group[_best([songs[index].track for index in group])]
        side = VALIDATION if any(sides[index] == VALIDATION for index in group) else sides[best]
        for index in group:
            sides[index] = side
            if index != best:
                copy_of[index] = best
    left_out = {} if keep_duplicates else copy_of
    tracks = (replace(song.track, split=sides[index]) for index, song in enumerate(songs) if index not in left_out)
    lines = (f"{songs[one].track.path} is a copy of {songs[of].track.path}" for one, of in sorted(copy_of.items()))
    return tuple(tracks), tuple(lines)


def _best(copies: Sequence[Track]) -> int:
    """Return the index of the copy to keep: a nearly complete one, then lossless, then the highest sample rate."""
    longest = max(track.seconds for track in copies)

    def merit(index: int) -> tuple[Any, ...]:
        track = copies[index]
        lossless = Path(track.path).suffix.lower() in LOSSLESS
        return track.seconds >= NEARLY_WHOLE * longest, lossless, track.sample_rate, track.channels, track.seconds

    return max(range(len(copies)), key=merit)  # the first one on a tie


class _Cache:
    """Cached fingerprints of files, by path, size and modification time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._used: set[str] = set()

    def fingerprint(self, path: Path) -> Fingerprint:
        """Return the fingerprint of a file, computed if not cached; raise BadAudio if the file cannot be decoded."""
        try:
            about = path.stat()
        except OSError as error:
            raise BadAudio(f"cannot read {path}: {error.strerror}") from error
        key = os.fsencode(f"{VERSION} {path.resolve()} {about.st_size} {about.st_mtime_ns}")
        name = f"{hashlib.sha256(key).hexdigest()[:24]}.npz"
        self._used.add(name)
        try:
            kept = read_npz(self.folder / name, ("seconds", "peak", "prints", "timbre"))
            return Fingerprint(float(kept["seconds"]), float(kept["peak"]), kept["prints"], kept["timbre"])
        except Exception:  # missing, or damaged: numpy and zipfile raise many types
            found = fingerprint_of(path)
        make_folder(self.folder)
        with atomic_write(self.folder / name) as new:
            np.savez(new, seconds=found.seconds, peak=found.peak, prints=found.prints, timbre=found.timbre)
        return found

    def drop_others(self) -> None:
        """Remove entries that this scan has not used: those of changed or removed files, and partial files."""
        for path in self.folder.glob("*"):
            if path.name not in self._used:
                path.unlink(missing_ok=True)


def music_files(folder: Path) -> Iterator[Path]:
    """Find the audio files under a folder, except hidden ones, in any order; raise BadManifest if it is no folder."""
    if not folder.is_dir():
        raise BadManifest(f"{folder} is not a folder")
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return (path for path in found if path.is_file())


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


def _track(path: Path, base: Path, about: io.AudioInfo, fingerprint: Fingerprint, overrides: Overrides) -> Track:
    tags = read_tags(path)
    first = {key: tags[key][0] for key in tags}
    lyrics, midi, beats = find_lyrics(path), find_midi(path), find_beats(path)
    facts: dict[str, Any] = {
        "artist": first.get("artist", ""),
        "genres": tags.get("genre", ()),
        "title": first.get("title", path.stem),
        "licence": first.get("license", first.get("copyright", "")),
    }
    return Track(
        path=_relative(path, base),
        seconds=round(fingerprint.seconds, 3),
        sample_rate=about.sample_rate,
        channels=about.channels,
        lyrics="" if lyrics is None else _relative(lyrics, base),
        midi="" if midi is None else _relative(midi, base),
        beats="" if beats is None else _relative(beats, base),
        **(facts | overrides.facts()),
    )


def read_tags(path: Path) -> Mapping[str, tuple[str, ...]]:
    """Return the non-empty tags of a file by their Vorbis names; none if they cannot be read."""
    import mutagen

    try:
        tags: Any = mutagen.File(path, easy=True)
    except mutagen.MutagenError:
        tags = None
    if tags is None:
        return {}
    names = ("artist", "title", "genre", "license", "copyright")
    texts = {name: tuple(text for one in tags.get(name) or () if (text := str(one).strip())) for name in names}
    return {name: values for name, values in texts.items() if values}


def _relative(path: Path, base: Path) -> str:
    """Return `path` as stored in the manifest: relative to its folder, with forward slashes."""
    # Links to folders are resolved, since ".." refers to their targets; a link to the song itself keeps its name
    return Path(os.path.relpath(path.parent.resolve() / path.name, base.resolve())).as_posix()
