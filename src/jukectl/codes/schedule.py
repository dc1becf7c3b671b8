"""A schedule: what changes in a song, and at which second of it. Duets, other styles, other settings on the way.

In a file of its own it is TOML, a `[[change]]` for each; in song.toml the same tables are called `[[schedule]]`.
"""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Self

from jukectl.codes.beat import check_meter, check_tempo
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadInput, UnknownName, need

CHANGE = "change"
"""What the tables of a schedule's file are called."""

SETTINGS = ("temperature", "top_k", "top_p", "guidance")
"""Settings that may change on the way."""

KEYS = ("at", "artist", "genre", *SETTINGS, "lyrics_at", "lyrics_line", "tempo", "meter")

Settings = Mapping[str, Mapping[Level, float]]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is another from one second on; all else stays. BadInput, naming the key, where it makes no sense."""

    at: float  # seconds from the beginning of the audio, a prompt included
    artist: str | None = None  # "" is nobody
    genres: tuple[str, ...] | None = None  # () is none
    settings: Settings = field(default_factory=dict, hash=False)
    lyrics_at: float | None = None  # the second at which the lyrics to be sung from here on would have their place
    lyrics_line: int | None = None  # or their line, counted from 1
    tempo: float | None = None  # beats a minute, of a song with a beat
    meter: str | None = None  # its time signature, from the nearest beat on

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", float(self.at))
        need(math.isfinite(self.at) and self.at >= 0, "at", "0 seconds or more", self.at)
        if self.lyrics_at is not None:
            object.__setattr__(self, "lyrics_at", float(self.lyrics_at))
            need(math.isfinite(self.lyrics_at) and self.lyrics_at >= 0, "lyrics_at", "0 or more", self.lyrics_at)
            need(self.lyrics_line is None, "lyrics_line", "left out where there is lyrics_at", self.lyrics_line)
        line = self.lyrics_line
        need(line is None or line >= 1, "lyrics_line", "1, the first, or more", line)
        for name, values in self.settings.items():
            need(name in SETTINGS, name, f"no setting that may change; those are {', '.join(SETTINGS)}", dict(values))
        if self.tempo is not None:
            object.__setattr__(self, "tempo", float(self.tempo))
            check_tempo("tempo", self.tempo)
        if self.meter is not None:
            check_meter("meter", self.meter)
        given = (self.artist, self.genres, self.lyrics_at, line, self.tempo, self.meter)
        need(bool(self.settings) or given != (None,) * 6, f"the change at {self.at:g} s", "of something", "nothing")

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> Self:
        """One table of a schedule. BadInput where it is none."""
        if unknown := [key for key in table if key not in KEYS]:
            raise BadInput(f"a change has no {unknown[0]!r}: it has {', '.join(KEYS)}")
        need("at" in table, "at", "the second of each change", "none")
        return cls(
            at=_number("at", table["at"]),
            artist=_text("artist", table["artist"]) if "artist" in table else None,
            genres=_genres(table["genre"]) if "genre" in table else None,
            settings={name: _by_level(name, table[name]) for name in SETTINGS if name in table},
            lyrics_at=_number("lyrics_at", table["lyrics_at"]) if "lyrics_at" in table else None,
            lyrics_line=_whole("lyrics_line", table["lyrics_line"]) if "lyrics_line" in table else None,
            tempo=_number("tempo", table["tempo"]) if "tempo" in table else None,
            meter=_text("meter", table["meter"]) if "meter" in table else None,
        )

    def table(self) -> dict[str, Any]:
        """The inverse of `read`: plain values, and what does not change left out."""
        values = {
            "at": self.at,
            "artist": self.artist,
            "genre": None if self.genres is None else list(self.genres),
            **{
                name: {level.label: self.settings[name][level] for level in TOP_DOWN if level in self.settings[name]}
                for name in SETTINGS
                if name in self.settings
            },
            "lyrics_at": self.lyrics_at,
            "lyrics_line": self.lyrics_line,
            "tempo": self.tempo,
            "meter": self.meter,
        }
        return {key: value for key, value in values.items() if value is not None}

    def __str__(self) -> str:
        changed = (f"{key}={_shown(value)}" for key, value in self.table().items() if key != "at")
        return f"{self.at:g} s: {' '.join(changed)}"


def in_order(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The changes of a song, first to last. BadInput where two are at the same second."""
    ordered = tuple(sorted(changes, key=lambda change: change.at))
    for one, other in pairwise(ordered):
        if one.at == other.at:
            raise BadInput(f"two changes are at {one.at:g} s: make one of them")
    return ordered


