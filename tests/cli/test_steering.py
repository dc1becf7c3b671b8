"""Variations of a song: pick, cut, branch, tree, upsample of a part, and play."""

import shutil
import sys

import numpy as np
import pytest


def codes(path, level="top"):
    return np.load(path / f"{level}.npz")["codes"]


def test_a_draft_is_picked_cut_branched_and_upsampled(jukectl, style, tmp_path):
    """The workflow of docs/choose.md: three drafts, the start of the third, two continuations, one in full."""
    draft = tmp_path / "draft"
    jukectl("sample", "--out", draft, "--samples", 3, "--levels", "top", *style)
    one = jukectl("pick", draft, "--sample", 2).out.strip()
    assert one == f"{draft}-sample-2"
    start = jukectl("cut", one, "--at", 0.1).out.strip()
    assert start == f"{one}-cut-0.1"
    answer = jukectl("branch", start, "--samples", 2, "--seconds", 0.1, "--seed", 4, "--out", tmp_path / "on")
    assert answer.out.splitlines() == [str(tmp_path / f"on/previews/top-{number}.wav") for number in range(2)]
    answer = jukectl("upsample", tmp_path / "on", "--sample", 1, "--out", tmp_path / "done")
    assert answer.out.splitlines() == [str(tmp_path / "done/audio/0.wav")]
    assert codes(tmp_path / "done", "bottom").shape == (1, 16 * (3 + 3))
    assert np.array_equal(codes(tmp_path / "done")[0, :3], codes(draft)[2, :3])


def test_picking_an_existing_song_again_prints_a_remark(jukectl, song):
    jukectl("pick", song, "--sample", 1)
    again = jukectl("pick", song, "--sample", 1)
    assert "exists already: nothing to do" in again.err
    assert again.out.strip() == f"{song}-sample-1"
    assert jukectl("--json", "pick", song, "--sample", 1).json == {"song": f"{song}-sample-1", "new": False}
    assert jukectl("--json", "cut", song, "--at", 0.1).json == {"song": f"{song}-cut-0.1", "new": True}


def test_a_tree_is_grown_deeper_and_a_leaf_is_extracted_to_a_song(jukectl, song, tmp_path):
    options = ["--every", 0.1, "--branch", 2, "--depth", 1, "--levels", "top", "--out", tmp_path / "tree"]
    answer = jukectl("tree", song, *options)
    assert answer.out.splitlines() == [str(tmp_path / f"tree/previews/top-{leaf}.wav") for leaf in range(2)]
    assert jukectl("--json", "tree", tmp_path / "tree", "--depth", 2).json["sampled"] == 4 * 3
    facts = jukectl("--json", "info", tmp_path / "tree").json
    assert sorted(facts["nodes"]) == ["0", "0.0", "0.1", "1", "1.0", "1.1"]
    jukectl("pick", tmp_path / "tree", "--leaf", "1.0", "--out", tmp_path / "leaf")
    jukectl("tree", tmp_path / "tree", "--leaf", "1.0", "--out", tmp_path / "same")
    assert codes(tmp_path / "leaf").shape == (1, 7 + 2 * 3)
    assert (tmp_path / "leaf/top.npz").read_bytes() == (tmp_path / "same/top.npz").read_bytes()


