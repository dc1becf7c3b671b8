"""All that the explorer's page shows of one song. URLs are relative to the site, ready for use."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from jukectl.explorer.index import FORMAT, to_json
from jukectl.explorer.summary import SongSummary


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """A level of a sample, or of a tree's node, as it can be heard and seen."""

    audio: str  # URL
    type: str  # media type
    seconds: float
    peaks: tuple[tuple[int, int], ...] = field(repr=False)  # lowest and highest of equal parts, -127..127
    spectrogram: str  # URL of a picture, time to the right, low tones at its foot
    bytes: int  # of the audio


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file that a visitor may take home."""

    label: str
    url: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class SampleDetail:
    """A sample: its levels by name, those that can be heard."""

    number: int
    levels: Mapping[str, Hearing]


@dataclass(frozen=True, kw_only=True)
class WordDetail:
    """A word of the lyrics: its characters from..to in the text, and its seconds."""

    text: str
    first: int
    last: int  # one past
    start: float
    end: float | None


@dataclass(frozen=True, kw_only=True)
class LyricsDetail:
    """The lyrics, with times where they are known."""

    text: str
    words: tuple[WordDetail, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NodeDetail:
    """A node of a tree: the branches that lead to it, such as "2.3", and what it adds."""

    path: str  # "" is the root
    parent: str | None
    start: float  # seconds of the song
    stop: float
    state: str
    levels: Mapping[str, Hearing]
    downloads: tuple[Download, ...] = ()  # its codes


@dataclass(frozen=True, kw_only=True)
class SongDetail:
    """One song."""

    summary: SongSummary
    problem: str | None = None  # why it is broken, or cannot be read yet
    seed: int | None = None
    command: str | None = None
    recipe: str = ""  # the text of song.toml, or of tree.toml
    samples: tuple[SampleDetail, ...] = ()
    lyrics: LyricsDetail | None = None
    alignment: tuple[tuple[int, str], ...] = ()  # sample, URL of the picture
    changes: tuple[tuple[float, str], ...] = ()  # seconds, what changes then
    downloads: tuple[Download, ...] = ()  # recipe and codes
    every: float | None = None  # seconds a step of a tree
    nodes: tuple[NodeDetail, ...] = ()

    @property
    def urls(self) -> Iterator[str]:
        """All that it refers to on the site."""
        for levels in (*(one.levels for one in self.samples), *(one.levels for one in self.nodes)):
            for hearing in levels.values():
                yield from (hearing.audio, hearing.spectrogram)
        yield from (picture for _, picture in self.alignment)
        for downloads in (self.downloads, *(one.downloads for one in self.nodes)):
            yield from (one.url for one in downloads)

    def to_json(self, source: str = "") -> str:
        """The text of the song's file. `source` tells what it was made from, see `finding.stamp_of`."""
        about = asdict(self.summary)
        about["heard"], about["count"] = about.pop("levels"), about.pop("samples")
        del about["lyrics"]
        values: dict[str, Any] = {
            "format": FORMAT,
            **about,
            "problem": self.problem,
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


def _levels(levels: Mapping[str, Hearing]) -> dict[str, dict[str, Any]]:
    """The fields of each level as they are: `asdict` would copy every peak."""
    return {level: vars(hearing) for level, hearing in levels.items()}


def _node(node: NodeDetail) -> dict[str, Any]:
    return vars(node) | {"levels": _levels(node.levels), "downloads": [asdict(one) for one in node.downloads]}


def _lyrics(lyrics: LyricsDetail) -> dict[str, Any]:
    words = [
        {"text": one.text, "from": one.first, "to": one.last, "start": one.start, "end": one.end}
        for one in lyrics.words
    ]
    return {"text": lyrics.text, "words": words}
