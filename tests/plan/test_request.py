"""A request is checked in one place, for the command line and for Python."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import jukectl
from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.errors import BadInput
from jukectl.plan.request import AdapterChoice, Request


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": 1.5}, "--seed is a whole number, got 1.5"),
        ({"seed": True}, "--seed is a whole number, got True"),
        ({"seed": "7"}, "--seed is a whole number, got '7'"),
        ({"samples": 2.0}, "--samples is a whole number"),
        ({"max_memory": 1e9}, "--max-memory is a whole number"),
        ({"seconds": "20"}, "--seconds is a number, got '20'"),
        ({"until": "1"}, "--to is a number"),
        ({"artist": 3}, "artist of a request takes str, got 3"),
        ({"genres": (3,)}, "genres of a request takes str, got 3"),
        ({"lyrics": "la la la"}, "lyrics of a request takes Lyrics"),
        ({"adapters": ("a.safetensors",)}, "adapters of a request takes AdapterChoice"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(values, message):
    with pytest.raises(BadInput, match=message):
        Request(**values)


def test_text_is_taken_for_a_path_and_for_a_single_genre():
    values: dict[str, Any] = {"genres": "Game", "midi": "tune.mid", "model": Path("models/mini"), "seed": np.int64(7)}
    request = Request(**values)
    assert (request.genres, request.midi, request.model) == (("Game",), Path("tune.mid"), str(Path("models/mini")))
    assert (request.seed, type(request.seed)) == (7, int)
    path, genres = cast(Any, "a.safetensors"), cast(Any, ["Game", "Piano"])
    assert AdapterChoice(path).path == Path("a.safetensors")
    assert Request(genres=genres).genres == ("Game", "Piano")


def test_functions_take_paths_as_text(tiny_model, riff, tmp_path):
    values: dict[str, Any] = {"genres": "Jazz", "seed": np.int64(3), "levels": [Level.TOP]}
    request = Request(model=tiny_model, seconds=0.3, **values)
    audio, out = cast(Any, str(riff)), cast(Any, str(tmp_path / "song"))
    made = jukectl.continue_(audio, out, request, prompt_seconds=0.5)
    assert made.song == tmp_path / "song"
    assert Song(tmp_path / "song").recipe().labels.genres == ("Jazz",)
    assert not jukectl.resume(path=cast(Any, str(made.song))).new
