"""Data of the explorer's page: the index and one file per song. URLs are relative to the site and quoted."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from jukectl import __version__
from jukectl.codes.recipe import Recipe
from jukectl.errors import BadInput
from jukectl.prior.mixture import is_mixed, terms_of

Kind = Literal[
    "new", "continuation", "re-rendition", "tree", "duet", "novel style", "novel voice", "novel lyrics", "riff"
]
"""Uses of such models (Jukebox, section 4.4), by which the explorer filters."""

State = Literal["whole", "in progress", "broken", "newer"]
"""Completeness of a song, or the reason that it cannot be shown."""

KINDS: tuple[Kind, ...] = get_args(Kind)
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, kw_only=True)
class SongSummary:
    """A song in a list."""

    id: str  # name of its files on the site
    title: str
    artist: str | None = None
    genres: tuple[str, ...] = ()
    model: str = ""
    kind: Kind = "new"
    state: State = "whole"
    seconds: float = 0.0  # prompt included
    samples: int = 0
    made: str = ""  # ISO 8601, UTC
    levels: str = ""  # those with audio, of t, m and b
    lyrics: bool = False
    prompt: float = 0.0  # seconds
    outline: str = ""  # of the waveform, see `outline.py`
    star: bool = False
    quiet: bool = False  # True: all of it is nearly silent


def kind_of(recipe: Recipe) -> Kind:
    """Return the kind of song that a recipe makes.

    "novel style" and "riff" cannot be seen in a recipe; about.toml may say so.
    """
    if any(change.artist is not None for change in recipe.schedule):
        return "duet"
    if recipe.labels.artist is not None and _is_mixture(recipe.labels.artist):
        return "novel voice"
    if recipe.prompt is not None or recipe.prefix is not None:
        return "re-rendition" if recipe.labels.lyrics is not None else "continuation"
    return "novel lyrics" if recipe.labels.lyrics is not None else "new"


def _is_mixture(artist: str) -> bool:
    """Return whether a label is like "A:0.6+B:0.4"; a name with a + alone may be one name."""
    try:
        return ":" in artist and is_mixed(terms_of(artist, lambda name: False))
    except BadInput:
        return False


def names_of(found: Iterable[str]) -> dict[str, int]:
    """Return names with their places in a list without duplicates, in the order of first appearance."""
    return {name: place for place, name in enumerate(dict.fromkeys(found))}


@dataclass(frozen=True, kw_only=True)
class AudioDetail:
    """Audio and pictures of a level of a sample, or of a tree's node."""

    audio: str  # URL
    type: str  # media type
    seconds: float
    peaks: tuple[tuple[int, int], ...] = field(repr=False)  # lowest and highest of parts of equal length, -127..127
    spectrogram: str  # URL of a picture, time to the right, low frequencies at the bottom
    hertz: tuple[float, float]  # frequencies at the lower and upper edge of the picture, which is logarithmic
    bytes: int  # of the audio
    quiet: bool = False  # True: what follows the prompt is nearly silent


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file to download."""

    label: str
    url: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class SampleDetail:
    """A sample: its levels with audio, by name."""

    number: int
    levels: Mapping[str, AudioDetail]


@dataclass(frozen=True, kw_only=True)
class WordDetail:
    """A word of the lyrics: its characters first..last in the text, and its seconds."""

    text: str
    first: int
    last: int  # one past
    start: float
    end: float | None


@dataclass(frozen=True, kw_only=True)
class LyricsDetail:
    """The lyrics, with the times of words if known."""

    text: str
    words: tuple[WordDetail, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NodeDetail:
    """A node of a tree: the branches to it, such as "2.3", and the audio it adds."""

    path: str  # "" is the root
    parent: str | None
    start: float  # seconds of the song
    stop: float
    state: str
    levels: Mapping[str, AudioDetail]
    downloads: tuple[Download, ...] = ()  # its codes
    commands: Mapping[str, str] = field(default_factory=dict)  # "pick" and "branch"


@dataclass(frozen=True, kw_only=True)
class SongDetail:
    """A song on its own page."""

    summary: SongSummary
    problem: str | None = None  # the error, if it cannot be read
    notes: str = ""
    seed: int | None = None
    command: str | None = None
    recipe: str = ""  # the text of song.toml, or of tree.toml
    samples: tuple[SampleDetail, ...] = ()
    lyrics: LyricsDetail | None = None
    alignment: tuple[tuple[int, str], ...] = ()  # sample, URL of the picture
    changes: tuple[tuple[float, str], ...] = ()  # seconds, what changes then
    downloads: tuple[Download, ...] = ()  # recipe and codes
    every: float | None = None  # seconds of a step of a tree
    nodes: tuple[NodeDetail, ...] = ()

    @property
    def urls(self) -> Iterator[str]:
        """URLs of all media that it refers to."""
        for levels in (*(one.levels for one in self.samples), *(one.levels for one in self.nodes)):
            for audio in levels.values():
                yield from (audio.audio, audio.spectrogram)
        yield from (picture for _, picture in self.alignment)
        for downloads in (self.downloads, *(one.downloads for one in self.nodes)):
            yield from (one.url for one in downloads)

    def to_json(self, source: str = "") -> str:
        """Return the text of the song's file. `source` is the stamp of its folder, see `update.stamp_of`."""
        about = asdict(self.summary)
        about["heard"], about["count"] = about.pop("levels"), about.pop("samples")
        del about["lyrics"]
        values: dict[str, Any] = {
            "format": FORMAT,
            **about,
            "problem": self.problem,
            "notes": self.notes,
            "seed": self.seed,
            "command": self.command,
            "recipe": self.recipe,
            "samples": [{"number": one.number, "levels": _levels(one.levels)} for one in self.samples],
            "lyrics": _lyrics(self.lyrics) if self.lyrics is not None else None,
            "alignment": [{"sample": sample, "image": url} for sample, url in self.alignment],
            "changes": [{"at": at, "label": label} for at, label in self.changes],
            "downloads": [asdict(one) for one in self.downloads],
            "tree": {"every": self.every, "nodes": [_node(one) for one in self.nodes]} if self.nodes else None,
            "source": source,
        }
        return to_json(values) + "\n"


