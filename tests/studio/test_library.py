"""Songs as the page lists and plays them: up to date, and nothing but their own files."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from song_fixtures import finished

from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.errors import NotASong
from jukectl.progress import ignore
from jukectl.studio.library import Library
from jukectl.studio.songs import Songs

__all__ = ["finished"]


@pytest.fixture
def library(finished: Path, tmp_path: Path) -> Library:
    """The library of a folder with the finished song, which is called a song."""
    shutil.copytree(finished, tmp_path / "songs" / "a song")
    found = Library(Songs(tmp_path / "songs"), tmp_path / "songs" / ".studio" / "site", ignore)
    found.begin()
    return found


def values_of(script: str) -> Any:
    """The last argument of a script's call."""
    return json.loads(script[script.index("{") : script.rindex("}") + 1])


def listed(library: Library) -> dict[str, Any]:
    """The index, with its songs as objects by their folders' names."""
    index = values_of(library.index())
    rows = [dict(zip(index["columns"], row, strict=True)) for row in index["songs"]]
    return {**index, "songs": {index["folders"][row["id"]]: row for row in rows}}


def test_a_song_is_listed_at_once_and_its_details_follow(library):
    before = listed(library)
    assert (list(before["songs"]), before["filling"], before["songs"]["a song"]["levels"]) == (["a song"], True, "")
    library.fill()
    after = listed(library)
    song = after["songs"]["a song"]
    assert (after["filling"], song["levels"], song["samples"]) == (False, "b", 2)
    detail = values_of(library.song(song["id"]).partition(",")[2])
    audio = detail["samples"][1]["levels"]["bottom"]["audio"]
    assert library.media(*audio.split("/")[1:]).read_bytes()[:4] == b"RIFF"


def test_details_follow_the_files_of_a_song_and_are_kept_for_the_next_start(library, tmp_path, monkeypatch):
    library.fill()
    name = listed(library)["songs"]["a song"]["id"]
    song = Song(tmp_path / "songs" / "a song")
    codes = song.codes(Level.TOP)
    (song.path / "previews").mkdir(exist_ok=True)
    shutil.copy(song.path / "audio" / "0.wav", song.path / "previews" / "top-0.wav")
    os.utime(song.path / "previews" / "top-0.wav")
    detail = values_of(library.song(name).partition(",")[2])
    assert (set(detail["samples"][0]["levels"]), codes is not None) == ({"top", "bottom"}, True)
    again = Library(Songs(tmp_path / "songs"), tmp_path / "songs" / ".studio" / "site", ignore)
    monkeypatch.setattr("jukectl.explorer.build.song_adder", None)  # nothing is read again
    assert (listed(again)["filling"], listed(again)["songs"]["a song"]["levels"]) == (False, "tb")


def test_media_that_were_replaced_by_a_link_to_elsewhere_are_not_sent(library, tmp_path):
    library.fill()
    name = listed(library)["songs"]["a song"]["id"]
    audio = tmp_path / "songs" / "a song" / "audio" / "0.wav"
    assert library.media(name, "bottom-0.wav").read_bytes() == audio.read_bytes()
    (tmp_path / "secret").write_bytes(audio.read_bytes())
    audio.unlink()
    audio.symlink_to(tmp_path / "secret")
    with pytest.raises(NotASong):
        library.media(name, "bottom-0.wav")


def test_no_name_leads_out_of_the_media_of_a_song(library):
    library.fill()
    name = listed(library)["songs"]["a song"]["id"]
    for song, file in ((name, "../x"), ("..", "songs"), ("../a song", "song.toml"), ("", "x"), (name, ""), ("no", "x")):
        with pytest.raises(NotASong):
            library.media(song, file)
    with pytest.raises(NotASong):
        library.song("../../a song")
