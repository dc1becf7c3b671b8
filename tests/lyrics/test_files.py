"""Lyrics in files."""

import json

import pytest

from jukectl.errors import BadInput
from jukectl.lyrics.files import as_json, format_of, write
from jukectl.lyrics.lrc import parse
from jukectl.lyrics.timed import TimedLyrics, TimedWord
from jukectl.lyrics.value import Lyrics

LYRICS = parse("[00:01.00]<00:01.00>été <00:02.00>fini<00:02.50>\n")


def test_json_lyrics_are_a_list_of_words_with_times():
    assert json.loads(as_json(LYRICS)) == [
        {"word": "été", "start": 1.0, "end": 2.0, "guessed": False},
        {"word": "fini", "start": 2.0, "end": 2.5, "guessed": False},
    ]
    assert json.loads(as_json(TimedLyrics(""))) == []


def test_the_format_is_the_one_requested_or_that_of_the_suffix(tmp_path):
    assert format_of(tmp_path / "a.LRC") == "lrc"
    assert format_of(tmp_path / "a.lrc", "VTT") == "vtt"
    with pytest.raises(BadInput, match="written as lrc, vtt, json, not 'txt'"):
        format_of(tmp_path / "a.txt")


def test_timed_lyrics_survive_writing_and_reading(tmp_path):
    path = tmp_path / "song.lrc"
    write(LYRICS, path, "lrc")
    assert Lyrics.read(path).timed == LYRICS


def test_a_failed_write_leaves_the_file_unchanged(tmp_path):
    path = tmp_path / "song.lrc"
    path.write_text("before")
    with pytest.raises(BadInput, match="a time in it already"):
        write(TimedLyrics("<00:01.00>", (TimedWord("<00:01.00>", 1.0),)), path, "lrc")
    assert path.read_text() == "before"
