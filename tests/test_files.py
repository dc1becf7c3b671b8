"""Reading files that a stranger's recipe or manifest may name, and what they must not do."""

import os

import pytest

from jukectl.checkpoints.adapters import AdapterFile
from jukectl.checkpoints.jsonfile import read_json
from jukectl.checkpoints.store import ModelFolder
from jukectl.cli.values import read_schedule
from jukectl.codes.song import Song
from jukectl.data.lyrics_notes import read_beats, read_notes
from jukectl.data.manifest import Manifest
from jukectl.errors import BadInput, JukectlError
from jukectl.files import read_bytes
from jukectl.lyrics.value import Lyrics
from jukectl.midi.beats import BeatGrid
from jukectl.midi.notes import read_midi
from jukectl.plan.notes import given_notes
from jukectl.training.config import PriorRecipe, load_recipe

READERS = {
    "adapter": AdapterFile.load,
    "beats": BeatGrid.load,
    "beats of a song": read_beats,
    "config.json": read_json,
    "lyrics": Lyrics.read,
    "manifest": Manifest.load,
    "midi": read_midi,
    "midi of a request": given_notes,
    "notes of a song": read_notes,
    "recipe": lambda path: load_recipe(path, PriorRecipe),
    "schedule": read_schedule,
}


def fifo(path):
    os.mkfifo(path)
    return path


def device(path):
    path.symlink_to("/dev/zero")
    return path


def folder(path):
    path.mkdir()
    return path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("make", [fifo, device, folder])
def test_only_regular_files_are_read(tmp_path, reader, make):
    path = make(tmp_path / "x.mid")
    with pytest.raises(JukectlError, match=r"cannot (read|use) .*x\.mid.*(not a regular file|[Ii]s a directory)"):
        READERS[reader](path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("make", [fifo, device])
def test_a_song_and_a_model_are_regular_files_too(tmp_path, make):
    make(tmp_path / "song.toml")
    make(tmp_path / "model.toml")
    with pytest.raises(BadInput, match="not a regular file"):
        Song(tmp_path).recipe()
    with pytest.raises(BadInput, match="not a regular file"):
        _ = ModelFolder(tmp_path).card


def test_a_file_that_grows_while_it_is_read_is_refused_at_the_limit(tmp_path):
    (tmp_path / "x").write_bytes(bytes(11))
    assert len(read_bytes(tmp_path / "x", BadInput, largest=11)) == 11
    with pytest.raises(BadInput, match="it has 11 bytes"):
        read_bytes(tmp_path / "x", BadInput, largest=10)
    with pytest.raises(BadInput, match="cannot read the file"):
        read_bytes(tmp_path / "a\0b", BadInput)


@pytest.mark.parametrize("reader", sorted(READERS))
def test_files_beyond_any_reasonable_size_are_refused_before_they_are_read(tmp_path, reader):
    path = tmp_path / "x.mid"
    with path.open("wb") as file:
        file.truncate(2**33)  # a sparse file: it takes no room on disk, and would take 8 GiB in memory
    with pytest.raises(JukectlError, match="8589934592 bytes"):
        READERS[reader](path)
