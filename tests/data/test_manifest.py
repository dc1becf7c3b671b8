"""The manifest of a music folder."""

import json
import os

import pytest

from jukectl.data.manifest import Manifest, Track
from jukectl.errors import BadManifest

RATE = 8_000


def track(path, **facts):
    return Track(**({"path": path, "seconds": 1.0, "sample_rate": RATE, "channels": 1} | facts))


def test_a_saved_manifest_reads_back_unchanged(tmp_path):
    path = tmp_path / "manifest.jsonl"
    facts = {"artist": "Björk B.", "genres": ("Jazz",), "lyrics": "a.lrc", "split": "train"}
    manifest = Manifest(tmp_path, (track("a.flac", **facts), track(os.fsdecode(b"caf\xe9.wav"))))
    manifest.save(path)
    assert Manifest.load(path) == manifest
    assert "Björk" in path.read_text(encoding="utf-8", errors="surrogateescape")  # people read it


@pytest.mark.parametrize(
    "title", ["line\u2028separator", "next\x85line", 'quote " and \\', "two\nlines", "a\x0bb\x1cc"]
)
def test_a_title_may_hold_any_character(tmp_path, title):
    manifest = Manifest(tmp_path, (track("a.flac", title=title), track("b.flac")))
    manifest.save(tmp_path / "m.jsonl")
    assert Manifest.load(tmp_path / "m.jsonl") == manifest


def test_blank_lines_of_a_manifest_are_ignored(tmp_path):
    row = '{"path": "a.flac", "seconds": 1, "sample_rate": 8000, "channels": 1}'
    (tmp_path / "m.jsonl").write_text(f"\n{row}\n\n  \n")
    assert Manifest.load(tmp_path / "m.jsonl").tracks == (track("a.flac"),)


GOOD = {"path": "a.flac", "seconds": 1.0, "sample_rate": RATE, "channels": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is not JSON"),
        ("[1, 2]", "it must be a table, got"),
        (json.dumps(GOOD | {"genres": "Rock"}), "genres must be a list"),  # not R, o, c, k
        (json.dumps(GOOD | {"seconds": "long"}), "seconds must be a number"),
        (json.dumps(GOOD | {"path": 5}), "path must be text"),
        (json.dumps(GOOD | {"year": 1999}), "year is not known"),
        (json.dumps({"path": "a.flac"}), "seconds is missing"),
    ],
)
def test_an_error_in_a_manifest_names_the_line(tmp_path, line, message):
    (tmp_path / "m.jsonl").write_text(json.dumps(GOOD) + "\n" + line + "\n")
    with pytest.raises(BadManifest, match=rf"m.jsonl, line 2:? {message}"):
        Manifest.load(tmp_path / "m.jsonl")


@pytest.mark.parametrize("content", [None, "", "\n \n"])
def test_a_missing_or_empty_manifest_is_reported_with_the_command_that_makes_one(tmp_path, content):
    if content is not None:
        (tmp_path / "m.jsonl").write_text(content)
    with pytest.raises(BadManifest, match="jukectl data scan"):
        Manifest.load(tmp_path / "m.jsonl")


def split(manifest, *held_out):
    return [[one.path for one in side] for side in manifest.split(held_out)]


def test_a_split_accepts_paths_and_globs(tmp_path):
    manifest = Manifest(tmp_path, tuple(track(path) for path in ("a/1.flac", "a/2 [live].flac", "b/1.flac", "c.mp3")))
    assert split(manifest) == [["a/1.flac", "a/2 [live].flac", "b/1.flac", "c.mp3"], []]
    assert split(manifest, "*/1.flac") == [["a/2 [live].flac", "c.mp3"], ["a/1.flac", "b/1.flac"]]
    assert split(manifest, "a/2 [live].flac", "a/*") == [["b/1.flac", "c.mp3"], ["a/1.flac", "a/2 [live].flac"]]


def test_without_held_out_songs_the_split_is_that_of_the_scan(tmp_path):
    sides = {"a.flac": "train", "b.flac": "validation", "c.flac": ""}
    manifest = Manifest(tmp_path, tuple(track(path, split=side) for path, side in sides.items()))
    assert split(manifest) == [["a.flac", "c.flac"], ["b.flac"]]
    assert split(manifest, "a.flac") == [["b.flac", "c.flac"], ["a.flac"]]


def test_a_split_with_no_song_or_all_songs_held_out_is_refused(tmp_path):
    manifest = Manifest(tmp_path, (track("a.flac"), track("b.flac")))
    with pytest.raises(BadManifest, match=r"'A\.flac', which matches no song"):
        manifest.split(["A.flac"])
    with pytest.raises(BadManifest, match="leaves no song"):
        manifest.split(["*.flac"])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/one.flac", "a/one.flac"),
        ("Vol. 1.2/x.wav", "Vol. 1.2/x.wav"),
        ("../music/a.mp3", "_/music/a.mp3"),
        ("/music/a.mp3", "music/a.mp3"),
    ],
)
def test_the_code_folder_of_a_song_is_inside_the_output_folder(path, name):
    assert track(path).name == name


def test_two_songs_never_share_a_code_folder():
    assert track("song.mp3").name != track("song.wav").name
