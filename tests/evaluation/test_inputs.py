"""Globs of held-out songs."""

from pathlib import Path

from jukectl.evaluation.inputs import read_globs


def test_globs_are_read_one_per_line_without_comments(tmp_path):
    (tmp_path / "globs").write_text("# a comment\n\n  band/COUNT2 (*).flac \nnumber #9.flac\n")
    assert read_globs(tmp_path / "globs") == ("band/COUNT2 (*).flac", "number #9.flac")


def test_the_held_out_songs_of_mini_are_globs_that_can_be_read():
    assert "naev/Intro.flac" in read_globs(Path(__file__).parents[2] / "examples" / "mini" / "held_out.txt")
