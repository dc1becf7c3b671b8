"""The manifest of a music folder: one JSON line a song, from the files' own tags."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from jukectl.audio import io
from jukectl.errors import BadAudio, BadManifest, BadRecipe, MissingTool
from jukectl.files import atomic_write
from jukectl.progress import Progress, Report
from jukectl.training.config import build

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
        """What its code folder is called: the path, kept inside that folder wherever the song lies.

        With its suffix, because a folder may hold both "song.wav" and "song.mp3".
        """
        path = PurePosixPath(self.path)
        return "/".join("_" if part == ".." else part for part in path.parts if part != path.anchor)


@dataclass(frozen=True)
class Manifest:
    """The songs of a folder, in the order of their paths."""

    folder: Path
    tracks: tuple[Track, ...]

    @classmethod
    def load(cls, path: Path) -> "Manifest":
        """Read a manifest file; BadManifest names the line that is wrong."""
        way_out = f"Make one with: jukectl data scan MUSIC --out {path}"
        try:
            text = path.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise BadManifest(f"cannot read the manifest {path}: {error.strerror}. {way_out}") from error
        # Not by splitlines, which also breaks at characters that titles may hold, such as U+2028
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if not lines:
            raise BadManifest(f"the manifest {path} lists no songs. {way_out}")
        return cls(path.parent, tuple(_parse(line, f"{path}, line {number}") for number, line in lines))

    def save(self, path: Path) -> None:
        """Write it, one JSON object a line."""
        with atomic_write(path) as file:
            for track in self.tracks:
                line = json.dumps(asdict(track), ensure_ascii=False) + "\n"
                file.write(line.encode("utf-8", "surrogateescape"))  # file names need not be UTF-8

    def split(self, held_out: Sequence[str]) -> tuple[list[Track], list[Track]]:
        """Training and validation songs; `held_out` names the latter by their paths, or by globs over them."""
        held: set[Track] = set()
        for pattern in held_out:
            found = [track for track in self.tracks if track.path == pattern or fnmatchcase(track.path, pattern)]
            if not found:
                raise BadManifest(f"held_out names {pattern!r}, which matches no song of the manifest in {self.folder}")
            held.update(found)
        if len(held) == len(set(self.tracks)):
            raise BadManifest(f"held_out leaves no song of {self.folder} to train on")
        return [one for one in self.tracks if one not in held], [one for one in self.tracks if one in held]


def scan(folder: Path, manifest: Path, report: Report) -> tuple[Manifest, list[str]]:
    """Every song under `folder`, with its tags, and a line for each file that was skipped; paths as from `manifest`.

    Raises BadManifest where no file can be read, or there is none.
    """
    files = sorted(_music_files(folder))
    if not files:
        raise BadManifest(f"no music under {folder} (looked for {', '.join(sorted(SUFFIXES))})")
    tracks, skipped = [], []
    for number, path in enumerate(files):
        report(Progress("scanning", number, len(files), path.name))
        try:
            tracks.append(_track(path, manifest.parent))
        except (BadAudio, MissingTool) as error:
            skipped.append(str(error))
    if not tracks:
        raise BadManifest(f"none of the {len(files)} files under {folder} could be read: {skipped[0]}")
    report(Progress("scanning", len(files), len(files)))
    return Manifest(manifest.parent, tuple(tracks)), skipped


def _music_files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise BadManifest(f"{folder} is not a folder")
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return (path for path in found if path.is_file())


def _track(path: Path, base: Path) -> Track:
    about = io.info(path)
    tags = _tags(path)
    first = {key: tags[key][0] for key in tags}
    return Track(
        path=_relative(path, base),
        seconds=round(about.seconds, 3),
        sample_rate=about.sample_rate,
        channels=about.channels,
        artist=first.get("artist", ""),
        genres=tags.get("genre", ()),
        title=first.get("title", path.stem),
        licence=first.get("license", first.get("copyright", "")),
    )


def _tags(path: Path) -> dict[str, tuple[str, ...]]:
    """The tags of a file that say something, by their Vorbis names; none where they cannot be read."""
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
    """`path` as the manifest keeps it: relative to the manifest's folder, with forward slashes."""
    # Links to folders are followed, since ".." goes up from where they lead; a song's own link keeps its name
    return Path(os.path.relpath(path.parent.resolve() / path.name, base.resolve())).as_posix()


def _parse(line: str, where: str) -> Track:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BadManifest(f"{where} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise BadManifest(f"{where} is not a JSON object")
    try:
        return build(Track, row, where)
    except BadRecipe as error:
        raise BadManifest(str(error)) from error
