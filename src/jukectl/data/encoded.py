"""Folders of encoded songs, as `jukectl data encode` writes them and training reads them.

A song is first written to its own archives, `SONG/<level>.npz`, so that a kill loses at most the current song. Every
few thousand seconds of music are then packed into `shards/<level>-<digest>.npz`, one level at a time. Readers accept
both and map them into memory: a data set may exceed memory and span several folders. Lyrics are copied to
`lyrics/SONG.<suffix>`, notes and beats likewise, so that training needs nothing outside the folder.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from filelock import FileLock

from jukectl.codes.archive import Codes, is_archive
from jukectl.codes.level import Level
from jukectl.codes.shard import SongCodes, read_shard, song_archive, write_shard
from jukectl.data.manifest import Manifest, Track
from jukectl.errors import BadInput, BadManifest, NotCodes
from jukectl.files import atomic_write, make_folder, read_bytes
from jukectl.folders import Kind
from jukectl.lyrics.files import SUFFIXES as LYRICS_SUFFIXES
from jukectl.lyrics.value import Lyrics
from jukectl.midi.beats import SUFFIX, BeatGrid
from jukectl.midi.notes import SUFFIXES, read_midi

MANIFEST = "manifest.jsonl"
SHARDS = "shards"
LYRICS = "lyrics"
MIDI = "midi"
BEATS = "beats"


def _is_begun(folder: Path) -> bool:
    """Return True if a folder holds shards, or archives of songs that are not packed yet and are no song folders."""
    archives = (path for level in Level for path in folder.rglob(f"{level.label}.npz"))
    own = (path for path in archives if not (path.parent / "song.toml").exists())
    return (folder / SHARDS).is_dir() or any(map(is_archive, own))


CODES = Kind("code folder", _is_begun)


class CodeFolder:
    """Folder of encoded songs, addressed by `Track.name`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shards: dict[Level, dict[str, SongCodes]] = {}

    def manifest(self) -> Manifest:
        """Return the list of encoded songs; raise BadManifest if it is missing."""
        try:
            return Manifest.load(self.path / MANIFEST)
        except BadManifest as error:
            raise BadManifest(
                f"{self.path} is not a complete code folder: {error}. "
                f"Create or complete it with: jukectl data encode MANIFEST --out {self.path}"
            ) from error

    def keep(self, manifest: Manifest, levels: Sequence[Level]) -> None:
        """Write the list of songs that are encoded at these levels, by this or any other process."""
        with self._alone():
            self._shards.clear()
            there = [one for one in manifest.tracks if all(self._is_there(one.name, level) for level in levels)]
            if there:
                Manifest(self.path, tuple(there)).save(self.path / MANIFEST)

    def packed(self, level: Level) -> dict[str, SongCodes]:
        """Return the songs that are in shards; raise NotCodes if a shard is damaged."""
        if level not in self._shards:
            self._shards[level] = {}
            for path in sorted((self.path / SHARDS).glob(f"{level.label}-*.npz")):
                try:
                    self._shards[level].update(read_shard(path))
                except NotCodes as error:
                    raise NotCodes(
                        f"{error}. Delete it, and encode its songs again with: "
                        f"jukectl data encode MANIFEST --out {self.path}"
                    ) from error
        return self._shards[level]

    def find(self, name: str, level: Level) -> SongCodes:
        """Return the codes of a song; raise NotCodes if they are missing or damaged."""
        packed = self.packed(level).get(name)
        return packed if packed is not None else song_archive(self.own_archive(name, level))

    def own_archive(self, name: str, level: Level) -> Path:
        """Return the path of a song's codes before they are packed."""
        return self.path / name / f"{level.label}.npz"

    def write(self, name: str, codes: Codes) -> None:
        """Write the codes of a song at one level, to be packed later. No other process may write this song."""
        path = self.own_archive(name, codes.level)
        make_folder(path.parent)
        _sweep(path.parent)
        codes.save(path)

    def lyrics_file(self, track: Track) -> Path | None:
        """Return the path of the copied lyrics; None if the song has no lyrics."""
        if not track.lyrics:
            return None
        return self.path / LYRICS / f"{track.name}{PurePosixPath(track.lyrics).suffix}"

    def midi_file(self, track: Track) -> Path | None:
        """Return the path of the copied notes; None if the song has no notes."""
        return self.path / MIDI / f"{track.name}.mid" if track.midi else None

    def beats_file(self, track: Track) -> Path | None:
        """Return the path of the copied beats; None if the song has no beats."""
        return self.path / BEATS / f"{track.name}{SUFFIX}" if track.beats else None

    def keep_lyrics(self, track: Track, source: Path) -> None:
        """Copy a lyrics file unchanged into the folder; raise BadManifest if it is something else."""
        self._keep(self.lyrics_file(track), source, "lyrics", track, LYRICS_SUFFIXES, Lyrics.read)

    def keep_midi(self, track: Track, source: Path) -> None:
        """Copy a MIDI file unchanged into the folder; raise BadManifest if it is something else."""
        self._keep(self.midi_file(track), source, "notes", track, SUFFIXES, read_midi)

    def keep_beats(self, track: Track, source: Path) -> None:
        """Copy a beats file unchanged into the folder; raise BadManifest if it is something else."""
        self._keep(self.beats_file(track), source, "beats", track, frozenset({".json"}), BeatGrid.load)

    def _keep(
        self,
        copy: Path | None,
        source: Path,
        what: str,
        track: Track,
        suffixes: Collection[str],
        read: Callable[[Path], object],
    ) -> None:
        """Copy a file that a manifest names. It may be a stranger's, so nothing but what it says it is gets copied."""
        if copy is None:
            return
        try:
            if source.suffix.lower() not in suffixes:
                raise BadManifest(f"{source} is not a file of {what}: those end in {', '.join(sorted(suffixes))}")
            read(source)
            text = read_bytes(source, BadManifest, what)
        except BadInput as error:
            raise BadManifest(
                f"cannot use the {what} of {track.path}: {error}. "
                "If the file was removed or changed, write the manifest again with: "
                "jukectl data scan MUSIC --out MANIFEST"
            ) from error
        if copy.is_file() and copy.read_bytes() == text:
            return
        with self._alone():
            make_folder(copy.parent)
            _sweep(copy.parent)
            with atomic_write(copy) as file:
                file.write(text)

    def pack(self, names: Sequence[str], level: Level) -> None:
        """Move the codes of these songs into one shard; songs already in a shard only lose their own archive."""
        with self._alone():
            self._shards.pop(level, None)
            packed = self.packed(level)
            waiting = [name for name in names if name not in packed and self.own_archive(name, level).exists()]
            if waiting:
                songs = [(name, song_archive(self.own_archive(name, level))) for name in waiting]
                named = "\0".join((songs[0][1].archive.vqvae, *waiting))
                digest = hashlib.sha256(named.encode("utf-8", "surrogateescape")).hexdigest()[:16]
                make_folder(self.path / SHARDS)
                _sweep(self.path / SHARDS)
                write_shard(self.path / SHARDS / f"{level.label}-{digest}.npz", songs)
                del self._shards[level]
        for name in names:
            own = self.own_archive(name, level)
            own.unlink(missing_ok=True)
            for folder in own.relative_to(self.path).parents:
                with suppress(OSError):  # not empty, or already removed
                    (self.path / folder).rmdir()

    def is_packed(self, name: str, level: Level) -> bool:
        """Return whether the codes of a song are in a shard and its own archive is removed."""
        return name in self.packed(level) and not self.own_archive(name, level).exists()

    def _is_there(self, name: str, level: Level) -> bool:
        return name in self.packed(level) or self.own_archive(name, level).exists()

    def _alone(self) -> FileLock:
        """Return the lock for changes to files that several processes read."""
        make_folder(self.path)
        return FileLock(self.path / ".lock")


