"""Folders of encoded songs, as `jukectl data encode` writes them and training reads them.

A song is first written to its own archives, `SONG/<level>.npz`, so that a kill costs the song at hand. Some thousand
seconds of them are then packed into `shards/<level>-<digest>.npz`, a level at a time. Both are found alike, and mapped
into memory when they are read: a data set may be larger than memory, and lie in several folders. Lyrics are copied to
`lyrics/SONG.<suffix>`, notes and beats likewise, so that the folder is all that training needs.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from filelock import FileLock

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.shard import SongCodes, read_shard, song_archive, write_shard
from jukectl.data.manifest import Manifest, Track
from jukectl.errors import BadManifest, NotCodes
from jukectl.files import atomic_write, make_folder
from jukectl.midi.beats import SUFFIX

MANIFEST = "manifest.jsonl"
SHARDS = "shards"
LYRICS = "lyrics"
MIDI = "midi"
BEATS = "beats"


class CodeFolder:
    """One folder of encoded songs, by their `Track.name`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shards: dict[Level, dict[str, SongCodes]] = {}

    def manifest(self) -> Manifest:
        """The songs that are encoded; BadManifest where there is no list of them."""
        try:
            return Manifest.load(self.path / MANIFEST)
        except BadManifest as error:
            raise BadManifest(
                f"{self.path} is no finished folder of codes: {error}. "
                f"Make or finish it with: jukectl data encode MANIFEST --out {self.path}"
            ) from error

    def keep(self, manifest: Manifest, levels: Sequence[Level]) -> None:
        """Write the list of the songs that are encoded at these levels, whichever process did it."""
        with self._alone():
            self._shards.clear()
            there = [one for one in manifest.tracks if all(self._is_there(one.name, level) for level in levels)]
            if there:
                Manifest(self.path, tuple(there)).save(self.path / MANIFEST)

    def packed(self, level: Level) -> dict[str, SongCodes]:
        """The songs that are in shards; NotCodes where a shard is damaged."""
        if level not in self._shards:
            self._shards[level] = {}
            for path in sorted((self.path / SHARDS).glob(f"{level.label}-*.npz")):
                try:
                    self._shards[level].update(read_shard(path))
                except NotCodes as error:
                    raise NotCodes(
                        f"{error}. Delete it, and make its songs again with: "
                        f"jukectl data encode MANIFEST --out {self.path}"
                    ) from error
        return self._shards[level]

    def find(self, name: str, level: Level) -> SongCodes:
        """A song's codes; NotCodes where there are none, or they are damaged."""
        packed = self.packed(level).get(name)
        return packed if packed is not None else song_archive(self.own_archive(name, level))

    def own_archive(self, name: str, level: Level) -> Path:
        """Where a song's codes are before they are packed."""
        return self.path / name / f"{level.label}.npz"

    def write(self, name: str, codes: Codes) -> None:
        """Keep a song's codes of one level, to be packed later. No other process may write this song."""
        path = self.own_archive(name, codes.level)
        make_folder(path.parent)
        _sweep(path.parent)
        codes.save(path)

    def lyrics_file(self, track: Track) -> Path | None:
        """Where the copy of a song's lyrics is; None where it has none."""
        if not track.lyrics:
            return None
        return self.path / LYRICS / f"{track.name}{PurePosixPath(track.lyrics).suffix}"

    def midi_file(self, track: Track) -> Path | None:
        """Where the copy of a song's notes is; None where it has none."""
        return self.path / MIDI / f"{track.name}.mid" if track.midi else None

    def beats_file(self, track: Track) -> Path | None:
        """Return where the copy of a song's beats is, None where it has none."""
        return self.path / BEATS / f"{track.name}{SUFFIX}" if track.beats else None

    def keep_lyrics(self, track: Track, source: Path) -> None:
        """Copy a song's lyrics, as they are, from a file; BadManifest where that cannot be read."""
        self._keep(self.lyrics_file(track), source, f"the lyrics {source} of {track.path}")

    def keep_midi(self, track: Track, source: Path) -> None:
        """The same with its notes."""
        self._keep(self.midi_file(track), source, f"the notes {source} of {track.path}")

    def keep_beats(self, track: Track, source: Path) -> None:
        """Copy a song's beats from a file. Raises BadManifest where that cannot be read."""
        self._keep(self.beats_file(track), source, f"the beats {source} of {track.path}")

    def _keep(self, copy: Path | None, source: Path, what: str) -> None:
        if copy is None:
            return
        try:
            text = source.read_bytes()
        except OSError as error:
            raise BadManifest(
                f"cannot read {what}: {error.strerror}. "
                "If they have gone, make the manifest again with: jukectl data scan MUSIC --out MANIFEST"
            ) from error
        if copy.is_file() and copy.read_bytes() == text:
            return
        with self._alone():
            make_folder(copy.parent)
            _sweep(copy.parent)
            with atomic_write(copy) as file:
                file.write(text)

    def pack(self, names: Sequence[str], level: Level) -> None:
        """Move the codes of these songs into one shard; those that are in one already lose their own archive."""
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
                with suppress(OSError):  # it holds other levels or other songs, or is gone
                    (self.path / folder).rmdir()

    def is_packed(self, name: str, level: Level) -> bool:
        """Whether a song's codes are in a shard, and in no archive of their own any more."""
        return name in self.packed(level) and not self.own_archive(name, level).exists()

    def _is_there(self, name: str, level: Level) -> bool:
        return name in self.packed(level) or self.own_archive(name, level).exists()

    def _alone(self) -> FileLock:
        """For the moment that a process changes what others look at."""
        make_folder(self.path)
        return FileLock(self.path / ".lock")


