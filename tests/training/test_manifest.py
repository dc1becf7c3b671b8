"""The manifest of a music folder."""

import json
import os
import sys

import numpy as np
import pytest

from jukectl.audio import io
from jukectl.errors import BadManifest, MissingTool
from jukectl.progress import silent
from jukectl.training.manifest import Manifest, Track, scan

RATE = 8_000


def tone(seconds=0.5, gain=0.3):
    return (gain * np.sin(np.arange(round(seconds * RATE)) / 5)).astype(np.float32)


def write(path, tags=None, samples=None):
    """A music file with tags."""
    import mutagen

    path.parent.mkdir(parents=True, exist_ok=True)
    io.save(path, tone() if samples is None else samples, RATE)
    if tags:
        file = mutagen.File(path, easy=True)
        if file.tags is None:
            file.add_tags()
        file.update(tags)
        file.save()
    return path


def track(path, **facts):
    return Track(**({"path": path, "seconds": 1.0, "sample_rate": RATE, "channels": 1} | facts))


@pytest.fixture
def music(tmp_path):
    """A folder as people have them."""
    folder = tmp_path / "music"
    tags = {"artist": ["Björk B."], "title": ["Já"], "genre": ["Jazz", "Ambient"], "license": ["CC0-1.0"]}
    write(folder / "a" / "one.flac", tags)
    write(folder / "a" / "two.mp3", {"artist": ["Ada"], "genre": ["Jazz"], "copyright": ["(c) Ada"]})
    write(folder / "b" / "three.ogg", {"title": ["  Three "]}, samples=np.stack([tone(1.0), tone(1.0)]))
    write(folder / "b" / "untagged.WAV".lower())
    write(folder / "silent.wav", samples=0 * tone())
    (folder / "corrupt.flac").write_bytes(b"fLaC" + bytes(100))
    (folder / "empty.mp3").touch()
    (folder / "notes.txt").write_text("not music")
    (folder / "._one.flac").write_bytes(b"litter of another system")
    (folder / "folder.flac").mkdir()
    return folder


def test_a_scan_lists_every_song_with_its_tags_in_the_order_of_paths(music):
    manifest, _ = scan(music, music / "manifest.jsonl", silent)
    assert [one.path for one in manifest.tracks] == [
        "a/one.flac",
        "a/two.mp3",
        "b/three.ogg",
        "b/untagged.wav",
        "silent.wav",
    ]
    one, two, three, untagged, quiet = manifest.tracks
    assert one == track(
        "a/one.flac", seconds=0.5, artist="Björk B.", title="Já", genres=("Jazz", "Ambient"), licence="CC0-1.0"
    )
    assert (two.artist, two.title, two.genres, two.licence) == ("Ada", "two", ("Jazz",), "(c) Ada")
    assert (three.title, three.channels, three.seconds, three.artist) == ("Three", 2, 1.0, "")
    assert (untagged.title, untagged.genres) == ("untagged", ())
    assert quiet.seconds == 0.5  # silence is music too


def test_a_scan_says_what_it_skipped_and_why(music):
    _, skipped = scan(music, music / "manifest.jsonl", silent)
    assert [line for line in skipped if "corrupt.flac" in line]
    assert [line for line in skipped if "empty.mp3" in line and "empty" in line]
    assert len(skipped) == 2


def test_a_file_that_lacks_a_tool_is_skipped_too(music, monkeypatch):
    def info(path):
        if path.name == "two.mp3":
            raise MissingTool("two.mp3 needs ffmpeg")
        return honest(path)

    honest = io.info
    monkeypatch.setattr(io, "info", info)
    manifest, skipped = scan(music, music / "manifest.jsonl", silent)
    assert len(manifest.tracks) == 4
    assert "two.mp3 needs ffmpeg" in skipped


def test_a_scan_reports_every_file_and_its_end(music):
    told = []
    scan(music, music / "manifest.jsonl", told.append)
    assert [one.done for one in told] == list(range(8))
    assert {one.total for one in told} == {7}


def test_paths_are_relative_to_the_manifest_wherever_it_lies(music, tmp_path):
    place = tmp_path / "lists" / "deep"
    place.mkdir(parents=True)
    manifest, _ = scan(music, place / "manifest.jsonl", silent)
    assert manifest.tracks[0].path == "../../music/a/one.flac"
    assert all((manifest.folder / one.path).is_file() for one in manifest.tracks)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_to_a_song_keeps_its_name_and_a_link_to_a_folder_is_followed(music, tmp_path):
    (music / "linked.flac").symlink_to(music / "a" / "one.flac")
    (tmp_path / "elsewhere").symlink_to(music)
    manifest, _ = scan(tmp_path / "elsewhere", music / "manifest.jsonl", silent)
    assert "linked.flac" in [one.path for one in manifest.tracks]
    assert all((music / one.path).is_file() for one in manifest.tracks)


