"""Changes of titles, stars and notes from the page: written to the songs' about.toml, and to the site's data."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jukectl.errors import BadInput, NotASong
from jukectl.explorer.about import About, Change
from jukectl.explorer.contract import SongSummary, first_to_play, to_json
from jukectl.explorer.site import Site
from jukectl.explorer.update import MediaOptions, stamp_of
from jukectl.progress import ignore
from jukectl.tables import read_json


@dataclass(frozen=True)
class Editor:
    """Edits songs of a site, one change at a time. Only songs that the site was built from can be named."""

    site: Site
    folders: Mapping[str, Path]  # of the songs, by id
    options: MediaOptions  # that the site was built with
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def change(self, name: str, change: Change) -> dict[str, Any]:
        """Make a change, and return title, star and notes as they are now.

        Raises NotASong for an unknown song, BadInput for an about.toml that cannot be read, CannotWrite.
        """
        folder = self.folders.get(name)
        if folder is None or not folder.is_dir():
            raise NotASong("this song is no longer there: build the site again with jukectl explore")
        with self._lock:
            before = stamp_of(folder, self.options)
            change.write(folder)
            about = About.read(folder, ignore)
            shown = {"title": about.title or folder.name, "star": about.star, "notes": about.notes}
            self._update_song(name, shown, before, stamp_of(folder, self.options))
            self._update_index(name, shown)
        return shown

    def _update_song(self, name: str, shown: Mapping[str, Any], before: str, after: str) -> None:
        """Update a song's file. It counts as up to date, so that nothing is decoded again, if it was so before."""
        values = read_json(self.site.song_path(name), BadInput)
        values |= shown
        if values["source"] == before:
            values["source"] = after
        self.site.write_song_text(name, to_json(values) + "\n")

    def _update_index(self, name: str, shown: Mapping[str, Any]) -> None:
        """Update a song's row of the index, and the song that visitors are offered first."""
        index = read_json(self.site.index_path, BadInput)
        columns = index["columns"]
        for row in index["songs"]:
            if row[columns.index("id")] == name:
                for key in ("title", "star"):
                    row[columns.index(key)] = shown[key]
        first = first_to_play(_summary(dict(zip(columns, row, strict=True)), index) for row in index["songs"])
        index["first"] = first.id if first else None
        self.site.write_index_text(to_json(index) + "\n")


def _summary(row: Mapping[str, Any], index: Mapping[str, Any]) -> SongSummary:
    """Return the part of a song's summary that the choice of the first song depends on."""
    kept = {key: row[key] for key in ("id", "title", "made", "levels", "star", "quiet")}
    return SongSummary(**kept, state=index["states"][row["state"]])
