"""Lyrics in files."""

import json

import pytest

from jukectl.errors import BadInput
from jukectl.lyrics.files import as_json, format_of, write
from jukectl.lyrics.lrc import parse
from jukectl.lyrics.timed import TimedLyrics, TimedWord
from jukectl.lyrics.value import Lyrics

LYRICS = parse("[00:01.00]<00:01.00>été <00:02.00>fini<00:02.50>\n")


def test_json_is_a_list_of_words_with_their_times():
    assert json.loads(as_json(LYRICS)) == [
        {"word": "été", "start": 1.0, "end": 2.0, "guessed": False},
        {"word": "fini", "start": 2.0, "end": 2.5, "guessed": False},
    ]
    assert json.loads(as_json(TimedLyrics(""))) == []


def test_the_format_is_what_is_asked_for_or_what_the_name_says(tmp_path):
    assert format_of(tmp_path / "a.LRC") == "lrc"
    assert format_of(tmp_path / "a.lrc", "VTT") == "vtt"
    with pytest.raises(BadInput, match="written as lrc, vtt, json, not 'txt'"):
        format_of(tmp_path / "a.txt")


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "song.lrc"
    write(LYRICS, path, "lrc")
    assert Lyrics.read(path).timed == LYRICS


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "song.lrc"
    path.write_text("before")
    with pytest.raises(BadInput, match="a time in it already"):
        write(TimedLyrics("<00:01.00>", (TimedWord("<00:01.00>", 1.0),)), path, "lrc")
    assert path.read_text() == "before"
