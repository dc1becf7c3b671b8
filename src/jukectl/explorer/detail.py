"""All that the explorer's page shows of one song. URLs are relative to the site, ready for use."""

from collections.abc import Mapping
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


@dataclass(frozen=True, kw_only=True)
class SongDetail:
    """One song."""

    summary: SongSummary
    problem: str | None = None  # why it is broken, or cannot be read yet
    seed: int | None = None
    command: str | None = None
    recipe: str = ""
    samples: tuple[SampleDetail, ...] = ()
    lyrics: LyricsDetail | None = None
    alignment: tuple[tuple[int, str], ...] = ()  # sample, URL of the picture
    changes: tuple[tuple[float, str], ...] = ()  # seconds, what changes then
    downloads: tuple[tuple[str, str, int], ...] = ()  # what, URL, bytes
    every: float | None = None  # seconds a step of a tree
    nodes: tuple[NodeDetail, ...] = ()

    def to_json(self, source: str = "") -> str:
        """The text of the song's file. `source` tells what it was made from, see `site.stamp`."""
        about = asdict(self.summary)
        about["heard"], about["count"] = about.pop("levels"), about.pop("samples")
        del about["lyrics"]
        lyrics = None
        if self.lyrics is not None:
            words = [
                {"text": one.text, "from": one.first, "to": one.last, "start": one.start, "end": one.end}
                for one in self.lyrics.words
            ]
            lyrics = {"text": self.lyrics.text, "words": words}
        values: dict[str, Any] = {
            "format": FORMAT,
            **about,
            "problem": self.problem,
            "seed": self.seed,
            "command": self.command,
            "recipe": self.recipe,
            "samples": [asdict(sample) for sample in self.samples],
            "lyrics": lyrics,
            "alignment": [{"sample": sample, "image": url} for sample, url in self.alignment],
            "changes": [{"at": at, "label": label} for at, label in self.changes],
            "downloads": [{"label": label, "url": url, "bytes": size} for label, url, size in self.downloads],
            "tree": {"every": self.every, "nodes": [asdict(one) for one in self.nodes]} if self.nodes else None,
            "source": source,
        }
        return to_json(values) + "\n"
