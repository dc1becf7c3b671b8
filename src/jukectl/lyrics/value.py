"""`Lyrics`: the lyrics of a song as one value, parsed once where a file or a recipe is opened."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, get_args

from jukectl.errors import BadInput, need
from jukectl.lyrics import lrc
from jukectl.lyrics.files import read_text
from jukectl.lyrics.timed import TimedLyrics

LyricsFormat = Literal["text", "lrc"]
"""Plain text, or LRC, which has the times at which lines or words are sung."""

LRC_SUFFIX = ".lrc"


@dataclass(frozen=True)
class Lyrics:
    """Lyrics as the user gave them, and the words and times read from them. BadInput for LRC that cannot be read."""

    source: str  # kept to the letter, since song.toml holds it
    format: LyricsFormat = "text"
    timed: TimedLyrics | None = field(init=False, repr=False, compare=False)  # None: plain text, without times

    def __post_init__(self) -> None:
        need(self.format in get_args(LyricsFormat), "lyrics_format", " or ".join(get_args(LyricsFormat)), self.format)
        object.__setattr__(self, "timed", lrc.parse(self.source) if self.format == "lrc" else None)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file: .lrc by its name, or else plain text. BadInput names the file and the line that is wrong."""
        text = read_text(path)
        try:
            return cls(text, "lrc" if path.suffix.lower() == LRC_SUFFIX else "text")
        except BadInput as error:
            raise BadInput(f"{path}: {error}. Mend it, or name a file of plain text .txt") from error

    @property
    def text(self) -> str:
        """The words without times; lines of LRC are separated by line feeds."""
        return self.source if self.timed is None else self.timed.text

    @property
    def is_empty(self) -> bool:
        """True without any word to sing."""
        return not (self.source.strip() if self.timed is None else self.timed.words)
