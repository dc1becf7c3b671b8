"""JSON from untrusted sources: every mistake is reported in one line that names the file and the key."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jukectl.errors import BadModel
from jukectl.files import read_bytes
from jukectl.tables import parse_json


def read_json(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file. Raise BadModel if it is missing, too large, damaged or ambiguous."""
    text = read_bytes(path, BadModel, "description of a model")
    try:
        # unique: programs differ in which of two equal keys they use, so the value that was checked need not be in use
        content = parse_json(text, unique=True)
    except ValueError as error:  # also for bytes that are not UTF-8
        raise BadModel(f"{path} is damaged, or not JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadModel(f"{path} is damaged: it is not a JSON object")
    return content


@dataclass(frozen=True)
class Fields:
    """Values of a JSON object, read by type and range. Methods raise BadModel for a wrong value."""

    values: Mapping[str, Any]
    where: str  # the file, and the path to this object in it

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def whole(self, key: str, default: int, *, least: int = 1, most: int = 2**20) -> int:
        """Return a whole number; 4.0 counts as one."""
        value = self.values.get(key, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        # bool is an int in Python; the limits keep products of a few such numbers within memory
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(key, f"a whole number from {least} to {most}")
        return value

    def wholes(self, key: str, default: Sequence[int], *, count: int, most: int = 2**20) -> tuple[int, ...]:
        """Return a list of `count` whole numbers from 1 on."""
        values = self.values.get(key, default)
        if not isinstance(values, list | tuple) or len(values) != count:
            raise self.wrong(key, f"a list of {count} whole numbers")
        # keys such as downs[1], so that a message names the entry
        place = Fields({f"{key}[{index}]": value for index, value in enumerate(values)}, self.where)
        return tuple(place.whole(name, 0, most=most) for name in place.values)

    def number(self, key: str, default: float, *, least: float = 0.0, most: float = 1e9) -> float:
        """Return a finite number."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.wrong(key, "a number")
        if not least <= value <= most:
            raise self.wrong(key, f"a number from {least} to {most}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return True or False; null, 0 and 1 count as these, since some files have them."""
        value = self.values.get(key, default)
        # True == 1 and False == 0, so all four are covered
        if value is not None and value not in (0, 1):
            raise self.wrong(key, "true or false")
        return bool(value)

    def object(self, key: str) -> "Fields":
        """Return an object; an empty one if the key is missing."""
        value = self.values.get(key)
        if not isinstance(value, dict | None):
            raise self.wrong(key, "an object")
        return Fields(value or {}, f"{self.where}: {key}")

    def wrong(self, key: str, wanted: str) -> BadModel:
        """Return the error for a value that is not what it has to be."""
        return BadModel(f"{self.where}: {key} must be {wanted}, got {repr(self.values.get(key))[:80]}")
