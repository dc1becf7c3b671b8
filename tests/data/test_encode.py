"""Encoding of the songs of a manifest to shards of codes."""

import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from jukectl.api import Part, Request, encode, encode_manifest
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.data import encode as datasets
from jukectl.data.encoded import CodeFolder, EncodedSongs
from jukectl.data.manifest import Manifest, Track
from jukectl.errors import BadAudio, BadInput, BadManifest, WrongCodec

RATE = 8_000


def write_music(folder, songs):
    """A manifest of songs of noise: name to seconds."""
    folder.mkdir()
    tracks = []
    for number, (name, seconds) in enumerate(songs.items()):
        noise = np.random.default_rng(number).normal(scale=0.1, size=round(seconds * RATE))
        soundfile.write(folder / name, noise, RATE)
        tracks.append(Track(path=name, seconds=seconds, sample_rate=RATE, channels=1))
    Manifest(folder, tuple(tracks)).save(folder / "manifest.jsonl")
    return folder / "manifest.jsonl"


@pytest.fixture
def music(riff, tmp_path):
    """A manifest of two songs, one of them no audio by now."""
    manifest = write_music(tmp_path / "music", {"one.wav": 1, "two.wav": 1})
    shutil.copy(riff, manifest.parent / "one.wav")
    (manifest.parent / "two.wav").write_text("no audio")
    return manifest


def codes_in(folder, name, level):
    return CodeFolder(folder).find(name, level).load()


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.npz"))


def test_every_readable_song_of_a_manifest_is_encoded_and_others_are_named(music, riff, tiny_model, tmp_path):
    result = encode_manifest(music, tmp_path / "codes", model=str(tiny_model))
    assert result.encoded == 1
    assert len(result.skipped) == 1
    assert "two.wav" in result.skipped[0]
    assert [track.path for track in EncodedSongs(tmp_path / "codes").manifest.tracks] == ["one.wav"]
    encode(riff, tmp_path / "song", Request(model=str(tiny_model)))
    for level in TOP_DOWN:
        found = codes_in(tmp_path / "codes", "one.wav", level)
        assert np.array_equal(found.array, Song(tmp_path / "song").codes(level).array)


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (22_050, 1), (96_000, 6)])
def test_encoding_block_by_block_equals_encoding_the_whole_song(tiny_model, tmp_path, monkeypatch, rate, channels):
    monkeypatch.setattr("jukectl.audio.io.READ_BLOCK", 10_000)
    monkeypatch.setattr("jukectl.vqvae.chunks.CHUNK_SECONDS", 0.3)
    manifest = write_music(tmp_path / "music", {"long.wav": 3})
    noise = np.random.default_rng(0).normal(scale=0.1, size=(3 * rate + 17, channels))
    soundfile.write(manifest.parent / "long.wav", noise, rate)
    encode_manifest(manifest, tmp_path / "codes", model=str(tiny_model))
    encode(manifest.parent / "long.wav", tmp_path / "song", Request(model=str(tiny_model)))
    for level in TOP_DOWN:
        assert np.array_equal(
            codes_in(tmp_path / "codes", "long.wav", level).array, Song(tmp_path / "song").codes(level).array
        )


def test_songs_are_packed_into_one_shard_per_level(music, tiny_model, tmp_path):
    encode_manifest(music, tmp_path / "codes", model=str(tiny_model))
    shards = files(tmp_path / "codes")
    assert [path.rpartition("-")[0] for path in shards] == ["shards/bottom", "shards/middle", "shards/top"]
    assert not (tmp_path / "codes" / "one.wav").exists()


def test_a_shard_is_closed_after_some_thousand_seconds(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "SHARD_SECONDS", 0.5)
    manifest = write_music(tmp_path / "music", {f"{number}.wav": 0.2 for number in range(7)})
    encode_manifest(manifest, tmp_path / "codes", model=str(tiny_model), levels=[Level.TOP])
    assert sorted(Codes.load(tmp_path / "codes" / path).done for path in files(tmp_path / "codes")) == [6, 18, 18]
    assert len(EncodedSongs(tmp_path / "codes").manifest.tracks) == 7


