"""The song folder: what lies where, one process at a time, and never half a file."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from jukectl.codes import recipe_toml
from jukectl.codes import song as song_module
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import LevelSampling, ModelRef, Prompt, Recipe, Score
from jukectl.codes.song import Song
from jukectl.errors import BadInput, CannotWrite, NotASong, NotCodes, SongBusy
from jukectl.files import remove_file


def make_codes(level=Level.TOP, frames=6):
    array = np.arange(2 * frames).reshape(2, frames)
    return Codes(
        level=level, array=array, prompt=0, hop=8 * 4**level, sample_rate=22_050, codebook_size=512, vqvae="a" * 64
    )


def make_recipe(**changes):
    values = {"model": ModelRef(name="mini"), "seed": 1, "samples": 2, "seconds": 5.0, "song_seconds": 60.0, **changes}
    return Recipe(kind="sample", version="0.1.0", sampling=dict.fromkeys(Level, LevelSampling()), **values)


@pytest.fixture
def song(tmp_path):
    return Song.create(tmp_path / "my-song")


def test_files_lie_where_the_design_says(song):
    song.save(make_codes())
    song.write_recipe(make_recipe())
    found = {path.name for path in song.path.iterdir()}
    assert found == {".jukectl", "song.toml", "top.npz"}
    layout = [
        *map(song.codes_path, TOP_DOWN),
        song.prompt_path,
        song.audio_path(0),
        song.audio_path(1, ".mp3"),
        song.preview_path(Level.TOP, 0),
        song.plots,
    ]
    assert [path.relative_to(song.path).as_posix() for path in layout] == [
        "top.npz",
        "middle.npz",
        "bottom.npz",
        "prompt.wav",
        "audio/0.wav",
        "audio/1.mp3",
        "previews/top-0.wav",
        "plots",
    ]


def test_a_new_folder_is_made_with_its_parents_and_an_existing_one_is_used(tmp_path):
    song = Song.create(tmp_path / "a" / "b")
    song.save(make_codes())
    assert Song.create(tmp_path / "a" / "b").codes(Level.TOP).done == 6


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_the_place_of_the_folder_is_refused_and_kept(tmp_path, below):
    (tmp_path / "riff.wav").write_bytes(b"music")
    with pytest.raises(BadInput, match=r"riff\.wav.* a file is in its place. Give another name with --out"):
        Song.create(tmp_path / "riff.wav" / below)
    assert (tmp_path / "riff.wav").read_bytes() == b"music"


def test_a_place_where_nothing_can_be_written_is_named(tmp_path, monkeypatch):
    def read_only(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.mkdir", read_only)
    with pytest.raises(CannotWrite, match=r"my-song: Read-only file system"):
        Song.create(tmp_path / "my-song")


@pytest.mark.parametrize("level", Level)
def test_codes_alone_make_a_song(song, level):
    song.save(make_codes(level))
    opened = Song.open(song.path)
    assert opened.recipe() is None
    assert {one: codes.done for one in Level if (codes := opened.codes(one))} == {level: 6}


def test_a_recipe_alone_makes_a_song(song):
    song.write_recipe(make_recipe())
    assert Song.open(song.path).recipe() == make_recipe()
    assert [song.codes(level) for level in Level] == [None, None, None]


def test_a_folder_that_is_not_a_song_is_refused_with_advice(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "holiday.jpg").write_bytes(b"")
    for name, message in {
        "absent": "there is no song folder .*absent. Begin one with: jukectl sample --out",
        "file": "file is a file, and a song is a folder",
        "empty": r"holds no song.toml and no codes \(top.npz, middle.npz, bottom.npz\)",
    }.items():
        with pytest.raises(NotASong, match=message):
            Song.open(tmp_path / name)


def test_a_recipe_is_replaced_whole(song):
    song.write_recipe(make_recipe())
    song.write_recipe(make_recipe(seed=2))
    assert song.recipe().seed == 2


def test_a_recipe_saved_by_an_editor_with_a_mark_and_other_line_ends_is_read(song):
    song.toml_path.write_bytes(b"\xef\xbb\xbf" + recipe_toml.dumps(make_recipe()).replace("\n", "\r\n").encode())
    assert song.recipe() == make_recipe()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"seed = "])
def test_a_damaged_recipe_names_its_file(song, content):
    song.toml_path.write_bytes(content)
    with pytest.raises(NotASong, match=r"my-song/song\.toml is (no recipe|not UTF-8)"):
        song.recipe()


def test_a_folder_in_the_place_of_the_recipe_is_named(song):
    song.toml_path.mkdir()
    with pytest.raises(NotASong, match=r"cannot read .*song\.toml: it is not a regular file"):
        song.recipe()


def test_codes_of_another_level_are_not_taken_for_those_of_the_files_name(song):
    make_codes(Level.MIDDLE).save(song.codes_path(Level.TOP))
    with pytest.raises(NotCodes, match=r"top\.npz holds codes of the middle level. Rename it to middle\.npz"):
        song.codes(Level.TOP)


def test_damaged_codes_are_an_error_and_not_as_good_as_none(song):
    song.codes_path(Level.TOP).write_bytes(b"torn")
    with pytest.raises(NotCodes, match=r"top\.npz"):
        song.codes(Level.TOP)


def test_swapping_a_level_is_copying_a_file(song, tmp_path):
    other = Song.create(tmp_path / "other")
    song.save(make_codes(frames=3))
    path = other.save(make_codes(frames=5))
    song.codes_path(Level.TOP).write_bytes(path.read_bytes())
    assert song.codes(Level.TOP).digest() == make_codes(frames=5).digest()


WORK = """
import sys, time
from pathlib import Path
from jukectl.codes.song import Song
with Song(Path(sys.argv[1])).lock():
    (Path(sys.argv[1]) / f".top.npz.{__import__('os').getpid()}.part").write_bytes(b"half an arch")
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def worker(song):
    """Another process that holds the song's lock and is in the middle of writing."""
    process = subprocess.Popen([sys.executable, "-c", WORK, song.path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def parts(song):
    return [path.name for path in song.path.rglob(".*.part")]


def test_while_another_process_works_on_a_song_the_lock_is_refused_at_once_with_the_folders_name(song, worker):
    with (
        pytest.raises(SongBusy, match=r"another jukectl is working on .*my-song. Wait until it is done, or stop it"),
        song.lock(),
    ):
        pytest.fail("two processes on one song")
    assert len(parts(song)) == 1  # what the other one writes is left alone


def test_a_killed_process_leaves_neither_its_lock_nor_its_litter(song, worker):
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert len(parts(song)) == 1
    with song.lock():
        assert parts(song) == []
        song.save(make_codes())


def test_a_song_can_be_locked_again_after_the_block_even_if_it_failed(song):
    with pytest.raises(KeyboardInterrupt), song.lock():
        raise KeyboardInterrupt
    with song.lock(), song.lock():  # a stage that calls a stage
        pass
    with Song(song.path).lock():
        pass


def test_an_inner_block_does_not_give_the_lock_away(song):
    with song.lock():
        with song.lock():
            pass
        with pytest.raises(SongBusy), Song(song.path).lock():
            pass


def test_threads_of_one_process_exclude_each_other_too(song):
    outcome = []

    def work():
        try:
            with Song(song.path).lock():
                outcome.append("locked")
        except SongBusy:
            outcome.append("busy")

    with song.lock():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert outcome == ["busy"]


def test_locking_makes_no_folder(tmp_path):
    with pytest.raises(NotASong, match="there is no song folder"), Song(tmp_path / "absent").lock():
        pass
    assert not (tmp_path / "absent").exists()


def test_a_folder_that_cannot_be_locked_is_named(song):
    (song.path / ".lock").mkdir()
    with pytest.raises(CannotWrite, match=r"cannot lock .*my-song: Is a directory"), song.lock():
        pass


def test_only_litter_of_processes_that_are_gone_is_swept_away(song):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (song.path / "audio").mkdir()
    litter = [f".top.npz.{gone.pid}.part", f"audio/.0.wav.{gone.pid}.part", f".song.toml.{os.getpid()}.part"]
    kept = [f".middle.npz.{os.getpid()}.part", ".notes.part", f"music.{gone.pid}.part", "top.npz"]
    for name in (*litter, *kept):
        (song.path / name).write_bytes(b"")
    os.utime(song.path / litter[2], (1e9, 1e9))  # by an earlier process that had our number
    with song.lock():
        found = {path.relative_to(song.path).as_posix() for path in song.path.rglob("*") if path.is_file()}
    assert found - {".lock", ".jukectl"} == set(kept)


def whole_recipe():
    """The recipe of a song that has a prompt and follows notes."""
    return make_recipe(
        prompt=Prompt(source="riff.wav", start=0.0, seconds=1.0, sha256="a" * 64, samples=22_050),
        midi=Score(source="song.mid", sha256="b" * 64, start=0.0),
    )


def fill(song):
    song.write_recipe(whole_recipe())
    for level in Level:
        song.save(make_codes(level))
    sounds = (song.audio_path(0), song.audio_path(1, ".mp3"), song.preview_path(Level.TOP, 0))
    for path in (song.prompt_path, song.notes_path, *sounds):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"sound")
    song.plots.mkdir()
    (song.plots / "spectrogram.png").write_bytes(b"picture")


def test_clearing_removes_what_stages_made_and_nothing_of_the_users(song):
    fill(song)
    names = ("notes.txt", "audio/mixdown.wav", "audio/0-master.wav", "plots/cover.xcf", "plots/cover.png")
    mine = [song.path / name for name in names]
    for path in mine:
        path.write_bytes(b"mine")
    song.clear()
    assert sorted(path for path in song.path.rglob("[!.]*") if path.is_file()) == sorted(mine)
    assert not song.begun


def test_clearing_that_is_stopped_anywhere_leaves_a_song_that_can_be_resumed_or_none(song, monkeypatch):
    fill(song)
    steps = []

    def check(path):
        remove_file(path)
        steps.append(path.name)
        if song.begun:
            assert song.recipe() == whole_recipe()
            assert song.prompt_path.exists() and song.notes_path.exists()
            # no level without the one it was made from
            there = [level for level in TOP_DOWN if song.codes(level)]
            assert there == list(TOP_DOWN[: len(there)])

    monkeypatch.setattr(song_module, "remove_file", check)
    song.clear()
    assert len(steps) == 16


def test_a_file_that_cannot_be_removed_is_named(song):
    song.codes_path(Level.BOTTOM).mkdir()
    with pytest.raises(CannotWrite, match=r"cannot remove .*bottom\.npz"):
        song.clear()


def test_a_full_disk_leaves_recipe_and_codes_unchanged(song, monkeypatch):
    fill(song)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CannotWrite, match=r"song\.toml: No space left"):
        song.write_recipe(make_recipe(seed=9))
    with pytest.raises(CannotWrite, match=r"top\.npz: No space left"):
        song.save(replace(make_codes(), vqvae="b" * 64))
    monkeypatch.undo()
    assert song.recipe() == whole_recipe()
    assert song.codes(Level.TOP).vqvae == "a" * 64
    assert parts(song) == []