class EncodedSongs:
    """Songs of one or several code folders; a song in two of them is read from the first."""

    def __init__(self, *folders: Path) -> None:
        self.folders = [CodeFolder(folder) for folder in folders]
        self._homes: dict[Track, CodeFolder] = {}
        for folder in self.folders:
            for track in folder.manifest().tracks:
                self._homes.setdefault(track, folder)
        self.manifest = Manifest(folders[0], tuple(self._homes))

    def find(self, track: Track, level: Level) -> SongCodes:
        """Return the codes of a song at a level; raise BadManifest if they are missing or damaged."""
        home = self._homes.get(track, self.folders[0])
        try:
            return home.find(track.name, level)
        except NotCodes as error:
            raise BadManifest(
                f"{home.path} holds no usable {level.label} codes of {track.path}. "
                f"Encode them with: jukectl data encode MANIFEST --out {home.path}"
            ) from error

    def lyrics(self, track: Track) -> Path | None:
        """Return the lyrics file of a song, None if it has no lyrics; raise BadManifest if the file is missing."""
        home = self._homes.get(track, self.folders[0])
        return self._beside(track, home, home.lyrics_file(track), f"lyrics {track.lyrics}")

    def midi(self, track: Track) -> Path | None:
        """Return the MIDI file of a song, None if it has no notes; raise BadManifest if the file is missing."""
        home = self._homes.get(track, self.folders[0])
        return self._beside(track, home, home.midi_file(track), f"notes {track.midi}")

    def beats(self, track: Track) -> Path | None:
        """Return the beats file of a song, None if it has no beats; raise BadManifest if the file is missing."""
        home = self._homes.get(track, self.folders[0])
        return self._beside(track, home, home.beats_file(track), f"beats {track.beats}")

    def _beside(self, track: Track, home: CodeFolder, file: Path | None, what: str) -> Path | None:
        if file is None or file.is_file():
            return file
        raise BadManifest(
            f"{home.path} holds the codes of {track.path}, but not its {what}. "
            f"Copy them there with: jukectl data encode MANIFEST --out {home.path}"
        )


def _sweep(folder: Path) -> None:
    """Remove the partial files of a killed process."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)
