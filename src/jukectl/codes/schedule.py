"""Schedules: changes of style, sampling settings and lyrics at given seconds of a song.

A schedule's own file is TOML with a `[[change]]` for each; song.toml has the same tables as `[[schedule]]`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf
from typing import Any, Self

from jukectl.codes.beat import check_meter, check_tempo
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadInput, need
from jukectl.tables import Form, build, parse_toml

CHANGE = "change"
"""Key of the tables in a schedule's file."""

SETTINGS = ("temperature", "top_k", "top_p", "guidance")
"""Settings that a change can have."""

LONGEST = 1e9
"""Seconds: some thirty years, whose audio samples are still exact numbers."""

Settings = Mapping[str, Mapping[Level, float]]


def check_seconds(key: str, seconds: float) -> None:
    """BadInput for a time that no song has."""
    need(0 <= seconds <= LONGEST, key, f"0 to {LONGEST:g} seconds", seconds)


@dataclass(frozen=True, kw_only=True)
class Change:
    """Changes that take effect at one second. Raises BadInput, naming the key, for invalid values."""

    at: float  # seconds from the start of the audio, a prompt included
    artist: str | None = None  # "" is no artist
    genres: tuple[str, ...] | None = None  # () is no genre
    settings: Settings = field(default_factory=dict, hash=False)
    lyrics_at: float | None = None  # second of the song whose place in the lyrics is sung from here on
    lyrics_line: int | None = None  # or a line of the lyrics, counted from 1
    tempo: float | None = None  # beats a minute, of a song with a beat
    meter: str | None = None  # its time signature, from the nearest beat on

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", float(self.at))
        check_seconds("at", self.at)
        if self.lyrics_at is not None:
            object.__setattr__(self, "lyrics_at", float(self.lyrics_at))
            check_seconds("lyrics_at", self.lyrics_at)
            need(self.lyrics_line is None, "lyrics_line", "left out beside lyrics_at", self.lyrics_line)
        line = self.lyrics_line
        need(line is None or line >= 1, "lyrics_line", "a line from 1", line)
        for name, values in self.settings.items():
            need(name in SETTINGS, name, f"left out, only {', '.join(SETTINGS)} can change", dict(values))
        if self.tempo is not None:
            object.__setattr__(self, "tempo", float(self.tempo))
            check_tempo("tempo", self.tempo)
        if self.meter is not None:
            check_meter("meter", self.meter)
        given = (self.artist, self.genres, self.lyrics_at, line, self.tempo, self.meter)
        if not self.settings and given == (None,) * len(given):
            raise BadInput(f"the change at {self.at:g} s changes nothing")

    def table(self) -> dict[str, Any]:
        """Return the change as plain values for a table, without what does not change."""
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
    """Return changes from first to last. BadInput if two are at the same second."""
    ordered = tuple(sorted(changes, key=lambda change: change.at))
    for one, other in pairwise(ordered):
        if one.at == other.at:
            raise BadInput(f"two changes are at {one.at:g} s: make one of them")
    return ordered


def since(changes: Iterable[Change], seconds: float) -> tuple[Change, ...]:
    """Return a schedule from some second on, in seconds from there: all changes before become one at its start.

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
    """Return a change without tempo and meter; None if nothing else is left."""
    rest = {key for key in change.table() if key not in ("at", "tempo", "meter")}
    return replace(change, tempo=None, meter=None) if rest else None


def _joined(one: Change, other: Change) -> Change:
    """Two changes of the same second as one, of which `other` comes last."""
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


class PerLevel(dict[Level, float]):
    """A setting for each level, from one number for all of them, or a table of one for each."""

    @classmethod
    def from_plain(cls, value: Any) -> Self:
        """Return the numbers; BadInput if there are none."""
        if not isinstance(value, dict):
            return cls(dict.fromkeys(TOP_DOWN, _number(value)))
        return cls({Level.parse(name): _number(one) for name, one in value.items()})


@dataclass(frozen=True, kw_only=True)
class ChangeForm:
    """Layout of a change in a file: one genre or a list of them, and settings by their names."""

    at: float
    artist: str | None = None
    genre: str | tuple[str, ...] | None = None
    temperature: PerLevel | None = None
    top_k: PerLevel | None = None
    top_p: PerLevel | None = None
    guidance: PerLevel | None = None
    lyrics_at: float | None = None
    lyrics_line: int | None = None
    tempo: float | None = None
    meter: str | None = None

    def value(self) -> Change:
        """Return the change; an empty text is no genre."""
        listed = (self.genre,) if isinstance(self.genre, str) else self.genre
        settings = {name: getattr(self, name) for name in SETTINGS}
        return Change(
            at=self.at,
            artist=self.artist,
            genres=None if listed is None else tuple(text for text in listed if text.strip()),
            settings={name: dict(values) for name, values in settings.items() if values is not None},
            lyrics_at=self.lyrics_at,
            lyrics_line=self.lyrics_line,
            tempo=self.tempo,
            meter=self.meter,
        )


@dataclass(frozen=True, kw_only=True)
class ScheduleForm:
    """Layout of a schedule's file."""

    change: tuple[Change, ...] = ()


FORMS: Mapping[type, type[Form]] = {Change: ChangeForm}


def parse_schedule(text: str, where: str) -> tuple[Change, ...]:
    """Return the changes in the text of a schedule's file, first to last. BadInput names file and key."""
    try:
        table = parse_toml(text)
    except ValueError as error:
        raise BadInput(f"{where} is no TOML: {error}") from error
    changes = build(ScheduleForm, table, where, error=BadInput, forms=FORMS).change
    if not changes:
        raise BadInput(f'{where} holds no changes: a schedule is [[{CHANGE}]] tables, such as at = 12.5, artist = "B"')
    try:
        return in_order(changes)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from error


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{label}:{number:g}" for label, number in value.items())
    return repr(value) if isinstance(value, str | list) else f"{value:g}"


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -inf < value < inf:
        raise BadInput(f"a setting is a number, or a table of one for each level, got {value!r}")
    return float(value)