def test_a_folder_without_music_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(BadManifest, match="no music under"):
        scan(tmp_path, tmp_path / "manifest.jsonl", silent)
    with pytest.raises(BadManifest, match="is not a folder"):
        scan(tmp_path / "notes.txt", tmp_path / "manifest.jsonl", silent)
    (tmp_path / "bad.flac").write_bytes(b"no")
    with pytest.raises(BadManifest, match="none of the 1 files"):
        scan(tmp_path, tmp_path / "manifest.jsonl", silent)


def test_a_saved_manifest_reads_back_as_it_was(music):
    path = music / "manifest.jsonl"
    manifest, _ = scan(music, path, silent)
    manifest.save(path)
    assert Manifest.load(path) == manifest
    assert "Björk" in path.read_text(encoding="utf-8")  # people read it


@pytest.mark.parametrize(
    "title", ["line\u2028separator", "next\x85line", 'quote " and \\', "two\nlines", "a\x0bb\x1cc"]
)
def test_a_title_may_hold_any_character(tmp_path, title):
    manifest = Manifest(tmp_path, (track("a.flac", title=title), track("b.flac")))
    manifest.save(tmp_path / "m.jsonl")
    assert Manifest.load(tmp_path / "m.jsonl") == manifest


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_file_name_need_not_be_utf8(tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    (write(tmp_path / "x.wav")).rename(music / os.fsdecode(b"caf\xe9.wav"))
    manifest, _ = scan(music, music / "m.jsonl", silent)
    manifest.save(music / "m.jsonl")
    (again,) = Manifest.load(music / "m.jsonl").tracks
    assert io.load(music / again.path).seconds == 0.5


def test_blank_lines_of_a_manifest_are_passed_over(tmp_path):
    row = '{"path": "a.flac", "seconds": 1, "sample_rate": 8000, "channels": 1}'
    (tmp_path / "m.jsonl").write_text(f"\n{row}\n\n  \n")
    assert Manifest.load(tmp_path / "m.jsonl").tracks == (track("a.flac"),)


GOOD = {"path": "a.flac", "seconds": 1.0, "sample_rate": RATE, "channels": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is not JSON"),
        ("[1, 2]", "is not a JSON object"),
        (json.dumps(GOOD | {"genres": "Rock"}), "genres must be a list"),  # not R, o, c, k
        (json.dumps(GOOD | {"seconds": "long"}), "seconds must be a number"),
        (json.dumps(GOOD | {"path": 5}), "path must be text"),
        (json.dumps(GOOD | {"year": 1999}), "year is not known"),
        (json.dumps({"path": "a.flac"}), "seconds is missing"),
    ],
)
def test_a_mistake_in_a_manifest_is_told_with_its_line(tmp_path, line, message):
    (tmp_path / "m.jsonl").write_text(json.dumps(GOOD) + "\n" + line + "\n")
    with pytest.raises(BadManifest, match=rf"m.jsonl, line 2:? {message}"):
        Manifest.load(tmp_path / "m.jsonl")


@pytest.mark.parametrize("content", [None, "", "\n \n"])
def test_a_manifest_that_is_absent_or_empty_tells_how_to_make_one(tmp_path, content):
    if content is not None:
        (tmp_path / "m.jsonl").write_text(content)
    with pytest.raises(BadManifest, match="jukectl data scan"):
        Manifest.load(tmp_path / "m.jsonl")


def split(manifest, *held_out):
    return [[one.path for one in side] for side in manifest.split(held_out)]


def test_a_split_takes_paths_and_globs_for_validation(tmp_path):
    manifest = Manifest(tmp_path, tuple(track(path) for path in ("a/1.flac", "a/2 [live].flac", "b/1.flac", "c.mp3")))
    assert split(manifest) == [["a/1.flac", "a/2 [live].flac", "b/1.flac", "c.mp3"], []]
    assert split(manifest, "*/1.flac") == [["a/2 [live].flac", "c.mp3"], ["a/1.flac", "b/1.flac"]]
    assert split(manifest, "a/2 [live].flac", "a/*") == [["b/1.flac", "c.mp3"], ["a/1.flac", "a/2 [live].flac"]]


def test_a_split_that_misses_every_song_or_takes_them_all_is_refused(tmp_path):
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
def test_the_code_folder_of_a_song_never_leaves_the_folder_it_is_in(path, name):
    assert track(path).name == name


def test_two_songs_never_share_a_code_folder():
    assert track("song.mp3").name != track("song.wav").name
