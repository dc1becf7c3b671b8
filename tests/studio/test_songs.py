"""Songs of the studio: by plain names, in its folder alone, and described as `jukectl --json info` does."""

import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from jukectl.errors import BadInput, NotASong
from jukectl.studio.songs import NameTaken, Songs


@pytest.fixture
def songs(tmp_path: Path) -> Songs:
    """A folder with one song that cannot be read, something else, and a link to a song elsewhere."""
    folder = tmp_path / "songs"
    for place in (folder / "song", tmp_path / "elsewhere", folder / ".hidden"):
        place.mkdir(parents=True)
        (place / "song.toml").write_text('model = "x"\n')
    (folder / "song" / "audio").mkdir()
    (folder / "song" / "audio" / "0.wav").write_bytes(b"RIFF")
    (folder / "song" / "private.txt").write_text("mine")
    (folder / "song" / "audio" / "1.wav").symlink_to(tmp_path / "elsewhere" / "song.toml")
    (folder / "other").mkdir()
    (folder / "other" / "file.txt").write_text("mine")
    (folder / "empty").mkdir()
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    return Songs(folder)


def test_only_songs_in_the_folder_itself_are_found(songs):
    assert songs.names() == ["song"]
    for name in ("link", ".hidden", "other", "empty", "", ".", "..", "../elsewhere", "song/audio", "song\0", "no"):
        with pytest.raises(NotASong):
            songs.path(name)


def test_only_files_of_a_song_are_found(songs):
    assert songs.file("song", "audio/0.wav").read_bytes() == b"RIFF"
    for name in ("audio/1.wav", "private.txt", "audio", "", "../other/file.txt", "audio/../audio/0.wav", "/etc/passwd"):
        with pytest.raises(NotASong):
            songs.file("song", name)


def test_a_song_that_cannot_be_read_is_described_with_its_error(songs):
    facts = songs.describe("song")
    assert (facts["name"], "song.toml" in facts["error"]) == ("song", True)
    assert [file["name"] for file in facts["files"]] == ["audio/0.wav", "song.toml"]


def test_a_new_song_gets_a_free_name_and_replaces_nothing(songs):
    assert [songs.new(None, "song", digits=4) for _ in range(2)] == ["song-0001", "song-0002"]
    assert [songs.new(None, "riff-continued") for _ in range(2)] == ["riff-continued", "riff-continued-2"]
    assert songs.new("Ünï côdé", "x") == "Ünï côdé"
    for name in ("song", "other", "link"):
        with pytest.raises(NameTaken):
            songs.new(name, "x")
    for name in ("", ".x", "..", "a/b", "a\\b", "C:", "-x", "a\nb", "a\0b", "\x1b[2J", "a" * 101):
        with pytest.raises(BadInput):
            songs.new(name, "x")


def test_a_zip_of_a_song_has_its_own_files_alone(songs):
    with songs.zipped("song") as file, zipfile.ZipFile(BytesIO(file.read())) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["song/audio/0.wav", "song/song.toml"]
