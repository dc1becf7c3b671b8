"""Manifest of a music folder: one JSON line per song."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from jukectl.errors import BadInput, BadManifest
from jukectl.files import atomic_write, read_bytes
from jukectl.folders import check_file
from jukectl.tables import build, parse_json

VALIDATION = "validation"
LONGEST_LINE = 1 << 20  # bytes; a song takes some hundreds
LARGEST = 512 * 2**20  # bytes: some two million songs


@dataclass(frozen=True, kw_only=True)
class Track:
    """Song of a music folder."""

    path: str  # relative to the manifest's folder
    seconds: float
    sample_rate: int  # Hz
    channels: int
    artist: str = ""
    genres: tuple[str, ...] = ()
    title: str = ""
    licence: str = ""
    lyrics: str = ""  # path of the file beside the song, relative to the manifest's folder
    midi: str = ""  # path of the MIDI file, likewise
    beats: str = ""  # path of the beats file, likewise
    split: str = ""  # "train" or "validation", assigned by the scan

    @property
    def name(self) -> str:
        """Return the name of the song in a code folder: its path, without the parts that lead out of that folder.

        The suffix is kept, because a folder may hold both "song.wav" and "song.mp3".
        """
        path = PurePosixPath(self.path)
        return "/".join("_" if part == ".." else part for part in path.parts if part != path.anchor)


@dataclass(frozen=True)
class Manifest:
    """Songs of a folder, sorted by path."""

    folder: Path
    tracks: tuple[Track, ...]

    @classmethod
    def load(cls, path: Path) -> "Manifest":
        """Read a manifest file; raise BadManifest, with the line number, if a line is invalid."""
        way_out = f"Create one with: jukectl data scan MUSIC --out {path}"
        try:
            content = read_bytes(path, BadManifest, "manifest", largest=LARGEST)
        except BadManifest as error:
            raise BadManifest(f"{error}. {way_out}") from error
        text = content.decode("utf-8", "surrogateescape")
        # Not by splitlines, which also breaks at characters that titles may hold, such as U+2028
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if not lines:
            raise BadManifest(f"the manifest {path} lists no songs. {way_out}")
        return cls(path.parent, tuple(_parse(line, f"{path}, line {number}") for number, line in lines))

    def save(self, path: Path) -> None:
        """Write the manifest, one JSON object per line."""
        with atomic_write(path) as file:
            for track in self.tracks:
                line = json.dumps(asdict(track), ensure_ascii=False) + "\n"
                file.write(line.encode("utf-8", "surrogateescape"))  # file names need not be UTF-8

    def split(self, held_out: Sequence[str]) -> tuple[list[Track], list[Track]]:
        """Return training and validation songs; `held_out` lists the latter as paths or globs.

        An empty `held_out` means the songs that the scan held out.
        """
        held: set[Track] = set()
        for pattern in held_out:
            found = [track for track in self.tracks if track.path == pattern or fnmatchcase(track.path, pattern)]
            if not found:
                raise BadManifest(f"held_out names {pattern!r}, which matches no song of the manifest in {self.folder}")
            held.update(found)
        if not held_out:
            held = {track for track in self.tracks if track.split == VALIDATION}
        if len(held) == len(set(self.tracks)):
            raise BadManifest(f"held_out leaves no song of {self.folder} to train on")
        return [one for one in self.tracks if one not in held], [one for one in self.tracks if one in held]


def check_replaceable(path: Path) -> None:
    """Raise BadInput for a file that a manifest is not written to: one of another kind, by its name or its content."""
    check_file(path, (".jsonl",), "a manifest")
    if not path.is_file() or not path.stat().st_size:
        return
    try:
        with path.open("rb") as file:
            row = parse_json(file.readline(LONGEST_LINE))
        known = isinstance(row, dict) and {"path", "seconds"} <= row.keys()
    except (OSError, ValueError):
        known = False
    if not known:
        raise BadInput(f"{path} is no manifest, and is not replaced by one. Give another name with --out")


def _parse(line: str, where: str) -> Track:
    try:
        row = parse_json(line)
    except ValueError as error:
        raise BadManifest(f"{where} is not JSON: {error}") from error
    return build(Track, row, where, error=BadManifest)


TRAIN = "train"

VERSIONS = re.compile(r"[(\[{][^)\]}]*[)\]}]")  # "(live)", "[2009 remaster]"
GUESTS = re.compile(r"\b(?:feat|ft|featuring)\b.*")


def song_key(track: Track, song: str | None = None) -> str:
    """Return a key shared by the recordings of one song: artist and title without case, accents and version remarks.

    Without an artist it is folder and title. `song`, from a sidecar file, replaces both.
    """
    if song:
        return f"song {_plain(song)}"
    title = _plain(track.title)
    if track.artist.strip():
        return f"artist {_plain(track.artist)} title {title}"
    return f"folder {PurePosixPath(track.path).parent} title {title}"


def side_of(key: str, held_out_share: float) -> str:
    """Return the side of the split for a song; a larger share only moves songs from training to validation."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    return VALIDATION if int.from_bytes(digest[:8], "big") < held_out_share * 2**64 else TRAIN


def _plain(text: str) -> str:
    """Return the words of a name without case and accents, and without guests and brackets if words remain."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    for rough in (GUESTS.sub("", VERSIONS.sub(" ", folded)), folded):
        words = re.findall(r"\w+", "".join(one for one in rough if not unicodedata.combining(one)))
        if words:
            return " ".join(words)
    return text
