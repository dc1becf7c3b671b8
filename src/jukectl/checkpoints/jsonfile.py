"""JSON of others: read with care, so that whatever is wrong with it is told in one line that names the key."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jukectl.errors import BadModel

LARGEST_JSON = 64 * 2**20  # bytes; the index of the largest published model has less than one of these


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; BadModel where it is missing, too large, damaged, ambiguous or something else."""
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise BadModel(f"{path} is refused: it is larger than any description of a model")
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except OSError as error:
        raise BadModel(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BadModel(f"{path} is damaged, or no JSON: {reason}") from error
    if not isinstance(content, dict):
        raise BadModel(f"{path} is damaged: it holds no JSON object")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no key is there twice."""
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return values


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


@dataclass(frozen=True)
class Fields:
    """The values of a JSON object, each of the type that is asked for."""

    values: Mapping[str, Any]
    where: str  # the file, and the way to this object in it

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def whole(self, key: str, default: int, *, least: int = 1, most: int = 2**20) -> int:
        """A whole number; 4.0 is one too."""
        value = self.values.get(key, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(key, f"a whole number from {least} to {most}")
        return value

    def wholes(self, key: str, default: Sequence[int], *, count: int, most: int = 2**20) -> tuple[int, ...]:
        """A list of so many whole numbers from 1 on."""
        values = self.values.get(key, default)
        if not isinstance(values, list | tuple) or len(values) != count:
            raise self.wrong(key, f"a list of {count} whole numbers")
        place = Fields({f"{key}[{index}]": value for index, value in enumerate(values)}, self.where)
        return tuple(place.whole(name, 0, most=most) for name in place.values)

    def number(self, key: str, default: float, *, least: float = 0.0, most: float = 1e9) -> float:
        """A finite number."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.wrong(key, "a number")
        if not least <= value <= most:
            raise self.wrong(key, f"a number from {least} to {most}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false; null, 0 and 1 are these too, as some files have them."""
        value = self.values.get(key, default)
        if value is not None and value not in (0, 1):
            raise self.wrong(key, "true or false")
        return bool(value)

    def object(self, key: str) -> "Fields":
        """An object; an empty one where there is none."""
        value = self.values.get(key)
        if not isinstance(value, dict | None):
            raise self.wrong(key, "an object")
        return Fields(value or {}, f"{self.where}: {key}")

    def wrong(self, key: str, wanted: str) -> BadModel:
        """The error for a value that is not what it has to be."""
        return BadModel(f"{self.where}: {key} must be {wanted}, got {repr(self.values.get(key))[:80]}")