def since(changes: Iterable[Change], seconds: float) -> tuple[Change, ...]:
    """Return what of a schedule holds from some second on, counted from there: all before is one change at its start.

    That change has no tempo and meter, which `beat_since` moves into the song's beat: a change at 0 would begin there,
    in the middle of a beat.
    """
    ordered = in_order(changes)
    rest = [replace(one, at=one.at - seconds) for one in ordered if one.at > seconds]
    joined: Change | None = None
    for one in (one for one in ordered if one.at <= seconds):
        place = one.lyrics_at if one.lyrics_at is None else one.lyrics_at + seconds - one.at
        if (now := _without_beat(replace(one, at=0.0, lyrics_at=place))) is not None:
            joined = now if joined is None else _joined(joined, now)
    return (*([] if joined is None else [joined]), *rest)


def _without_beat(change: Change) -> Change | None:
    """A change without tempo and meter; None for one of nothing else."""
    rest = {key for key in change.table() if key not in ("at", "tempo", "meter")}
    return replace(change, tempo=None, meter=None) if rest else None


def _joined(one: Change, other: Change) -> Change:
    """Two changes of the same second as one, where the other comes last."""
    sings = other if (other.lyrics_at, other.lyrics_line) != (None, None) else one
    names = {*one.settings, *other.settings}
    return Change(
        at=one.at,
        artist=one.artist if other.artist is None else other.artist,
        genres=one.genres if other.genres is None else other.genres,
        settings={name: {**one.settings.get(name, {}), **other.settings.get(name, {})} for name in names},
        lyrics_at=sings.lyrics_at,
        lyrics_line=sings.lyrics_line,
        tempo=one.tempo if other.tempo is None else other.tempo,
        meter=one.meter if other.meter is None else other.meter,
    )


def parse_schedule(text: str, where: str) -> tuple[Change, ...]:
    """The changes in the text of a schedule's file, called `where`, first to last. BadInput where it holds none."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{where} is no TOML: {error}") from error
    if unknown := [key for key in table if key != CHANGE]:
        raise BadInput(f"{where} has {unknown[0]!r}: a schedule is [[{CHANGE}]] tables alone")
    tables = table.get(CHANGE, [])
    if not isinstance(tables, list) or not tables or not all(isinstance(one, dict) for one in tables):
        raise BadInput(f'{where} holds no changes: a schedule is [[{CHANGE}]] tables, such as at = 12.5, artist = "B"')
    try:
        return in_order(map(Change.read, tables))
    except (BadInput, UnknownName) as error:
        raise BadInput(f"{where}: {error}") from error


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{label}:{number:g}" for label, number in value.items())
    return repr(value) if isinstance(value, str | list) else f"{value:g}"


def _number(key: str, value: Any) -> float:
    need(isinstance(value, int | float) and not isinstance(value, bool), key, "a number", value)
    return float(value)


def _whole(key: str, value: Any) -> int:
    need(isinstance(value, int) and not isinstance(value, bool), key, "a whole number", value)
    return int(value)


def _text(key: str, value: Any) -> str:
    need(isinstance(value, str), key, "a text", value)
    return str(value)


def _genres(value: Any) -> tuple[str, ...]:
    """One genre, or a list of them; an empty text is none."""
    listed = value if isinstance(value, list) else [value]
    return tuple(text for text in (_text("genre", one) for one in listed) if text.strip())


def _by_level(key: str, value: Any) -> dict[Level, float]:
    """One number for all levels, or a table of one a level."""
    if not isinstance(value, dict):
        return dict.fromkeys(TOP_DOWN, _number(key, value))
    return {Level.parse(name): _number(key, one) for name, one in value.items()}
