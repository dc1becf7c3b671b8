"""Several artists or genres at once: "A:0.6+B:0.4" to names and weights, and from there to ids.

The vector that a prior is told is the weighted sum of their embeddings, so weights between 0 and 1 that add up to 1
lead from one voice to the other, a single one makes its own weaker, and one below 0 leads away from it.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from jukectl.errors import BadInput

MOST_NAMES = 16
"""In one text."""

_WEIGHTED = re.compile(r"(.+):\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*", re.DOTALL)


class Term(NamedTuple):
    """A name as it was given, and how much of it counts."""

    name: str
    weight: float


@dataclass(frozen=True)
class Mixture:
    """Ids, and how much of each one's embedding counts."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.weights):
            raise ValueError(f"a mixture has a weight an id, got {len(self.weights)} for {len(self.ids)}")

    @classmethod
    def of(cls, *ids: int) -> Self:
        """Each of them in full."""
        return cls(ids, (1.0,) * len(ids))

    @classmethod
    def sum(cls, parts: Iterable[tuple[int, float]]) -> Self:
        """Ids and weights added up, each id once and none of weight 0."""
        total: dict[int, float] = {}
        for number, weight in parts:
            total[number] = total.get(number, 0.0) + weight
        kept = {number: weight for number, weight in total.items() if weight}
        return cls(tuple(kept), tuple(kept.values()))

    @property
    def pure(self) -> bool:
        """Whether all of it counts in full, as labels do that are no mixture."""
        return all(weight == 1.0 for weight in self.weights)


def terms_of(text: str, known: Callable[[str], bool]) -> tuple[Term, ...]:
    """The names in "A:0.6+B:0.4" and how much of each counts.

    A name that is `known` is one even where it has a + or a : in it, the longest first. Names without a weight are
    alike: one alone counts in full, each of two by half. BadInput where some have a weight and others have not.
    """
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
    """Whether it is more than one name in full."""
    return len(terms) > 1 or terms[0].weight != 1.0


def _may_be_mixed(text: str) -> bool:
    return "+" in text or _WEIGHTED.fullmatch(text) is not None


def _joined(pieces: list[str], known: Callable[[str], bool]) -> list[str] | None:
    """The pieces between each + put together to known names, with their weights; None where they are no such."""
    if not pieces:
        return []
    for count in range(len(pieces), 0, -1):
        part = "+".join(pieces[:count])
        if known(_named(part, known)[0]) and (rest := _joined(pieces[count:], known)) is not None:
            return [part, *rest]
    return None


def _at_weights(pieces: list[str]) -> list[str]:
    """The pieces of names of which some are not known, a name up to each weight; or each a name, without weights."""
    parts: list[str] = []
    begun: list[str] = []
    for piece in pieces:
        begun.append(piece)
        if _WEIGHTED.fullmatch(piece):
            parts.append("+".join(begun))
            begun = []
    return [*parts, *begun]


def _named(part: str, known: Callable[[str], bool]) -> tuple[str, float | None]:
    """The name and the weight of one part."""
    weighted = None if known(part) else _WEIGHTED.fullmatch(part)
    if weighted is None:
        return part, None
    weight = float(weighted[2])
    if abs(weight) > LARGEST_WEIGHT:
        raise BadInput(f"weights are from -{LARGEST_WEIGHT} to {LARGEST_WEIGHT}, got {_shown(part)}")
    return weighted[1], weight


LARGEST_WEIGHT = 100
"""Either way; embeddings that are told much above 1 are outside of all that a prior has learned."""


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