def _levels(levels: Mapping[str, AudioDetail]) -> dict[str, dict[str, Any]]:
    """Return the fields of each level; `asdict` would copy every peak."""
    return {level: vars(audio) for level, audio in levels.items()}


def _node(node: NodeDetail) -> dict[str, Any]:
    """Return a node for JSON."""
    return vars(node) | {"levels": _levels(node.levels), "downloads": [asdict(one) for one in node.downloads]}


def _lyrics(lyrics: LyricsDetail) -> dict[str, Any]:
    """Return lyrics for JSON."""
    words = [
        {"text": one.text, "from": one.first, "to": one.last, "start": one.start, "end": one.end}
        for one in lyrics.words
    ]
    return {"text": lyrics.text, "words": words}


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
    "outline",
    "star",
    "quiet",
)

LEVEL_LETTERS = {"top": "t", "middle": "m", "bottom": "b"}


def first_to_play(songs: Iterable[SongSummary]) -> SongSummary | None:
    """Return the song that a visitor is offered first: starred, whole and audible if possible, then the newest one."""
    audible = (song for song in songs if song.levels and not song.quiet)
    return max(audible, key=lambda song: (song.star, song.state == "whole", song.made), default=None)


def index_json(songs: Sequence[SongSummary], *, title: str, made: datetime | None = None) -> str:
    """Return the text of index.json. Artists, genres, models, kinds and states are indices of its lists; -1 is none."""
    first = first_to_play(songs)
    artists = names_of(song.artist for song in songs if song.artist is not None)
    genres = names_of(genre for song in songs for genre in song.genres)
    models = names_of(song.model for song in songs)
    head = {
        "format": FORMAT,
        "jukectl": __version__,
        "made": (made or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "title": title,
        "first": first.id if first else None,
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
            song.outline,
            song.star,
            song.quiet,
        ]
        for song in songs
    )
    lines = ",\n".join(to_json(row) for row in rows)
    return f'{to_json(head)[:-1]},"songs":[\n{lines}\n]}}\n'


def to_json(value: Any) -> str:
    """Return JSON without spaces. Lone surrogates, which stand for stray bytes of file names, become question marks."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace").decode("utf-8")


def as_script(call: str, json_text: str, *arguments: str) -> str:
    """Return a script `call(arguments…, json)`: a page opened from disk may load scripts, but no JSON.

    Characters with a meaning in HTML or JavaScript are escaped, which does not change the JSON.
    """
    escapes = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    given = ",".join([*map(to_json, arguments), json_text.strip()])
    return f"{call}({_replaced(given, escapes.items())});\n"


def _replaced(text: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Return text after replacing each pair in turn."""
    for old, new in pairs:
        text = text.replace(old, new)
    return text