def test_a_dry_run_of_a_tree_estimates_every_step_and_writes_nothing(jukectl, fails, song, tmp_path):
    options = ["--every", 0.1, "--branch", 2, "--depth", 2, "--levels", "top", "--out", tmp_path / "tree"]
    before = sorted(tmp_path.rglob("*"))
    (line,) = jukectl("tree", song, *options, "--dry-run").out.splitlines()
    assert line.startswith(f"{tmp_path / 'tree'}: 6 nodes to grow, about ")
    lines = jukectl("-v", "tree", song, *options, "--dry-run").out.splitlines()
    assert lines[0].startswith(
        "step 1, 2 nodes, top: 6 codes in 1 window, 14 prefix codes; 2 of 2 rows per batch in fp32"
    )
    assert lines[1].startswith("step 2, 4 nodes, top: 12 codes in 1 window, 40 prefix codes; 4 of 4 rows per batch")
    assert lines[2].startswith("codes to audio: about ")
    assert "(tiny on cpu, " in lines[3]
    facts = jukectl("--json", "tree", song, *options, "--guidance", 2, "--dry-run").json
    assert [(one["step"], one["nodes"], one["levels"]["top"]["codes"]) for one in facts["steps"]] == [
        (1, 2, 6),
        (2, 4, 12),
    ]
    assert (facts["nodes"], facts["codes"]) == (6, 18)
    assert fails("tree", song, "--depth", 0, "--dry-run")
    assert sorted(tmp_path.rglob("*")) == before
    jukectl("tree", song, *options)
    assert (
        jukectl("tree", tmp_path / "tree", "--dry-run").out == f"{tmp_path / 'tree'} is grown already: nothing to do.\n"
    )
    deeper = jukectl("--json", "tree", tmp_path / "tree", "--depth", 3, "--dry-run").json
    assert [(one["step"], one["nodes"]) for one in deeper["steps"]] == [(3, 8)]


def test_a_growing_tree_writes_previews_of_its_nodes(jukectl, song, tmp_path):
    options = ["--every", 0.1, "--branch", 2, "--depth", 2, "--out", tmp_path / "tree"]
    jukectl("tree", song, *options, "--preview", "top,middle")
    names = sorted(path.name for path in (tmp_path / "tree/previews").iterdir())
    places = ["0", "0.0", "0.1", "1", "1.0", "1.1"]
    assert names == sorted(f"{level}-{place}.wav" for level in ("middle", "top") for place in places)
    (tmp_path / "tree/audio/1.0.wav").unlink()
    nothing = f"{sys.executable} -c pass"
    played = jukectl("play", tmp_path / "tree", "--leaf", "1.0", "--player", nothing).out.splitlines()
    assert played == [str(tmp_path / f"tree/previews/middle-{place}.wav") for place in ("1", "1.0")]


def test_a_song_can_be_upsampled_up_to_a_time_and_later_to_its_end(jukectl, style, tmp_path):
    jukectl("sample", "--out", tmp_path / "song", "--levels", "top", *style)
    jukectl("upsample", tmp_path / "song", "--to", 0.1)
    assert codes(tmp_path / "song", "bottom").shape[1] < 112
    facts = jukectl("--json", "info", tmp_path / "song").json
    assert facts["unfinished"] == ["bottom"]
    jukectl("upsample", tmp_path / "song")
    assert codes(tmp_path / "song", "bottom").shape[1] == 112
    answer = jukectl("upsample", tmp_path / "song", "--from", 0.1, "--to", 0.2)
    assert answer.out.splitlines() == [f"{tmp_path}/song-from-0.1/audio/0.wav"]


