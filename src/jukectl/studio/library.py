"""Songs as the page shows them: the data of the explorer, in a site of the studio's own that follows the folder."""

import json
import re
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from jukectl.errors import CannotWrite, JukectlError, NotASong
from jukectl.explorer.contract import SongSummary, as_script, index_json
from jukectl.explorer.site import INDEX_CALL, SONG_CALL, Site, inside, song_id
from jukectl.explorer.update import AddSong, MediaOptions, kept_summary, last_change, stamp_of
from jukectl.progress import Listener, warn
from jukectl.studio.songs import Songs

OPTIONS = MediaOptions(link=True, decode=False)
"""Audio is linked, not copied; decoding is a job."""


class Library:
    """Details of songs, written when they are asked for or in the background, and kept until the song's files change.

    `busy` returns the names of songs that are being made: those change all the time, and wait until they are asked for.
    """

    def __init__(
        self, songs: Songs, path: Path, listener: Listener, busy: Callable[[], Collection[str]] = frozenset
    ) -> None:
        self._songs, self._site, self._listener, self._busy = songs, Site(path), listener, busy
        self._known: dict[str, tuple[str, SongSummary]] = {}  # stamp and summary, by name
        self._writing = threading.Lock()  # one song at a time: audio takes memory
        self._filling = threading.Lock()  # held while `fill` works
        self._closed = threading.Event()

    def begin(self) -> None:
        """Create the site's folder. Raises CannotWrite."""
        self._site.begin()

    def fill(self) -> None:
        """Write the details of all songs that lack them, the latest first, until `close`. One thread at a time does."""
        with self._filling:
            for name in self._songs.names():
                if not self._closed.is_set() and name not in self._busy():
                    self._try_to_write(name)

    def close(self) -> None:
        """End `fill` after the song at which it is."""
        self._closed.set()

    def index(self) -> str:
        """Return the index as a script, with what is known of each song, and have the rest written.

        It has two values more than that of a site: `folders`, the names of songs by id, and `filling`, true if another
        index will know more.
        """
        names, busy = self._songs.names(), self._busy()
        found = [(name, *self._known_of(name)) for name in names]
        filling = any(not fresh and name not in busy for name, _, fresh in found)
        if filling and not self._filling.locked():
            threading.Thread(target=self.fill, name="library", daemon=True).start()
        text = index_json([summary for _, summary, _ in found if summary is not None], title=self._songs.folder.name)
        folders = {song_id(name, name): name for name in names}
        return as_script(INDEX_CALL, json.dumps(json.loads(text) | {"folders": folders, "filling": filling}))

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
                if path.name == file and inside(self._songs.folder, path):
                    return path
        raise NotASong(f"there is no file {file[:100]!r}")

    def _folder(self, name: str) -> str:
        """Return the name of the folder with an id. Raises NotASong."""
        for folder in self._songs.names():
            if song_id(folder, folder) == name:
                return folder
        raise NotASong(f"there is no song {name[:100]!r}")

    def _known_of(self, name: str) -> tuple[SongSummary | None, bool]:
        """Return what is known of a song without reading its audio, and if that is up to date.

        None, which is up to date, for a song that was removed meanwhile.
        """
        try:
            path = self._songs.path(name)
            stamp, known = stamp_of(path, OPTIONS), self._known.get(name)
            if known is not None and known[0] == stamp:
                return known[1], True
            kept = kept_summary(self._site, song_id(name, name), stamp)
            if kept is not None:
                self._known[name] = stamp, kept
                return kept, True
            return (known[1] if known is not None else _unread(path)), False
        except (NotASong, OSError):
            return None, True

    def _try_to_write(self, name: str) -> None:
        """Write the details of a song; of one that cannot be, warn once until its files change."""
        try:
            self._write(name)
        except NotASong:
            return  # removed meanwhile
        except (JukectlError, OSError) as error:
            warn(self._listener, f"{name} is listed without its details: {error}")
            with suppress(NotASong, OSError):
                path = self._songs.path(name)
                self._known[name] = stamp_of(path, OPTIONS), _unread(path)

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


def _unread(path: Path) -> SongSummary:
    """Return the summary of a song that was not read yet."""
    return SongSummary(id=song_id(path.name, path.name), title=path.name, made=last_change(path), state="in progress")
