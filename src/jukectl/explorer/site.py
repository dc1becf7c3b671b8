"""The folder of a site: its page, its data and its media; names of songs that are safe in paths and URLs."""

import hashlib
import re
import unicodedata
from collections.abc import Container, Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote, unquote

from jukectl.errors import CannotWrite
from jukectl.explorer.contract import SongDetail, SongSummary, as_script, first_to_play, index_json
from jukectl.explorer.preview import PICTURE, Preview, draw_picture
from jukectl.files import atomic_write, make_folder, remove_file, remove_folder
from jukectl.folders import Kind, check_inside

MARK = "jukectl-site"  # file that marks the folder as a site
SITE = Kind(
    "site of jukectl explore",
    lambda folder: (folder / MARK).is_file(),
    MARK,
    "Written by jukectl explore, which overwrites it: keep nothing else in here.",
)
PAGE, TITLE = "index.html", b"    <title>Songs</title>"
INDEX_CALL, SONG_CALL = "jukectlIndex", "jukectlSong"  # functions of the page that take the data


def page_policy() -> str:
    """Return the Content-Security-Policy of the page."""
    text = files("jukectl.explorer").joinpath("page", PAGE).read_text("utf-8")
    found = re.search(r'"Content-Security-Policy" content="([^"]+)"', text)
    assert found is not None
    return found[1]


class Site:
    """A site on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self) -> None:
        """Create the folder, or open an existing site. Raises BadInput for a folder of something else, CannotWrite."""
        SITE.claim(self.path)
        check_inside(self.path, ("data", "data/songs", "media", "listen"))
        for folder in ("data/songs", "media", "listen"):
            make_folder(self.path / folder)

    def write_page(self, tags: str) -> None:
        """Copy the page from this package, with `tags` in place of its title."""
        for entry in files("jukectl.explorer").joinpath("page").iterdir():
            if entry.is_file() and not entry.name.startswith("."):
                content = entry.read_bytes()
                if entry.name == PAGE:
                    content = content.replace(TITLE, tags.encode())
                with atomic_write(self.path / entry.name) as file:
                    file.write(content)

    def write_index(self, songs: Sequence[SongSummary], *, title: str) -> None:
        """Write the index, as JSON and as a script."""
        self.write_index_text(index_json(songs, title=title))

    def write_song(self, song: SongDetail, source: str) -> None:
        """Write a song's file, as JSON and as a script, and remove media that it no longer refers to."""
        name = song.summary.id
        self.write_song_text(name, song.to_json(source))
        kept = {unquote(url) for url in song.urls}
        try:
            for path in self.media(name).glob("*"):
                if path.relative_to(self.path).as_posix() not in kept:
                    remove_file(path)
        except OSError as error:
            raise CannotWrite(f"cannot remove {error.filename}: {error.strerror or error}") from error

    def write_song_text(self, name: str, text: str) -> None:
        """Write a song's file, as JSON and as a script."""
        self._write(f"data/songs/{name}.js", as_script(SONG_CALL, text, name))
        self._write(f"data/songs/{name}.json", text)

    def write_index_text(self, text: str) -> None:
        """Write the index, as JSON and as a script."""
        self._write("data/index.json", text)
        self._write("data/index.js", as_script(INDEX_CALL, text))

    def write_previews(self, songs: Sequence[SongSummary], preview: Preview, changed: Container[str]) -> None:
        """Write the picture of the site's previews, and a page and a picture for those of each song.

        Pictures of songs that have not `changed`, by id, are kept.
        """
        first = first_to_play(songs)
        draw_picture(first.outline if first else "", self.path / PICTURE)
        for song in songs:
            path = self.path / "listen" / f"{song.id}.html"
            text = preview.song_page(song).encode("utf-8", "replace")
            if not path.is_file() or path.read_bytes() != text:
                with atomic_write(path) as file:
                    file.write(text)
            picture = path.with_suffix(".png")
            if song.id in changed or not picture.is_file():
                draw_picture(song.outline, picture)

    @property
    def index_path(self) -> Path:
        """The index."""
        return self.path / "data" / "index.json"

    def song_path(self, name: str) -> Path:
        """Return the path of a song's file, which may not exist."""
        return self.path / "data" / "songs" / f"{name}.json"

    def media(self, name: str) -> Path:
        """Return the folder of a song's media, which may not exist."""
        return self.path / "media" / name

    def url(self, path: Path) -> str:
        """Return the URL of a file of the site, relative to it."""
        return quote(path.relative_to(self.path).as_posix())

    def forget(self, kept: Iterable[str]) -> None:
        """Remove all songs but those kept."""
        names = set(kept)
        try:
            for path in (*(self.path / "data" / "songs").iterdir(), *(self.path / "listen").iterdir()):
                if path.stem not in names:
                    remove_file(path)
            for folder in (self.path / "media").iterdir():
                if folder.name not in names and folder.is_dir() and not folder.is_symlink():
                    remove_folder(folder)
        except OSError as error:
            raise CannotWrite(f"cannot remove {error.filename}: {error.strerror or error}") from error

    def _write(self, name: str, text: str) -> None:
        """Write a file of the site in one step."""
        with atomic_write(self.path / name) as file:
            file.write(text.encode())


def song_id(place: str, title: str) -> str:
    """Return a readable, short, safe and unique name for a song at `place`, its path from the folder explored."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    readable = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-")
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:10]
    return f"{readable}-{digest}" if readable else digest


def inside(folder: Path, path: Path) -> bool:
    """Return whether a path is a file in a folder after following links; no other file is shown or copied."""
    try:
        return path.is_file() and path.resolve().is_relative_to(folder.resolve())
    except OSError:
        return False