def test_play_uses_the_audio_or_else_the_previews(jukectl, fails, song, riff, tmp_path):
    nothing = f"{sys.executable} -c pass"
    assert jukectl("--json", "play", song, "--player", nothing).json == {
        "played": [str(song / "audio/0.wav")],
        "player": sys.executable,
    }
    shutil.rmtree(song / "audio")
    assert "jukectl decode" in fails("play", song)
    jukectl("decode", song, "--level", "top", "--sample", 1)
    assert jukectl("play", song, "--sample", 1, "--player", nothing).out.strip() == str(song / "previews/top-1.wav")
    assert jukectl("play", riff, "--player", nothing).out.strip() == str(riff)
    assert "samples 0 to 1" in fails("play", song, "--sample", 2)
    assert "no player 'gramophone'" in fails("play", song, "--sample", 1, "--player", "gramophone", status=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pick", "SONG", "--sample", 7], "has the samples 0 to 1; got --sample 7"),
        (["pick", "SONG"], "say which sample"),
        (["pick", "SONG", "--leaf", "0.0"], "is no tree"),
        (["cut", "SONG", "--at", 99], "0.224 s at the top level; got --at 99"),
        (["cut", "SONG", "--at", "soon"], "Invalid value for '--at'"),
        (["branch", "SONG", "--at", 99], "got --at 99"),
        (["branch", "SONG", "--at", 0.1, "--genre", "polka"], "polka"),
        (["branch", "NOWHERE", "--at", 0.1], "there is no song folder"),
        (["tree", "SONG", "--depth", 2, "--leaf", "0.0.0"], "3 steps"),
        (["tree", "SONG", "--leaf", "first"], "such as 2.3"),
        (["tree", "NOWHERE"], "NOWHERE"),
        (["upsample", "SONG", "--out", "other"], "--out goes with --sample or --from"),
        (["upsample", "SONG", "--from", 0.2, "--to", 0.1], "--from 0.2 --to 0.1"),
        (["upsample", "SONG", "--to", 0], "--to is a time over 0"),
        (["play", "NOWHERE"], "there is no song folder"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_impossible_variations_are_refused_before_anything_is_written(fails, song, tmp_path, arguments, message):
    places = {"SONG": song, "NOWHERE": tmp_path / "NOWHERE"}
    before = sorted(tmp_path.rglob("*"))
    assert message in fails(*(places.get(argument, argument) for argument in arguments))
    assert sorted(path for path in tmp_path.rglob("*") if path.name != ".lock") == [
        path for path in before if path.name != ".lock"
    ]


def test_variations_leave_a_folder_locked_by_another_process_alone(fails, song, tmp_path):
    from jukectl.codes.song import Song

    other = Song.create(tmp_path / "other")
    with other.lock():
        for command in (["pick", song, "--sample", 0], ["cut", song, "--at", 0.1], ["branch", song, "--at", 0.1]):
            assert "another jukectl is working on" in fails(*command, "--out", other.path, status=1)
    with Song(song).lock():  # the song that is taken from is only read
        assert fails("pick", song, "--sample", 5).count("samples 0 to 1")


def test_variations_refuse_a_song_of_a_newer_format(fails, song, tmp_path):
    text = (song / "song.toml").read_text()
    (song / "song.toml").write_text(text.replace("format = 1", "format = 9"))
    for command in (["pick", "--sample", 0], ["cut", "--at", 0.1], ["branch", "--at", 0.1], ["tree"]):
        assert "recipe format 9" in fails(command[0], song, *command[1:], "--out", tmp_path / "new")
    assert not (tmp_path / "new/song.toml").exists()


def test_a_branch_with_other_lyrics_differs_after_the_cut(jukectl, singing_model, tmp_path):
    """The top prior has the layout of 1b-lyrics: lyrics and codes in one sequence, and names of its own."""
    (tmp_path / "first.txt").write_text("hello there, my love")
    (tmp_path / "second.txt").write_text("and now for something else")
    song = tmp_path / "song"
    options = ["--model", singing_model, "--artist", "ada", "--seconds", 0.6, "--seed", 3, "--levels", "top"]
    jukectl("sample", "--out", song, "--lyrics", tmp_path / "first.txt", *options)
    words = {"same": [], "other": ["--lyrics", tmp_path / "second.txt"]}
    for name, lyrics in words.items():
        jukectl("branch", song, "--at", 0.3, "--seed", 4, "--seconds", 2, "--out", tmp_path / name, *lyrics)
    same, other = (codes(tmp_path / name) for name in words)
    assert np.array_equal(same[:, :9], other[:, :9])
    assert not np.array_equal(same, other)
    assert "hello there" in (tmp_path / "same/song.toml").read_text()
    jukectl("tree", tmp_path / "other", "--every", 0.1, "--branch", 2, "--depth", 1, "--out", tmp_path / "tree")
    leaf = jukectl("pick", tmp_path / "tree", "--leaf", "1").out.strip()
    assert "something else" in (tmp_path / "tree-1/song.toml").read_text()
    jukectl("upsample", leaf, "--to", 0.1)
    jukectl("cut", leaf, "--at", 0.2)
