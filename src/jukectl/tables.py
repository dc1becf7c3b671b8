"""Read TOML and JSON tables into frozen dataclasses; every mistake is named with its file and key."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from jukectl.errors import BadRecipe

RecipeType = TypeVar("RecipeType")


def build(kind: type[RecipeType], table: Mapping[str, Any], where: str, inside: str = "") -> RecipeType:
    """A dataclass of `kind` from a TOML table; BadRecipe names what is unknown, missing or of another type.

    `where` is the file and `inside` the table in it, such as "train", for these messages.
    """
    within = f"{inside}." if inside else ""
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(table) - set(known)):
        raise BadRecipe(f"{where}: {within}{unknown[0]} is not known; known are {', '.join(sorted(known))}")
    for name, one in known.items():
        if name not in table and one.default is MISSING and one.default_factory is MISSING:
            raise BadRecipe(f"{where}: {within}{name} is missing")
    hints = get_type_hints(kind)
    values = {key: _convert(hints[key], value, where, f"{within}{key}") for key, value in table.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise BadRecipe(f"{where}: {within}{error}") from error


SIMPLE: dict[type, tuple[str, tuple[type, ...]]] = {
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    str: ("text", (str,)),
    bool: ("true or false", (bool,)),
    Path: ("a path", (str, Path)),
}
"""What a field of a simple type is called in messages, and what it may be given as."""


def _convert(hint: Any, value: Any, where: str, key: str) -> Any:
    """`value` as TOML gives it, in the type that the field wants."""
    if get_origin(hint) in (Union, UnionType):  # of one type and None, which TOML does not have, or of one and a list
        some = [one for one in get_args(hint) if one is not type(None)]
        hint = next((one for one in some if (get_origin(one) is tuple) == isinstance(value, list | tuple)), some[0])
    origin, choices = get_origin(hint) or hint, get_args(hint)
    if origin is Literal:
        _expect(value in choices, where, key, f"one of {', '.join(map(str, choices))}", value)
    elif origin is tuple:
        _expect(isinstance(value, list | tuple), where, key, "a list", value)
        value = tuple(_convert(choices[0], one, where, key) for one in value)
    elif origin is dict:
        _expect(isinstance(value, Mapping), where, key, "a table", value)
    elif hasattr(hint, "__dataclass_fields__"):
        _expect(isinstance(value, Mapping), where, key, "a table", value)
        value = build(hint, value, where, key)
    else:
        name, accepted = SIMPLE[hint]
        is_number_by_accident = isinstance(value, bool) and hint is not bool  # as bool is an int to Python
        _expect(isinstance(value, accepted) and not is_number_by_accident, where, key, name, value)
        value = hint(value)
    return value


def _expect(right: bool, where: str, key: str, what: str, value: Any) -> None:
    if not right:
        raise BadRecipe(f"{where}: {key} must be {what}, got {value!r}")
