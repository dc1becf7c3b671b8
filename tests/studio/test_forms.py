"""The options of the studio are those of the command line, with their help and defaults; and no value is an option."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from jukectl.cli.forms import COMMANDS, LEFT_OUT, LEFT_OUT_OF, forms
from jukectl.cli.main import app
from jukectl.errors import BadInput
from jukectl.studio.forms import Forms
from jukectl.studio.songs import Songs
from jukectl.studio.uploads import Uploads

COMMAND_LINE: Any = typer.main.get_command(app)


@pytest.fixture
def checked(tmp_path: Path) -> Forms:
    """The forms of a studio in a folder with one upload and one song."""
    upload = tmp_path / ".studio" / "uploads" / ("0" * 16)
    upload.mkdir(parents=True)
    (upload / "riff.wav").write_bytes(b"")
    (tmp_path / "song").mkdir()
    (tmp_path / "song" / "song.toml").write_text('model = "x"\n')
    return Forms(forms(), Songs(tmp_path), Uploads(tmp_path / ".studio" / "uploads"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_offered_with_its_help_or_left_out_on_purpose(name):
    form = forms()[name]
    offered = {option.name: option for option in form.options}
    for parameter in COMMAND_LINE.commands[name].params:
        long = parameter.name if parameter.param_type_name == "argument" else parameter.opts[0].removeprefix("--")
        left_out = parameter.name in LEFT_OUT | LEFT_OUT_OF.get(name, set())
        assert (long in offered) is not left_out
        if not left_out:
            assert offered[long].help == parameter.help
            assert offered[long].default in (None, parameter.default)


def parsed(words: list[str]) -> dict:
    """The values that the program reads from a command line."""
    command = COMMAND_LINE.commands[words[0]]
    return command.make_context(words[0], words[1:]).params


def test_values_come_through_a_command_line_whatever_they_look_like(checked):
    values = {
        "command": "sample",
        "artist": "--out=/tmp/elsewhere",
        "genre": ["-x", "a b; rm -rf /", "$(id)"],
        "seconds": 2.5,
        "samples": 3,
        "top_p": "top=0.9",
        "match-loudness": False,
        "plots": True,
        "tempo": 90,
    }
    order = checked.order(values)
    words = checked.words(order, "new song")
    found = parsed(shlex.split(shlex.join(words)))
    assert str(found["out"]) == "new song"
    assert found["artist"] == values["artist"]
    assert list(found["genre"]) == values["genre"]
    assert (found["seconds"], found["samples"], found["tempo"]) == (2.5, 3, 90.0)
    assert list(found["top_p"]) == ["top=0.9"]
    assert (found["match_loudness"], found["plots"], found["no_beat"]) == (False, True, False)


def test_texts_become_files_and_recordings_are_named_by_their_id(checked, tmp_path):
    order = checked.order({"command": "continue", "audio": "0" * 16, "lyrics": "--x\n../../y"})
    found = parsed(checked.words(order, order.default_name))
    assert (tmp_path / found["lyrics"]).read_text() == "--x\n../../y"
    assert (str(found["audio"]), str(found["out"])) == (f".studio/uploads/{'0' * 16}/riff.wav", "riff-continued")
    timed = checked.order({"command": "sample", "lyrics": "[00:01.00] word"})
    assert parsed(checked.words(timed, "s"))["lyrics"].suffix == ".lrc"


WRONG = [
    None,
    [],
    {},
    {"command": "models"},
    {"command": ["sample"]},
    {"command": "sample", "open": True},
    {"command": "sample", "dry-run": True},
    {"command": "sample", "adapter": ["/etc/passwd"]},
    {"command": "sample", "seconds": "2"},
    {"command": "sample", "seconds": True},
    {"command": "sample", "seconds": 10**400},
    {"command": "sample", "samples": 2.5},
    {"command": "sample", "plots": "yes"},
    {"command": "sample", "artist": 3},
    {"command": "sample", "artist": "a\nb"},
    {"command": "sample", "artist": "a\0b"},
    {"command": "sample", "artist": "\ud800"},
    {"command": "sample", "artist": "a" * 1_001},
    {"command": "sample", "genre": ["a"] * 21},
    {"command": "sample", "genre": [["a"]]},
    {"command": "sample", "format": "exe"},
    {"command": "sample", "model": "../elsewhere"},
    {"command": "sample", "model": "/etc"},
    {"command": "sample", "model": "song"},
    {"command": "sample", "out": "../x"},
    {"command": "sample", "out": "-"},
    {"command": "sample", "out": ".studio"},
    {"command": "sample", "out": "a/b"},
    {"command": "continue"},
    {"command": "continue", "audio": "../../../etc/passwd"},
    {"command": "continue", "audio": "riff.wav"},
    {"command": "continue", "audio": "1" * 16},
    {"command": "branch", "song": "../song"},
    {"command": "branch", "song": ".."},
    {"command": "branch", "song": "no-song"},
    {"command": "branch", "song": "song\0"},
    {"command": "branch", "song": "song/../song"},
    {"command": "upsample", "song": ".studio"},
]


@pytest.mark.parametrize("values", WRONG, ids=lambda one: repr(one)[:60])
def test_a_value_that_is_none_of_the_option_is_refused(checked, values):
    with pytest.raises(BadInput):
        checked.order(values)
        # texts and files are looked at when the command line is made
        checked.words(checked.order(values), None)
