"""Variations that were killed between two of their files are completed by the same command."""

import shutil

import pytest

from jukectl.api import Beginning, Growth, Request, cut, pick, regrow, sample, tree, upsample_passage
from jukectl.audio import io
from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.codes.tree import Tree
from jukectl.render.decode import Preview
from jukectl.variations import pick as picking


class Killed(BaseException):
    """Stands in for a kill: nothing of ours catches it."""


def killed(*_, **__):
    raise Killed


def kill_at(function, work):
    """Do the work, killed when it calls a function of the module of picks."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(picking, function, killed)
        work()


def test_audio_that_a_pick_had_no_time_to_copy_is_copied_by_the_next(song, tmp_path):
    kill_at("_copy_audio", lambda: pick(song.path, 1, tmp_path / "one"))
    assert pick(song.path, 1, tmp_path / "one").new
    assert Song(tmp_path / "one").audio_path(0).read_bytes() == song.audio_path(1).read_bytes()
    assert not pick(song.path, 1, tmp_path / "one").new


def test_audio_that_a_cut_had_no_time_to_decode_is_decoded_by_the_next(song, tmp_path):
    kill_at("decode_like", lambda: cut(song.path, 0.3, tmp_path / "start"))
    assert cut(song.path, 0.3, tmp_path / "start").new
    assert Song(tmp_path / "start").audio_path(1).exists()
    assert not cut(song.path, 0.3, tmp_path / "start").new


@pytest.mark.parametrize("lost", ["bottom.npz", "top.npz"])
def test_a_passage_that_was_killed_before_its_codes_were_saved_has_them_in_the_end(song, tmp_path, lost):
    request = Request()
    upsample_passage(song.path, 0.1, 0.4, tmp_path / "passage", request)
    whole = {path.name: path.read_bytes() for path in (tmp_path / "passage").rglob("*.[nw][pa][zv]")}
    (tmp_path / "passage" / lost).unlink()
    shutil.rmtree(tmp_path / "passage" / "audio")
    (tmp_path / "passage" / "growing").mkdir()  # what was sampled with warm-up codes, partly removed
    (tmp_path / "passage" / "growing" / "top.npz").write_bytes(b"")
    upsample_passage(song.path, 0.1, 0.4, tmp_path / "passage", request)
    assert {path.name: path.read_bytes() for path in (tmp_path / "passage").rglob("*.[nw][pa][zv]")} == whole
    assert not (tmp_path / "passage" / "growing").exists()


def test_a_preview_that_misses_the_last_window_is_completed_and_one_that_the_user_cut_stays(ask, tmp_path, monkeypatch):
    request = ask(levels=(Level.TOP, Level.MIDDLE), preview=(Level.TOP, Level.MIDDLE))
    song = Song(sample(tmp_path / "alone", request).song)
    whole = song.preview_path(Level.MIDDLE, 0).read_bytes()

    write, windows = Preview.write, []

    def stopped(preview, codes):
        windows.append(codes.level)
        if windows.count(Level.MIDDLE) == 2:
            raise Killed
        write(preview, codes)

    monkeypatch.setattr(Preview, "write", stopped)
    other = tmp_path / "killed"
    with pytest.raises(Killed):
        sample(other, request)
    monkeypatch.undo()
    preview = Song(other).preview_path(Level.MIDDLE, 0)
    assert preview.stat().st_size < len(whole)
    assert sample(other, request).new
    assert preview.read_bytes() == whole

    audio = io.load(preview)
    io.save(preview, audio.samples[:, :1_000], audio.sample_rate)
    sample(other, request)
    assert io.info(preview).seconds == 1_000 / audio.sample_rate


@pytest.mark.parametrize("left", ["top.trunk.npz", "middle.npz.part", None])
def test_nodes_in_progress_that_were_partly_removed_are_no_hindrance(song, tmp_path, left):
    grown = tree(song.path, tmp_path / "tree", Growth(every=0.1, branches=1, depth=1), Beginning(), Request(seed=1))
    growing = Tree(grown.tree).growing.path
    growing.mkdir()
    if left:
        (growing / left).write_bytes(b"")
    assert not regrow(grown.tree, Request()).new
    assert not growing.exists()


def test_the_root_of_a_tree_that_has_no_recipe_yet_is_taken_up(song, tmp_path):
    options = (Growth(every=0.1, branches=1, depth=1), Beginning(), Request(seed=1))
    grown = tree(song.path, tmp_path / "tree", *options)
    (grown.tree / "tree.toml").unlink()
    (grown.tree / ".jukectl").unlink()  # as a killed run of an earlier version left it
    assert tree(song.path, tmp_path / "tree", *options).tree == grown.tree
