"""Update a site from song folders: find them, and write again only those that have changed."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jukectl.codes.song import Song
from jukectl.codes.tree import is_tree
from jukectl.errors import BadInput
from jukectl.explorer.contract import SongDetail, SongSummary
from jukectl.explorer.preview import Preview
from jukectl.explorer.site import Site, inside, song_id
from jukectl.progress import Listener, Progress, ignore
from jukectl.tables import read_json, structure

MEDIA_TYPES = {"wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "mp3": "audio/mpeg"}
"""Media types of the formats of audio files."""


@dataclass(frozen=True, kw_only=True)
class MediaOptions:
    """Ways to bring audio into a site. Raises BadInput for a contradiction."""

    link: bool = False  # link to audio files instead of copying them
    format: str | None = None  # transcode to it; None keeps the format
    decode: bool = True  # decode levels that have codes but no audio

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in MEDIA_TYPES:
            raise BadInput(f"--format is one of {', '.join(MEDIA_TYPES)}; got {self.format!r}")
        if self.link and self.format is not None:
            raise BadInput("--link keeps the format of audio: give it without --format")


EDITION = 3
"""Version of the content of a song's file and media; songs of another one are written again."""


def find_songs(folders: Sequence[Path], out: Path) -> Iterator[tuple[str, Path]]:
    """Yield the songs and trees in folders, at any depth, in order: the place relative to the folder, and the path.

    A folder may be a song itself. Folders in a song and in `out` are not searched, links to folders are not followed.
    Raises BadInput for a missing folder.
    """
    seen = {out.resolve()}
    for folder in folders:
        if not folder.is_dir():
            raise BadInput(f"there is no folder {folder}")
        for path in _below(folder, out.resolve()):
            if (real := path.resolve()) not in seen:
                seen.add(real)
                yield (Path(folder.resolve().name) / path.relative_to(folder)).as_posix(), path


def own_files(path: Path) -> list[Path]:
    """List the files of a song's folder that the site shows, in order."""
    shown = [*path.glob("*.npz"), *path.glob("*.toml"), *path.glob("notes.mid"), *path.glob("nodes/*.npz")]
    shown += [file for name in ("audio", "previews", "plots", "root") for file in path.glob(f"{name}/*")]
    return sorted(file for file in shown if inside(path, file) and not file.name.startswith("."))


def last_change(path: Path) -> str:
    """Return the time of the last change of a song's files."""
    times = [file.stat().st_mtime for file in own_files(path)] or [path.stat().st_mtime]
    return datetime.fromtimestamp(max(times), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp_of(path: Path, options: MediaOptions) -> str:
    """Return a hash of everything that a song's part of a site depends on: its files by size and time, the options."""
    rows: list[Any] = [EDITION, asdict(options)]
    for file in own_files(path):
        about = file.stat()
        rows.append([file.relative_to(path).as_posix(), about.st_size, about.st_mtime_ns])
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _below(folder: Path, out: Path) -> Iterator[Path]:
    """Yield the songs and trees in a folder, except in `out`."""
    if is_tree(folder) or Song(folder).begun:
        yield folder
        return
    with suppress(PermissionError):
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink() and not path.name.startswith(".") and path.resolve() != out:
                yield from _below(path, out)


AddSong = Callable[[Path, str], SongDetail]
"""A function that brings the media of the song or tree in a folder into a site, under a name."""


@dataclass(frozen=True)
class SiteUpdate:
    """Result of an update."""

    site: Path
    songs: int
    written: int  # new or changed ones
    unreadable: int  # broken, or of a newer version
    folders: Mapping[str, Path] = field(default_factory=dict, compare=False, repr=False)  # of the songs, by id


def update_site(
    folders: Sequence[Path],
    out: Path,
    begin: Callable[[Site, MediaOptions], AddSong],
    *,
    preview: Preview | None = None,
    options: MediaOptions | None = None,
    listener: Listener = ignore,
) -> SiteUpdate:
    """Create or update a site of all songs and trees in some folders. Raises BadInput if there are none.

    `begin` is called once, for the first song that is new or has changed: it may load what an unchanged site needs not.
    """
    options, preview = options or MediaOptions(), preview or Preview()
    found = list(find_songs(folders, out))
    if not found:
        raise BadInput(
            f"there are no songs in {', '.join(map(str, folders))}. "
            f"Make one with: jukectl sample --out {folders[0] / 'my-song'}"
        )
    site = Site(out)
    site.begin()
    add_song: AddSong | None = None
    summaries, places = [], {}
    written: set[str] = set()
    for number, (place, path) in enumerate(found):
        listener(Progress("songs", number, len(found), path.name))
        name, stamp = song_id(place, path.name), stamp_of(path, options)
        places[name] = path
        summary = kept_summary(site, name, stamp)
        if summary is None:
            add_song = add_song or begin(site, options)
            detail = add_song(path, name)
            site.write_song(detail, stamp)
            summary = detail.summary
            written.add(name)
        summaries.append(summary)
    listener(Progress("songs", len(found), len(found)))
    site.forget(one.id for one in summaries)
    site.write_index(summaries, title=preview.title)
    site.write_previews(summaries, preview, written)
    site.write_page(preview.tags(summaries))
    unreadable = sum(one.state in ("broken", "newer") for one in summaries)
    return SiteUpdate(out, len(summaries), len(written), unreadable, places)


KEPT = (
    *("title", "artist", "model", "kind", "state", "seconds", "made", "genres"),
    *("outline", "star", "quiet"),
)
"""Fields of a song's file that its summary has by the same name."""


def kept_summary(site: Site, name: str, stamp: str) -> SongSummary | None:
    """Return the summary of a song that is on the site in its present state, None otherwise."""
    try:
        values = read_json(site.song_path(name), BadInput)
        if values["source"] != stamp:
            return None
        kept = {key: values[key] for key in KEPT}
        renamed = {"samples": values["count"], "levels": values["heard"], "prompt": values["prompt"]}
        return structure(SongSummary, {"id": name, **kept, **renamed, "lyrics": values["lyrics"] is not None})
    except (BadInput, ValueError, KeyError, TypeError):
        return None
