"""The reader of tables: values by type, and a line for each mistake that names file and key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukectl.codes.level import Level
from jukectl.errors import BadInput, BadManifest, BadRecipe
from jukectl.tables import DEEPEST, build, parse_json, parse_toml, read_text


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, kw_only=True)
class Part:
    size: int = 1
    shape: Literal["round", "square"] = "round"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size must be 1 or more, got {self.size}")


@dataclass(frozen=True)
class Span:
    """A value that files lay out in another way than it is."""

    start: float
    stop: float


@dataclass(frozen=True, kw_only=True)
class SpanForm:
    start: float
    seconds: float

    def value(self) -> Span:
        if self.seconds <= 0:
            raise BadInput(f"seconds must be over 0, got {self.seconds:g}")
        return Span(self.start, self.start + self.seconds)


@dataclass(frozen=True, kw_only=True)
class Whole:
    name: str
    ratio: float = 0.5
    on: bool = False
    place: Path | None = None
    colours: tuple[Colour, ...] = ()
    part: Part = field(default_factory=Part)
    other: Part | None = None
    parts: tuple[Part, ...] = ()
    levels: Mapping[Level, Part] = field(default_factory=dict)
    folders: Path | tuple[Path, ...] = ()
    spans: tuple[Span, ...] = ()
    free: dict[str, Any] = field(default_factory=dict)


def read(**values):
    return build(Whole, {"name": "x", **values}, "f.toml", forms={Span: SpanForm})


def test_values_are_converted_to_the_types_of_their_fields():
    found = read(
        ratio=1,
        on=True,
        place="a/b",
        colours=["red"],
        parts=[{"size": 3}],
        levels={"top": {"shape": "square"}},
        folders=["a", "b"],
        spans=[{"start": 1, "seconds": 2}],
        free={"any": [1, {"thing": None}]},
    )
    assert found == Whole(
        name="x",
        ratio=1.0,
        on=True,
        place=Path("a/b"),
        colours=(Colour.RED,),
        parts=(Part(size=3),),
        levels={Level.TOP: Part(shape="square")},
        folders=(Path("a"), Path("b")),
        spans=(Span(1.0, 3.0),),
        free={"any": [1, {"thing": None}]},
    )
    assert isinstance(found.ratio, float)
    assert read(folders="a").folders == Path("a")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": 3}, "name must be text, got 3"),
        ({"ratio": "high"}, "ratio must be a number, got 'high'"),
        ({"ratio": True}, "ratio must be a number, got True"),
        ({"ratio": float("nan")}, "ratio must be a number, got nan"),
        ({"ratio": 10**400}, "ratio must be a number, got 1000"),
        ({"on": 1}, "on must be true or false, got 1"),
        ({"place": 1}, "place must be a path, got 1"),
        ({"colours": "red"}, "colours must be a list, got 'red'"),
        ({"colours": ["red", "green"]}, r"colours\[1\] must be one of red, blue, got 'green'"),
        ({"part": 5}, "part must be a table, got 5"),
        ({"part": {"size": 1.5}}, r"part\.size must be a whole number, got 1\.5"),
        ({"part": {"size": 2**63}}, r"part\.size must be a whole number of 64 bits"),
        ({"part": {"size": 0}}, r"part\.size must be 1 or more, got 0"),
        ({"part": {"shape": "flat"}}, r"part\.shape must be one of round, square, got 'flat'"),
        ({"part": {"sise": 1}}, r"part\.sise is not known; known are shape, size"),
        ({"other": {"size": 0}}, r"other\.size must be 1 or more, got 0"),
        ({"parts": [{}, {"size": 0}]}, r"parts\[1\]\.size must be 1 or more"),
        ({"levels": {"attic": {}}}, "levels.attic: no level is called 'attic'"),
        ({"levels": {"top": {"size": "big"}}}, r"levels\.top\.size must be a whole number"),
        ({"spans": [{"start": 1}]}, r"spans\[0\]\.seconds is missing"),
        ({"spans": [{"start": 1, "seconds": -2}]}, r"spans\[0\]\.seconds must be over 0, got -2"),
        ({"folders": 3}, "folders must be a path, got 3"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_what_is_expected(values, message):
    with pytest.raises(BadRecipe, match=f"^f.toml: {message}") as raised:
        read(**values)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 200


def test_a_missing_key_is_named_with_its_table():
    with pytest.raises(BadRecipe, match=r"^f.toml: train.name is missing"):
        build(Whole, {}, "f.toml", "train")


def test_the_caller_chooses_the_class_of_the_error():
    with pytest.raises(BadManifest, match=r"^line 3: it must be a table, got None"):
        build(Whole, None, "line 3", error=BadManifest)


def test_unknown_keys_are_ignored_where_the_reader_is_not_strict():
    table = {"name": "x", "mood": "blue", "part": {"sise": 1}}
    assert build(Whole, table, "f.toml", strict=False) == Whole(name="x")


NESTED = {
    "lists": "a = " + "[" * 100_000 + "]" * 100_000,
    "tables": "a = " + "{b=" * 100_000 + "1" + "}" * 100_000,
    "dotted keys": "a" + ".a" * 50_000 + " = 1",
    "a header": "[a" + ".a" * 50_000 + "]",
    "just over the limit": "a = " + "[" * DEEPEST + "]" * DEEPEST,
}


@pytest.mark.parametrize("text", NESTED.values(), ids=NESTED)
def test_toml_nested_too_deeply_is_refused_in_a_line(text):
    with pytest.raises(ValueError, match=r"^it is nested too deeply$"):
        parse_toml(text)


def test_json_nested_too_deeply_is_refused_in_a_line():
    for text in ("[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 5_000 + "1" + "}" * 5_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            parse_json(text)


@pytest.mark.parametrize("parse", [lambda number: parse_toml(f"a = {number}"), parse_json])
def test_a_number_of_5000_digits_is_refused_in_a_line(parse):
    with pytest.raises(ValueError, match=r"^a number has too many digits$"):
        parse("9" * 5_000)


@pytest.mark.parametrize("text", ["", "{", "[1,]", "NaN", "-Infinity", '"\\x"'])
def test_text_that_is_not_json_is_refused_in_one_line(text):
    with pytest.raises(ValueError) as raised:
        parse_json(text)
    assert "\n" not in str(raised.value)


def test_a_key_that_is_there_twice_is_refused_on_request():
    assert parse_json('{"a": 1, "a": 2}') == {"a": 2}
    with pytest.raises(ValueError, match="the key 'a' is there twice"):
        parse_json('{"a": 1, "a": 2}', unique=True)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted(Whole.__dataclass_fields__)


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), PLAIN, max_size=4))
def test_any_table_is_read_or_refused(table):
    try:
        assert isinstance(build(Whole, table, "f.toml", forms={Span: SpanForm}), Whole)
    except BadRecipe as error:
        assert str(error).startswith("f.toml: ")


def test_only_regular_files_of_utf_8_are_read(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    (tmp_path / "marked.toml").write_bytes(b"\xef\xbb\xbfa = 1")
    assert read_text(tmp_path / "marked.toml", BadInput) == "a = 1"
    reasons = {
        tmp_path / "none.toml": "No such file",
        tmp_path: "not a regular file",
        Path("/dev/zero"): "not a regular file",
        tmp_path / "latin.toml": r"not UTF-8 \(byte 5\)",
    }
    for path, reason in reasons.items():
        with pytest.raises(BadInput, match=reason):
            read_text(path, BadInput)
