"""The index of a site: one small JSON for all songs, column by column where names repeat."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from jukectl import __version__
from jukectl.explorer.summary import KINDS, STATES, SongSummary, names_of

FORMAT = 1
"""Version of the index and of the songs' files; a page refuses a higher one."""

COLUMNS = (
    "id",
    "title",
    "artist",
    "genres",
    "model",
    "kind",
    "state",
    "seconds",
    "samples",
    "made",
    "levels",
    "lyrics",
    "prompt",
)

LEVEL_LETTERS = {"top": "t", "middle": "m", "bottom": "b"}


def index_json(songs: Sequence[SongSummary], *, title: str, made: datetime | None = None) -> str:
    """The text of index.json. Artists, genres, models, kinds and states are places in its lists, no artist is -1."""
    artists = names_of(song.artist for song in songs if song.artist is not None)
    genres = names_of(genre for song in songs for genre in song.genres)
    models = names_of(song.model for song in songs)
    head = {
        "format": FORMAT,
        "jukectl": __version__,
        "made": (made or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "title": title,
        "artists": list(artists),
        "genres": list(genres),
        "models": list(models),
        "kinds": KINDS,
        "states": STATES,
        "columns": COLUMNS,
    }
    rows = (
        [
            song.id,
            song.title,
            -1 if song.artist is None else artists[song.artist],
            [genres[genre] for genre in song.genres],
            models[song.model],
            KINDS.index(song.kind),
            STATES.index(song.state),
            round(song.seconds, 2),
            song.samples,
            song.made,
            song.levels,
            song.lyrics,
            round(song.prompt, 2),
        ]
        for song in songs
    )
    lines = ",\n".join(to_json(row) for row in rows)
    return f'{to_json(head)[:-1]},"songs":[\n{lines}\n]}}\n'


def to_json(value: Any) -> str:
    """JSON without spaces. Halves of characters, which stand for stray bytes of file names, become question marks."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace").decode("utf-8")


def as_script(call: str, json_text: str, *arguments: str) -> str:
    """A script that hands JSON over, `call(arguments…, json)`: a page that was opened from disk may load no other data.

    What HTML or JavaScript could take for something else is escaped, which leaves the JSON as it is.
    """
    escapes = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    given = ",".join([*map(to_json, arguments), json_text.strip()])
    return f"{call}({_replaced(given, escapes.items())});\n"


def _replaced(text: str, pairs: Iterable[tuple[str, str]]) -> str:
    for old, new in pairs:
        text = text.replace(old, new)
    return text
