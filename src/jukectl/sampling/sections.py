"""What a level is made with where that changes on the way: from which code on which labels and settings. No tensors."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from jukectl.codes.recipe import LevelSampling
from jukectl.prior.mixture import Mixture


@dataclass(frozen=True, kw_only=True)
class Section:
    """What the codes of a level are drawn with, from one of them up to the next section's first."""

    start: int = 0  # code, from the start of the sample
    artist: Mixture
    genres: Mixture
    sampling: LevelSampling
    lyrics_shift: int = 0  # audio samples by which the lyrics told are those of a later place in the song


def section_at(sections: Sequence[Section], code: int) -> Section:
    """The section that a code is in. The first one begins at 0."""
    return sections[bisect_right([section.start for section in sections], code) - 1]


def cuts_of(sections: Sequence[Section]) -> tuple[int, ...]:
    """The codes at which one section gives way to the next."""
    return tuple(section.start for section in sections[1:])
