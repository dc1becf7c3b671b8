"""Songs as the page shows them: the data of the explorer, in a site of the studio's own that follows the folder."""

import json
import re
import threading
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from jukectl.errors import CannotWrite, JukectlError, NotASong
from jukectl.explorer.contract import SongSummary, as_script, index_json
from jukectl.explorer.site import INDEX_CALL, SONG_CALL, Site, song_id
from jukectl.explorer.update import AddSong, MediaOptions, kept_summary, last_change, stamp_of
from jukectl.progress import Listener, warn
from jukectl.studio.songs import Songs

OPTIONS = MediaOptions(link=True, decode=False)
"""Audio is linked, not copied; decoding is a job."""


class Library:
    """Details of songs, written when they are asked for, or by `fill`, and kept until the song's files change."""

    def __init__(self, songs: Songs, path: Path, listener: Listener) -> None:
        self._songs, self._site, self._listener = songs, Site(path), listener
        self._known: dict[str, tuple[str, SongSummary]] = {}  # stamp and summary, by name
        self._writing = threading.Lock()  # one song at a time: audio takes memory
        self._closed = threading.Event()

    def begin(self) -> None:
        """Create the site's folder. Raises CannotWrite."""
        self._site.begin()

    def fill(self) -> None:
        """Write the details of all songs that lack them, the latest first, until `close`."""
        for name in self._songs.names():
            if self._closed.is_set():
                return
            try:
                with suppress(NotASong):
                    self._write(name)
            except (JukectlError, OSError) as error:
                warn(self._listener, f"{name} is listed without its details: {error}")

    def close(self) -> None:
        """End `fill` after the song at which it is."""
        self._closed.set()

    def index(self) -> str:
        """Return the index as a script: the songs with what is known of them, and `folders`, their names by id."""
        names = self._songs.names()
        found = {name: self._summary(name) for name in names}
        text = index_json([one for one in found.values() if one is not None], title=self._songs.folder.name)
        folders = {song_id(name, name): name for name in names}
        missing = any(name not in self._known for name in names)
        return as_script(INDEX_CALL, json.dumps(json.loads(text) | {"folders": folders, "filling": missing}))

    def song(self, name: str) -> str:
        """Return the details of a song, by its id, as a script. Raises NotASong, CannotWrite."""
        folder = self._folder(name)
        self._write(folder)
        try:
            text = self._site.song_path(name).read_text("utf-8")
        except OSError as error:
            raise CannotWrite(f"the details of {folder} are gone: {error.strerror}") from error
        return as_script(SONG_CALL, text, name)

    def media(self, name: str, file: str) -> Path:
        """Return a file of a song's details. Raises NotASong for one that the site does not have."""
        with suppress(OSError):
            for path in self._site.media(name).iterdir() if re.fullmatch(r"[a-z0-9-]+", name) else ():
                if path.name == file and path.is_file():
                    return path
        raise NotASong(f"there is no file {file[:100]!r}")

    def _folder(self, name: str) -> str:
        """Return the name of the folder with an id. Raises NotASong."""
        for folder in self._songs.names():
            if song_id(folder, folder) == name:
                return folder
        raise NotASong(f"there is no song {name[:100]!r}")

    def _summary(self, name: str) -> SongSummary | None:
        """Return what is known of a song without reading its audio; None if it was removed meanwhile."""
        try:
            path = self._songs.path(name)
            stamp, place = stamp_of(path, OPTIONS), song_id(name, name)
            known = self._known.get(name)
            if known is None or known[0] != stamp:
                kept = kept_summary(self._site, place, stamp)
                if kept is not None:
                    self._known[name] = stamp, kept
                    return kept
            return known[1] if known else SongSummary(id=place, title=name, made=last_change(path), state="in progress")
        except (NotASong, OSError):
            return None

    def _write(self, name: str) -> None:
        """Write the details of a song, unless they are up to date."""
        path, place = self._songs.path(name), song_id(name, name)
        with self._writing:
            stamp = stamp_of(path, OPTIONS)
            known = self._known.get(name)
            if known is not None and known[0] == stamp:
                return
            summary = kept_summary(self._site, place, stamp)
            if summary is None:
                detail = self._add_song(path, place)
                self._site.write_song(detail, stamp)
                summary = detail.summary
            self._known[name] = stamp, summary

    @cached_property
    def _add_song(self) -> AddSong:
        from jukectl.explorer.build import song_adder  # torch loads here

        return song_adder(self._site, OPTIONS, device="cpu", listener=self._listener)
