"""The one interface of what finds words in a recording."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jukectl.audio.mix import Samples


@dataclass(frozen=True)
class Span:
    """When a word is sung, in seconds from the start of what was heard."""

    start: float
    end: float


class Aligner(Protocol):
    """Forced alignment: the words are known, only their times are not."""

    sample_rate: int
    """Hz, of what it hears."""

    def can_say(self, word: str) -> bool:
        """Whether there is anything in a word that is heard when it is sung."""

    def unsure(self, words: Sequence[str]) -> tuple[str, ...]:
        """Those whose sound it has to guess, each once."""

    def align(self, samples: Samples, words: Sequence[str]) -> list[Span] | None:
        """When each of the words, all of which it can say, is sung in samples (N,): one after the other, none left out.

        None where it finds no way through all of them.
        """
