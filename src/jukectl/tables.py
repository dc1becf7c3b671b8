"""Read TOML and JSON into frozen dataclasses; every mistake becomes one line that names the file and the key.

The parsers are the standard library's, the conversion is by cattrs. A class may take part in two ways: one that stands
for a single value has a class method `from_plain`, and one that a file lays out in another way is given to `build` with
a dataclass of that layout, its form.
"""

import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import EnumType
from functools import cache, partial
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, Union, get_args, get_origin

from jukectl.errors import BadInput, BadRecipe
from jukectl.files import LARGEST_FILE, read_bytes

if TYPE_CHECKING:
    from cattrs import BaseConverter, Converter

T = TypeVar("T")

DEEPEST = 64
"""Levels of nesting; no file of ours has more than five, and Python's own limit is no error that a user can read."""

LARGEST_WHOLE = 2**63 - 1  # what TOML can hold
LONGEST_SHOWN = 80  # characters of a value in a message


_LONG_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]*+[ \t]*+\.[ \t]*+){1000}""")
"""A dotted key of a thousand parts."""


class Form(Protocol):
    """A dataclass with the layout of a table, for a value that is laid out otherwise."""

    def value(self) -> Any:
        """Return the value; BadInput or ValueError if there is none."""


def read_text(path: Path, error: type[BadInput], what: str = "file", *, largest: int = LARGEST_FILE) -> str:
    """Return the text of a regular file of at most `largest` bytes, in UTF-8; `error` names it otherwise."""
    content = read_bytes(path, error, what, largest=largest)
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")  # some editors put a mark in front
    except UnicodeDecodeError as problem:
        raise error(f"{path} is not UTF-8 (byte {problem.start}): save it as UTF-8 text") from problem


def read_text_if_any(path: Path, error: type[BadInput], what: str = "file") -> str | None:
    """Return the text of a file as `read_text` does, None if there is no such file."""
    try:
        return read_text(path, error, what)
    except error as problem:
        if isinstance(problem.__cause__, FileNotFoundError):
            return None
        raise


def read_toml(path: Path, error: type[BadInput], what: str = "file", *, largest: int = LARGEST_FILE) -> dict[str, Any]:
    """Return the tables of a TOML file; `error` names the file if it cannot be read or is none."""
    text = read_text(path, error, what, largest=largest)
    try:
        return parse_toml(text)
    except ValueError as problem:
        raise error(f"{path} is not TOML: {problem}") from problem


def read_json(path: Path, error: type[BadInput], what: str = "file", *, largest: int = LARGEST_FILE) -> Any:
    """Return the value of a JSON file; `error` names the file if it cannot be read or is none."""
    text = read_text(path, error, what, largest=largest)
    try:
        return parse_json(text)
    except ValueError as problem:
        raise error(f"{path} is not JSON: {problem}") from problem


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of a TOML text. ValueError, in one line, if it is none, or nested too deeply."""
    if _LONG_KEY.search(text):  # the parser's time grows with the square of a dotted key's length
        raise ValueError("it is nested too deeply")
    return _checked(lambda: tomllib.loads(text))


def parse_json(text: str | bytes, *, unique: bool = False) -> Any:
    """Return the value of a JSON text. ValueError, in one line, if it is none, or nested too deeply.

    With `unique`, an object with a key twice is refused too.
    """
    pairs = _unique if unique else None
    return _checked(lambda: json.loads(text, object_pairs_hook=pairs, parse_constant=_no_constant))


def check_format(version: Any, newest: int, what: str, *, error: type[BadInput]) -> None:
    """Refuse a file of a newer format by `error`, which begins with `what`; ValueError for what is no format number."""
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"format must be a whole number from 1, got {shown(version)}")
    if version > newest:
        raise error(
            f"{what} {version}, and this jukectl reads formats up to {newest}. "
            "Upgrade with: pip install --upgrade jukectl"
        )


def build(
    kind: type[T],
    table: Any,
    where: str,
    inside: str = "",
    *,
    error: type[BadInput] = BadRecipe,
    forms: Mapping[type, type[Form]] | None = None,
    strict: bool = True,
) -> T:
    """Return a dataclass of `kind` from a table; `error` names a key that is missing, or wrong, or unknown.

    `where` is the file and `inside` the table in it, such as "train", for these messages. Without `strict`, unknown
    keys are ignored.
    """
    try:
        return structure(kind, table, inside, forms=forms, strict=strict)
    except ValueError as problem:
        raise error(f"{where}: {problem}") from problem


