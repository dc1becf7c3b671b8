"""The manifest of a music folder: one JSON line a song, from the files' own tags."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path

from jukectl.audio import io
from jukectl.errors import BadAudio, BadManifest
from jukectl.files import atomic_write
from jukectl.progress import Progress, Report

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff", ".wma"})


@dataclass(frozen=True, kw_only=True)
class Track:
    """One song of a music folder."""

    path: str  # relative to the manifest's folder
    seconds: float
    sample_rate: int  # Hz
    channels: int
    artist: str = ""
    genres: tuple[str, ...] = ()
    title: str = ""
    licence: str = ""

    @property
    def name(self) -> str:
        """The path without its suffix, never leaving the folder it is put in: what its code folder is called."""
        return "/".join(part for part in Path(self.path).with_suffix("").parts if part not in ("..", "/"))


@dataclass(frozen=True)
class Manifest:
    """The songs of a folder, in the order of their paths."""

    folder: Path
    tracks: tuple[Track, ...]

    @classmethod
    def load(cls, path: Path) -> "Manifest":
        """Read a manifest file; BadManifest names the line that is wrong."""
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BadManifest(
                f"cannot read the manifest {path}: {error}. Make one with: jukectl data scan MUSIC --out {path}"
            ) from error
        tracks = []
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                tracks.append(Track(**{**row, "genres": tuple(row.get("genres", ()))}))
            except (ValueError, TypeError) as error:
                raise BadManifest(f"{path}, line {number}: {error}") from error
        return cls(path.parent, tuple(tracks))

    def save(self, path: Path) -> None:
        """Write it, one JSON object a line."""
        with atomic_write(path) as file:
            for track in self.tracks:
                file.write((json.dumps(asdict(track), ensure_ascii=False) + "\n").encode())

    def split(self, held_out: Sequence[str]) -> tuple[list[Track], list[Track]]:
        """Training and validation songs: a song whose path matches a glob of `held_out` is for validation."""
        for pattern in held_out:
            if not any(fnmatch(track.path, pattern) for track in self.tracks):
                raise BadManifest(f"held_out names {pattern!r}, which matches no song of the manifest in {self.folder}")
        held = [track for track in self.tracks if any(fnmatch(track.path, pattern) for pattern in held_out)]
        kept = [track for track in self.tracks if track not in held]
        if not kept:
            raise BadManifest(f"no song is left to train on in {self.folder}")
        return kept, held


def scan(folder: Path, manifest: Path, report: Report) -> tuple[Manifest, list[str]]:
    """Every song under `folder`, with tags; and one line for each file that was skipped. Nothing is fatal but an empty folder."""
    files = sorted(_music_files(folder))
    if not files:
        raise BadManifest(f"no music under {folder} (looked for {', '.join(sorted(SUFFIXES))})")
    tracks, skipped = [], []
    for number, path in enumerate(files):
        report(Progress("scanning", number, len(files), path.name))
        try:
            tracks.append(_track(path, manifest.parent))
        except BadAudio as error:
            skipped.append(str(error))
    if not tracks:
        raise BadManifest(f"none of the {len(files)} files under {folder} could be read: {skipped[0]}")
    report(Progress("scanning", len(files), len(files)))
    return Manifest(manifest.parent, tuple(tracks)), skipped


def _music_files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise BadManifest(f"{folder} is not a folder")
    return (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))


def _track(path: Path, base: Path) -> Track:
    import mutagen

    about = io.info(path)
    try:
        tags = (mutagen.File(path, easy=True) or {}) if path.suffix.lower() != ".wav" else {}  # type: ignore[attr-defined]
    except mutagen.MutagenError:
        tags = {}
    first = {key: str(tags[key][0]) for key in ("artist", "title", "license", "copyright") if tags.get(key)}
    return Track(
        path=_relative(path, base),
        seconds=round(about.seconds, 3),
        sample_rate=about.sample_rate,
        channels=about.channels,
        artist=first.get("artist", ""),
        genres=tuple(str(genre) for genre in tags.get("genre", ())),
        title=first.get("title", path.stem),
        licence=first.get("license", first.get("copyright", "")),
    )


def _relative(path: Path, base: Path) -> str:
    """`path` as the manifest keeps it: relative to the manifest's folder, with forward slashes."""
    import os

    return Path(os.path.relpath(path.resolve(), base.resolve())).as_posix()