def test_encoded_songs_are_kept_and_new_ones_added(tiny_model, tmp_path):
    manifest = write_music(tmp_path / "music", {"a.wav": 0.2, "b.wav": 0.2})
    encode_manifest(manifest, tmp_path / "codes", model=str(tiny_model))
    before = {path: (tmp_path / "codes" / path).stat().st_mtime_ns for path in files(tmp_path / "codes")}
    soundfile.write(tmp_path / "music" / "c.wav", np.full(RATE, 0.1), RATE)
    more = (*Manifest.load(manifest).tracks, Track(path="c.wav", seconds=1.0, sample_rate=RATE, channels=1))
    Manifest(manifest.parent, more).save(manifest)
    events = []
    encode_manifest(manifest, tmp_path / "codes", model=str(tiny_model), listener=events.append)
    assert {one.note for one in events} == {"c.wav", ""}
    assert all((tmp_path / "codes" / path).stat().st_mtime_ns == stamp for path, stamp in before.items())
    assert EncodedSongs(tmp_path / "codes").manifest.tracks == more


def test_a_folder_with_one_archive_per_song_is_converted(tiny_model, tmp_path, monkeypatch):
    manifest = write_music(tmp_path / "music", {"a.wav": 0.2, "b.wav": 0.2})
    with monkeypatch.context() as patch:
        patch.setattr(CodeFolder, "pack", lambda *_: None)
        encode_manifest(manifest, tmp_path / "codes", model=str(tiny_model))
    own = {path: (tmp_path / "codes" / path).read_bytes() for path in files(tmp_path / "codes")}
    assert len(own) == 6
    expected = codes_in(tmp_path / "codes", "b.wav", Level.MIDDLE).array
    damaged = tmp_path / "codes" / "a.wav" / "top.npz"
    damaged.write_bytes(own["a.wav/top.npz"][:200])
    events = []
    encode_manifest(manifest, tmp_path / "codes", model=str(tiny_model), listener=events.append)
    assert {one.note for one in events} == {"a.wav", ""}  # made again, since it was damaged
    assert len(files(tmp_path / "codes")) == 3
    assert np.array_equal(codes_in(tmp_path / "codes", "b.wav", Level.MIDDLE).array, expected)


def test_levels_can_be_added_later(tiny_model, tmp_path):
    manifest = write_music(tmp_path / "music", {"a.wav": 0.2, "b.wav": 0.2})
    encode_manifest(manifest, tmp_path / "codes", model=str(tiny_model), levels=[Level.TOP])
    assert len(files(tmp_path / "codes")) == 1
    encode_manifest(manifest, tmp_path / "codes", model=str(tiny_model))
    encode_manifest(manifest, tmp_path / "whole", model=str(tiny_model))
    assert files(tmp_path / "codes") == files(tmp_path / "whole")
    for path in files(tmp_path / "codes"):
        assert (tmp_path / "codes" / path).read_bytes() == (tmp_path / "whole" / path).read_bytes()


def test_shards_of_another_codec_are_not_touched(tiny_model, tmp_path, monkeypatch):
    manifest = write_music(tmp_path / "music", {"a.wav": 0.2})
    encode_manifest(manifest, tmp_path / "codes", model=str(tiny_model))
    monkeypatch.setattr("jukectl.checkpoints.store.ModelFolder.fingerprint", lambda *_: "0ther" * 8)
    with pytest.raises(WrongCodec, match=r"shards/top-.* holds codes of the VQ-VAE .* Give another --out"):
        encode_manifest(manifest, tmp_path / "codes", model=str(tiny_model))


@pytest.mark.parametrize("parts", [2, 3, 9])
def test_parts_cover_a_manifest_exactly_once(tmp_path, parts):
    tracks = [Track(path=str(number), seconds=1.0, sample_rate=1, channels=1) for number in range(7)]
    manifest = Manifest(tmp_path, tuple(tracks))
    shares = [Part(number, parts).tracks(manifest) for number in range(1, parts + 1)]
    assert sorted((track for share in shares for track in share), key=lambda one: one.path) == tracks


@pytest.mark.parametrize("text", ["", "2", "0/4", "5/4", "a/b", "-1/4", "1/4/4"])
def test_an_invalid_part_is_refused(text):
    with pytest.raises(BadInput, match="a part is"):
        Part.parse(text)


def test_several_processes_encode_one_manifest_into_one_folder(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "SHARD_SECONDS", 1)
    manifest = write_music(tmp_path / "music", {f"{number}.wav": 0.5 + number / 10 for number in range(9)})
    with ThreadPoolExecutor(3) as pool:

        def run(number):
            return encode_manifest(manifest, tmp_path / "codes", model=str(tiny_model), part=Part(number, 3)).encoded

        assert list(pool.map(run, (1, 2, 3))) == [3, 3, 3]
    encode_manifest(manifest, tmp_path / "alone", model=str(tiny_model))
    together, alone = EncodedSongs(tmp_path / "codes"), EncodedSongs(tmp_path / "alone")
    assert together.manifest.tracks == alone.manifest.tracks
    for level in TOP_DOWN:
        for track in alone.manifest.tracks:
            assert together.find(track, level)[:].tolist() == alone.find(track, level)[:].tolist()


