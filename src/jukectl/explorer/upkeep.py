"""A site made, or brought up to date: songs that are as they were are left alone, and nothing is loaded for them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jukectl.errors import BadInput
from jukectl.explorer.detail import SongDetail
from jukectl.explorer.finding import find_songs, stamp_of
from jukectl.explorer.site import Site, song_id
from jukectl.explorer.summary import SongSummary
from jukectl.explorer.taking import Taking
from jukectl.progress import Progress, Report, silent

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
    report: Report = silent,
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
        report(Progress("songs", number, len(found), path.name))
        name, stamp = song_id(place, path.name), stamp_of(path, taking)
        summary = _known(site, name, stamp)
        if summary is None:
            maker = maker or begin(site, taking)
            detail = maker(path, name)
            site.write_song(detail, stamp)
            summary, made = detail.summary, made + 1
        summaries.append(summary)
    report(Progress("songs", len(found), len(found)))
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