class EncodedSongs:
    """The songs of one or several code folders. A song that is in two of them is taken from the first."""

    def __init__(self, *folders: Path) -> None:
        self.folders = [CodeFolder(folder) for folder in folders]
        self._homes: dict[Track, CodeFolder] = {}
        for folder in self.folders:
            for track in folder.manifest().tracks:
                self._homes.setdefault(track, folder)
        self.manifest = Manifest(folders[0], tuple(self._homes))

    def find(self, track: Track, level: Level) -> SongCodes:
        """A song's codes of a level; BadManifest where there are none."""
        home = self._homes.get(track, self.folders[0])
        try:
            return home.find(track.name, level)
        except NotCodes as error:
            raise BadManifest(
                f"{home.path} holds no usable {level.label} codes of {track.path}. "
                f"Make them with: jukectl data encode MANIFEST --out {home.path}"
            ) from error

    def lyrics(self, track: Track) -> Path | None:
        """The file of a song's lyrics, None where it has none; BadManifest where the file is not in the folder."""
        home = self._homes.get(track, self.folders[0])
        return self._beside(track, home, home.lyrics_file(track), f"lyrics {track.lyrics}")

    def midi(self, track: Track) -> Path | None:
        """The same of its notes."""
        home = self._homes.get(track, self.folders[0])
        return self._beside(track, home, home.midi_file(track), f"notes {track.midi}")

    def beats(self, track: Track) -> Path | None:
        """Return the file of a song's beats, None where it has none. Raises BadManifest where the file is gone."""
        home = self._homes.get(track, self.folders[0])
        return self._beside(track, home, home.beats_file(track), f"beats {track.beats}")

    def _beside(self, track: Track, home: CodeFolder, file: Path | None, what: str) -> Path | None:
        if file is None or file.is_file():
            return file
        raise BadManifest(
            f"{home.path} has the codes of {track.path}, and not its {what}. "
            f"Copy them there with: jukectl data encode MANIFEST --out {home.path}"
        )


def _sweep(folder: Path) -> None:
    """Remove what a killed process had begun to write."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)
