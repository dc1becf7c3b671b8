"""JSON from untrusted sources."""

import pytest

from jukectl.checkpoints.jsonfile import Fields, read_json
from jukectl.errors import BadModel
from jukectl.files import LARGEST_FILE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged, or not JSON"),
        (b"{", "is damaged, or not JSON"),
        (b"[1]", "it is not a JSON object"),
        (b"\xff{}", "is damaged, or not JSON"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' is there twice"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "Infinity is not a JSON number"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "is damaged, or not JSON"),
        (b"[" * 200_000, "it is nested too deeply"),
        (b'{"a":' * 200_000, "it is nested too deeply"),
    ],
)
def test_invalid_json_is_reported_in_one_line(content, message, tmp_path):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(BadModel, match=rf"a\.json .*{message}") as caught:
        read_json(tmp_path / "a.json")
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_missing_folder_and_oversized_json_files_are_reported(tmp_path):
    for path in (tmp_path / "a.json", tmp_path):
        with pytest.raises(BadModel, match="cannot read the description of a model"):
            read_json(path)
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(BadModel, match=f"it has {LARGEST_FILE + 1} bytes"):
        read_json(tmp_path / "a.json")


FIELDS = Fields({"whole": 4.0, "half": 0.5, "no": None, "yes": 1, "list": [1, 2], "text": "4", "far": 1e999}, "a.json")


def test_json_values_have_the_requested_type_or_the_default():
    assert FIELDS.whole("whole", 1) == 4
    assert FIELDS.whole("absent", 7) == 7
    assert FIELDS.wholes("list", (), count=2) == (1, 2)
    assert FIELDS.number("half", 1) == 0.5
    assert (FIELDS.flag("no", True), FIELDS.flag("yes", False), FIELDS.flag("absent", True)) == (False, True, True)
    assert FIELDS.object("absent").values == {}


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: FIELDS.whole("half", 1), "half must be a whole number from 1 to 1048576, got 0.5"),
        (lambda: FIELDS.whole("text", 1), "text must be a whole number from 1 to 1048576, got '4'"),
        (lambda: FIELDS.whole("whole", 1, most=3), "whole must be a whole number from 1 to 3"),
        (lambda: FIELDS.whole("far", 1), "far must be a whole number"),
        (lambda: FIELDS.wholes("list", (), count=3), "list must be a list of 3 whole numbers, got"),
        (lambda: FIELDS.wholes("list", (), count=2, most=1), r"list\[1\] must be a whole number from 1 to 1, got 2"),
        (lambda: FIELDS.number("far", 1), "far must be a number, got inf"),
        (lambda: FIELDS.number("text", 1), "text must be a number"),
        (lambda: FIELDS.flag("whole", True), "whole must be true or false, got 4.0"),
        (lambda: FIELDS.object("list"), "list must be an object"),
    ],
)
def test_a_json_value_of_the_wrong_type_is_named(ask, message):
    with pytest.raises(BadModel, match=rf"^a\.json: {message}"):
        ask()
