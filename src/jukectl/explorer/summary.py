"""What the explorer's index says of a song, one line a song."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from jukectl.codes.recipe import Recipe
from jukectl.errors import BadInput
from jukectl.prior.mixture import is_mixed, terms_of

Kind = Literal[
    "new", "continuation", "re-rendition", "tree", "duet", "novel style", "novel voice", "novel lyrics", "riff"
]
"""What people do with such models (Jukebox, section 4); the explorer filters by it."""

State = Literal["whole", "in progress", "broken", "newer"]
"""How far a song is, or why it cannot be shown."""

KINDS: tuple[Kind, ...] = get_args(Kind)
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, kw_only=True)
class SongSummary:
    """One song, as lists show it."""

    id: str  # of its files in the site
    title: str
    artist: str | None = None
    genres: tuple[str, ...] = ()
    model: str = ""
    kind: Kind = "new"
    state: State = "whole"
    seconds: float = 0.0  # prompt included
    samples: int = 0
    made: str = ""  # ISO 8601, UTC
    levels: str = ""  # which can be heard, of t, m and b
    lyrics: bool = False
    prompt: float = 0.0  # seconds that were given


def kind_of(recipe: Recipe) -> Kind:
    """What sort of song a recipe makes, as far as it tells.

    That a style is novel, or a prompt a musician's riff, only its maker knows, who may say so in about.toml.
    """
    if any(change.artist is not None for change in recipe.schedule):
        return "duet"
    if recipe.labels.artist is not None and _is_mixture(recipe.labels.artist):
        return "novel voice"
    if recipe.prompt is not None or recipe.trunk is not None:
        return "re-rendition" if recipe.labels.lyrics is not None else "continuation"
    return "novel lyrics" if recipe.labels.lyrics is not None else "new"


def _is_mixture(artist: str) -> bool:
    """Whether a label is like "A:0.6+B:0.4"; a name that has a + in it may be one name."""
    try:
        return ":" in artist and is_mixed(terms_of(artist, lambda name: False))
    except BadInput:
        return False


def names_of(found: Iterable[str]) -> dict[str, int]:
    """Names and their places in a list without duplicates, in the order of their first appearance."""
    return {name: place for place, name in enumerate(dict.fromkeys(found))}