PROGRAM = """
import sys
from pathlib import Path
from jukectl.api import encode_manifest
encode_manifest(Path(sys.argv[1]), Path(sys.argv[2]), model=sys.argv[3])
"""


def test_killed_encoding_resumes_at_the_same_song(tiny_model, warm_python, tmp_path):
    manifest = write_music(tmp_path / "music", {f"{number}.wav": 4 for number in range(30)})
    out = tmp_path / "codes"
    arguments = [*warm_python, "-c", PROGRAM, str(manifest), str(out), str(tiny_model)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while len(files(out)) < 7 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()  # until it has ended
    whole = [number for number in range(30) if len(list((out / f"{number}.wav").glob("[!.]*.npz"))) == 3]
    assert 2 <= len(whole) < 30
    stamps = {number: (out / f"{number}.wav" / "top.npz").stat().st_mtime_ns for number in whole}
    events = []
    encode_manifest(manifest, out, model=str(tiny_model), listener=events.append)
    assert stamps  # and none of these songs was heard again
    assert not {f"{number}.wav" for number in whole} & {one.note for one in events}
    assert len(EncodedSongs(out).manifest.tracks) == 30
    assert not list(out.rglob("*.part"))


def test_a_kill_before_archives_of_a_shard_are_removed_loses_nothing(tiny_model, tmp_path):
    manifest = write_music(tmp_path / "music", {"a.wav": 0.2, "b.wav": 0.2})
    out = tmp_path / "codes"
    encode_manifest(manifest, out, model=str(tiny_model))
    left = codes_in(out, "a.wav", Level.TOP)
    CodeFolder(out).write("a.wav", left)
    before = files(out)
    encode_manifest(manifest, out, model=str(tiny_model))
    assert files(out) == [path for path in before if path != "a.wav/top.npz"]
    assert np.array_equal(codes_in(out, "a.wav", Level.TOP).array, left.array)


def test_progress_counts_seconds_of_music_including_finished_songs(tiny_model, tmp_path):
    manifest = write_music(tmp_path / "music", {"a.wav": 3, "b.wav": 5})
    events = []
    encode_manifest(manifest, tmp_path / "codes", model=str(tiny_model), part=Part(1, 2))
    encode_manifest(manifest, tmp_path / "codes", model=str(tiny_model), listener=events.append)
    assert (events[0].done, events[0].total, events[0].note) == (3, 8, "b.wav")
    assert (events[-1].done, events[-1].total) == (8, 8)


def test_a_manifest_without_readable_songs_is_an_error(music, tiny_model, tmp_path):
    (music.parent / "one.wav").unlink()
    with pytest.raises(BadAudio, match="none of the songs"):
        encode_manifest(music, tmp_path / "codes", model=str(tiny_model))


@pytest.mark.parametrize("samples", [0, 200])
def test_a_song_shorter_than_a_top_code_is_skipped(music, tiny_model, tmp_path, samples):
    soundfile.write(music.parent / "two.wav", np.full(samples, 0.1), RATE)
    (line,) = encode_manifest(music, tmp_path / "codes", model=str(tiny_model)).skipped
    assert "two.wav" in line


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        ("lyrics", "secret.key", b"not a song"),
        ("lyrics", "secret.txt", b"\xff\xfe\xff"),
        ("midi", "secret.key", b"not a song"),
        ("midi", "secret.mid", b"not a song"),
        ("beats", "secret.json", b'{"password": 1}'),
    ],
)
def test_a_manifest_copies_no_file_of_another_kind_into_the_code_folder(tmp_path, kind, name, content):
    (tmp_path / name).write_bytes(content)
    track = Track(path="a.wav", seconds=1, sample_rate=8_000, channels=1, **{kind: name})
    codes = CodeFolder(tmp_path / "codes")
    keep = {"lyrics": codes.keep_lyrics, "midi": codes.keep_midi, "beats": codes.keep_beats}[kind]
    with pytest.raises(BadManifest, match=rf"cannot use the (lyrics|notes|beats) of a\.wav: .*{name}"):
        keep(track, tmp_path / name)
    assert not (tmp_path / "codes").exists()
