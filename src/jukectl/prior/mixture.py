"""Several artists or genres at once: "A:0.6+B:0.4" to names and weights, and from there to ids.

The prior is conditioned on the weighted sum of their embeddings: weights from 0 to 1 that add up to 1 interpolate
between styles, a single weight below 1 weakens one, and a negative weight moves away from it.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from jukectl.errors import BadInput

MOST_NAMES = 16
"""Names in one text at most: `_joined` tries all ways to join pieces at each +."""

_WEIGHTED = re.compile(r"(.+):\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*", re.DOTALL)


class Term(NamedTuple):
    """A name as it was given, and its weight."""

    name: str
    weight: float


@dataclass(frozen=True)
class Mixture:
    """Ids and the weights of their embeddings."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.weights):
            raise ValueError(f"a mixture needs a weight for each id, got {len(self.weights)} for {len(self.ids)}")

    @classmethod
    def of(cls, *ids: int) -> Self:
        """Return the mixture in which each id has weight 1."""
        return cls(ids, (1.0,) * len(ids))

    @classmethod
    def sum(cls, parts: Iterable[tuple[int, float]]) -> Self:
        """Return the mixture of (id, weight) pairs, with weights of the same id added and none of 0."""
        total: dict[int, float] = {}
        for number, weight in parts:  # two names may have one id, such as spellings of an artist, or unknown ones
            total[number] = total.get(number, 0.0) + weight
        kept = {number: weight for number, weight in total.items() if weight}
        return cls(tuple(kept), tuple(kept.values()))

    @property
    def pure(self) -> bool:
        """True if all weights are 1, as for labels without weights."""
        return all(weight == 1.0 for weight in self.weights)


def terms_of(text: str, known: Callable[[str], bool]) -> tuple[Term, ...]:
    """Return the names and weights in "A:0.6+B:0.4".

    A `known` name may contain + or :, and longer names take precedence. Without weights all names have the same, which
    add up to 1. Raises BadInput if only some have a weight.
    """
    # the whole text first: an artist may be called "Florence + The Machine", or "3:30"
    if known(text) or not _may_be_mixed(text):
        return (Term(text, 1.0),)
    pieces = text.split("+")
    if len(pieces) > MOST_NAMES:
        raise BadInput(f"{len(pieces)} names in one mixture, and {MOST_NAMES} are the most: {_shown(text)}")
    parts = _joined(pieces, known) or _at_weights(pieces)
    named = [_named(part, known) for part in parts]
    if any(not name.strip() for name, _ in named):
        raise BadInput(f'a mixture is names with weights such as "A:0.6+B:0.4", got {_shown(text)}')
    weights = [weight for _, weight in named if weight is not None]
    if weights and len(weights) < len(named):
        raise BadInput(f"give each name of the mixture a weight, or none of them: {_shown(text)}")
    return tuple(Term(name.strip(), 1 / len(named) if weight is None else weight) for name, weight in named)


def is_mixed(terms: Sequence[Term]) -> bool:
    """Return True for several names, or one with a weight other than 1."""
    return len(terms) > 1 or terms[0].weight != 1.0  # "A:1" is the same as "A"


def _may_be_mixed(text: str) -> bool:
    return "+" in text or _WEIGHTED.fullmatch(text) is not None  # most texts are plain names and need no parsing


def _joined(pieces: list[str], known: Callable[[str], bool]) -> list[str] | None:
    """Join the pieces between each + to known names, with their weights; None if that is not possible."""
    if not pieces:
        return []
    # longest first, with backtracking: "A+B" may be one known name, and "A" and "B" others
    for count in range(len(pieces), 0, -1):
        part = "+".join(pieces[:count])
        if known(_named(part, known)[0]) and (rest := _joined(pieces[count:], known)) is not None:
            return [part, *rest]
    return None


def _at_weights(pieces: list[str]) -> list[str]:
    """Join pieces of unknown names up to each weight; without weights each piece is a name."""
    # an unknown name may contain a + too; a weight shows where it ends
    parts: list[str] = []
    begun: list[str] = []
    for piece in pieces:
        begun.append(piece)
        if _WEIGHTED.fullmatch(piece):
            parts.append("+".join(begun))
            begun = []
    return [*parts, *begun]


def _named(part: str, known: Callable[[str], bool]) -> tuple[str, float | None]:
    """Return the name and weight of one part. Raises BadInput for a weight out of range."""
    weighted = None if known(part) else _WEIGHTED.fullmatch(part)  # "3:30" is a name, not weight 30 of "3"
    if weighted is None:
        return part, None
    weight = float(weighted[2])
    if abs(weight) > LARGEST_WEIGHT:
        raise BadInput(f"weights are from -{LARGEST_WEIGHT} to {LARGEST_WEIGHT}, got {_shown(part)}")
    return weighted[1], weight


LARGEST_WEIGHT = 100
"""Largest weight, positive or negative. Even weights far below it leave the range of vectors a prior was trained on."""


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