def structure(
    kind: type[T],
    table: Any,
    inside: str = "",
    *,
    forms: Mapping[type, type[Form]] | None = None,
    strict: bool = True,
) -> T:
    """Return a dataclass of `kind` from a table, as `build` does. ValueError names the key alone."""
    import cattrs

    try:
        if not isinstance(table, Mapping):
            raise _WrongTypeError("a table", table)
        return _converter(tuple((forms or {}).items()), strict).structure(table, kind)
    except (cattrs.BaseValidationError, BadInput, ValueError, TypeError) as problem:
        raise ValueError(_first(problem, kind, inside)) from problem


class _WrongTypeError(ValueError):
    """A value of the wrong type; the message follows the key's name."""

    def __init__(self, expected: str, value: Any) -> None:
        super().__init__(f"must be {expected}, got {shown(value)}")


class _NoValueError(ValueError):
    """Values of the right types that stand for nothing, such as the name of no level."""

    def __init__(self, reason: str, form: type | None = None) -> None:
        super().__init__(reason)
        self.form = form  # whose fields the reason may begin with


def shown(value: Any) -> str:
    """Return a value for a message: its beginning where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 4]}...{text[-1]}"


def _checked(parse: Callable[[], T]) -> T:
    try:
        value = parse()
        _check_depth(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as problem:  # of the parsers, and of Python for numbers of thousands of digits
        digits = "integer string conversion" in str(problem)
        raise ValueError("a number has too many digits" if digits else " ".join(str(problem).split())) from problem
    return value


def _check_depth(value: Any) -> None:
    """Refuse deep nesting without recursion: dotted keys of TOML can nest far deeper than its parser recurses."""
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _children(outer)]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def _children(value: Any) -> Iterator[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    yield from (one for one in inner if isinstance(one, dict | list))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return values


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a JSON number")


# Conversion


@cache
def _converter(forms: tuple[tuple[type, type[Form]], ...], strict: bool) -> "Converter":
    """Return a cattrs converter that is strict about types: the default reads "3" and True as the number 3."""
    from cattrs import BaseConverter, Converter
    from cattrs.cols import homogenous_tuple_structure_factory, mapping_structure_factory
    from cattrs.gen import make_dict_structure_fn

    converter = Converter(forbid_extra_keys=strict)

    def of_class(kind: Any, converter: BaseConverter) -> Hook:
        return _only(Mapping, "a table", make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=strict))

    def of_tuple(kind: Any, converter: BaseConverter) -> Hook:
        return _only((list, tuple), "a list", homogenous_tuple_structure_factory(kind, converter))

    def of_mapping(kind: Any, converter: BaseConverter) -> Hook:
        return _only(Mapping, "a table", mapping_structure_factory(kind, converter))

    def of_union(kind: Any, converter: BaseConverter) -> Hook:
        return _either(kind, converter)

    converter.register_structure_hook_factory(is_dataclass, of_class)
    converter.register_structure_hook_factory(lambda kind: _origin(kind) is tuple, of_tuple)
    converter.register_structure_hook_factory(lambda kind: _origin(kind) in (dict, Mapping), of_mapping)
    converter.register_structure_hook_factory(_is_choice_of_types, of_union)
    converter.register_structure_hook_func(lambda kind: _origin(kind) is Literal, _choice)
    converter.register_structure_hook_func(lambda kind: hasattr(kind, "from_plain"), _from_plain)
    for kind in SIMPLE:
        converter.register_structure_hook(kind, _scalar)
    for kind, form in forms:
        converter.register_structure_hook(kind, partial(_by_form, converter, form))
    return converter


Hook = Callable[[Any, Any], Any]
"""Converts a plain value, given the type that is wanted."""


def _origin(kind: Any) -> Any:
    return get_origin(kind)


def _only(kinds: Any, name: str, hook: Hook) -> Hook:
    """Return a hook that accepts values of the given types only."""

    def checked(value: Any, kind: Any) -> Any:
        if not isinstance(value, kinds):
            raise _WrongTypeError(name, value)
        return hook(value, kind)

    return checked


def _is_choice_of_types(kind: Any) -> bool:
    """Return True for a union of several types beside None, such as one value or a list of them."""
    return get_origin(kind) in (Union, UnionType) and len([one for one in get_args(kind) if one is not type(None)]) > 1


def _either(kind: Any, converter: "BaseConverter") -> Hook:
    """Return a hook for one value or a list of them, chosen by the value."""
    some = [one for one in get_args(kind) if one is not type(None)]
    lists = [one for one in some if get_origin(one) is tuple]
    others = [one for one in some if get_origin(one) is not tuple]

    def structured(value: Any, _: Any) -> Any:
        chosen = (lists or others)[0] if isinstance(value, list | tuple) else (others or lists)[0]
        return converter.structure(value, chosen)

    return structured


def _scalar(value: Any, kind: Any) -> Any:
    """Convert a single value; the kind may be an enumeration, since a hook for a class serves its subclasses too."""
    if hasattr(kind, "from_plain"):
        return _from_plain(value, kind)
    return _member(value, kind) if isinstance(kind, EnumType) else SIMPLE[kind](value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _WrongTypeError("a whole number", value)
    if abs(value) > LARGEST_WHOLE:
        raise _WrongTypeError("a whole number of 64 bits", value)
    return value


def _number(value: Any) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not -sys.float_info.max <= value <= sys.float_info.max
    ):
        raise _WrongTypeError("a number", value)
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _WrongTypeError("text", value)
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _WrongTypeError("true or false", value)
    return value


def _path(value: Any) -> Path:
    if not isinstance(value, str | Path):
        raise _WrongTypeError("a path", value)
    return Path(value)


SIMPLE: dict[type, Callable[[Any], Any]] = {int: _whole, float: _number, str: _text, bool: _truth, Path: _path}


def _choice(value: Any, kind: Any) -> Any:
    if value not in (choices := get_args(kind)):
        raise _WrongTypeError(f"one of {', '.join(map(str, choices))}", value)
    return value


def _member(value: Any, kind: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise _WrongTypeError(f"one of {', '.join(str(one.value) for one in kind)}", value) from None


def _from_plain(value: Any, kind: Any) -> Any:
    try:
        return kind.from_plain(value)
    except BadInput as error:
        raise _NoValueError(str(error)) from error


def _by_form(converter: "Converter", form: type[Form], value: Any, _: Any) -> Any:
    filled = converter.structure(value, form)
    try:
        return filled.value()
    except (BadInput, ValueError) as error:
        raise _NoValueError(str(error), form) from error


# Messages


def _first(error: BaseException, kind: Any, key: str) -> str:
    """Return the first mistake in a table of `kind` at `key`: the full key, and what is wrong."""
    from cattrs import ClassValidationError, IterableValidationError
    from cattrs.errors import ForbiddenExtraKeysError

    if isinstance(error, ForbiddenExtraKeysError):
        known = ", ".join(sorted(one.name for one in fields(error.cl)))
        return f"{_inner(key, min(error.extra_fields))} is not known; known are {known}"
    if isinstance(error, ClassValidationError):
        unknown = [one for one in error.exceptions if isinstance(one, ForbiddenExtraKeysError)]
        inner = (unknown or error.exceptions)[0]
        note = next((note for note in getattr(inner, "__notes__", ()) if hasattr(note, "name")), None)
        return _first(inner, kind, key) if note is None else _first_of_key(inner, note.type, _inner(key, note.name))
    if isinstance(error, IterableValidationError):
        inner = error.exceptions[0]
        note = next((note for note in getattr(inner, "__notes__", ()) if hasattr(note, "index")), None)
        if note is None:
            return _first(inner, kind, key)
        place = f"{key}[{note.index}]" if isinstance(note.index, int) else _inner(key, str(note.index))
        return _first_of_key(inner, note.type, place)
    if isinstance(error, _WrongTypeError):
        return f"{key} {error}" if key else f"it {error}"
    kind = error.form if isinstance(error, _NoValueError) else kind
    kind = next((one for one in get_args(kind) if is_dataclass(one)), kind)  # of a union with None
    begins = str(error).split(maxsplit=1)[0].rstrip(":") if str(error) else ""
    names = {one.name for one in fields(kind)} if is_dataclass(kind) else set()
    follows = begins.partition(".")[0] in names
    return _inner(key, str(error)) if follows else f"{key}: {error}" if key else str(error)


def _first_of_key(error: BaseException, kind: Any, key: str) -> str:
    """Return the first mistake in the value of a key."""
    if isinstance(error, KeyError):  # cattrs raises it for a missing key
        return f"{key} is missing"
    return _first(error, kind, key)


def _inner(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
