"""Song folders that a site is made of: found, and told from what they were when it was made."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jukectl.codes.song import Song
from jukectl.codes.tree import is_tree
from jukectl.errors import BadInput
from jukectl.explorer.contract import SongDetail, SongSummary
from jukectl.explorer.site import Site, inside, song_id
from jukectl.progress import Listener, Progress, ignore

MEDIA_TYPES = {"wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "mp3": "audio/mpeg"}
"""What a browser calls the formats of audio files."""


@dataclass(frozen=True, kw_only=True)
class Taking:
    """How audio gets into a site. BadInput where it contradicts itself."""

    link: bool = False  # by links to where it lies, in place of copies
    format: str | None = None  # transcoded; None: as it is
    decode: bool = True  # levels of which there are codes alone

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in MEDIA_TYPES:
            raise BadInput(f"--format is one of {', '.join(MEDIA_TYPES)}; got {self.format!r}")
        if self.link and self.format is not None:
            raise BadInput("--link leaves audio as it is: give it without --format")


EDITION = 2
"""Of what a song's file and media hold; songs that a site has in another one are made again."""


def find_songs(folders: Sequence[Path], out: Path) -> Iterator[tuple[str, Path]]:
    """Songs and trees in folders, at any depth, in order: where each lies as seen from the folder given, and its path.

    A folder may be a song itself. What lies in a song is its own, what lies in `out` the site's; links to folders are
    not followed. BadInput for a folder that is not there.
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
    """What a song's folder holds and the site shows, in order."""
    shown = [*path.glob("*.npz"), *path.glob("*.toml"), *path.glob("notes.mid"), *path.glob("nodes/*.npz")]
    shown += [file for name in ("audio", "previews", "plots", "root") for file in path.glob(f"{name}/*")]
    return sorted(file for file in shown if inside(path, file) and not file.name.startswith("."))


def stamp_of(path: Path, taking: Taking) -> str:
    """What a song's part of a site follows from: its files, by size and time, and how they are taken."""
    rows: list[Any] = [EDITION, asdict(taking)]
    for file in own_files(path):
        about = file.stat()
        rows.append([file.relative_to(path).as_posix(), about.st_size, about.st_mtime_ns])
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _below(folder: Path, out: Path) -> Iterator[Path]:
    if is_tree(folder) or Song(folder).begun:
        yield folder
        return
    with suppress(PermissionError):
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink() and not path.name.startswith(".") and path.resolve() != out:
                yield from _below(path, out)


Maker = Callable[[Path, str], SongDetail]
"""What brings the song or the tree in a folder into a site, under a name."""


@dataclass(frozen=True)
class Explored:
    """A site, and what is on it."""

    site: Path
    songs: int
    made: int  # of them made anew, since they had changed
    troubled: int  # broken, or of a newer version


def keep_up(
    folders: Sequence[Path],
    out: Path,
    begin: Callable[[Site, Taking], Maker],
    *,
    title: str = "Songs",
    taking: Taking | None = None,
    listener: Listener = ignore,
) -> Explored:
    """Make a site of all songs and trees in some folders, or bring one up to date. BadInput where there are none.

    `begin` is called once, when the first song is found that is new or has changed.
    """
    taking = taking or Taking()
    found = list(find_songs(folders, out))
    if not found:
        raise BadInput(
            f"there are no songs in {', '.join(map(str, folders))}. "
            f"Make one with: jukectl sample --out {folders[0] / 'my-song'}"
        )
    site = Site(out)
    site.begin()
    maker: Maker | None = None
    summaries, made = [], 0
    for number, (place, path) in enumerate(found):
        listener(Progress("songs", number, len(found), path.name))
        name, stamp = song_id(place, path.name), stamp_of(path, taking)
        summary = _known(site, name, stamp)
        if summary is None:
            maker = maker or begin(site, taking)
            detail = maker(path, name)
            site.write_song(detail, stamp)
            summary, made = detail.summary, made + 1
        summaries.append(summary)
    listener(Progress("songs", len(found), len(found)))
    site.forget(one.id for one in summaries)
    site.write_index(summaries, title=title)
    site.write_page()
    return Explored(out, len(summaries), made, sum(one.state in ("broken", "newer") for one in summaries))


def _known(site: Site, name: str, stamp: str) -> SongSummary | None:
    """The summary of a song that is on the site already, as it is now; None of any other."""
    try:
        values = json.loads(site.song_path(name).read_text(encoding="utf-8"))
        if values["source"] != stamp:
            return None
        return SongSummary(
            id=name,
            **{key: values[key] for key in ("title", "artist", "model", "kind", "state", "seconds", "made")},
            samples=values["count"],
            genres=tuple(values["genres"]),
            levels=values["heard"],
            lyrics=values["lyrics"] is not None,
            prompt=values["prompt"],
        )
    except (OSError, ValueError, KeyError):
        return None
