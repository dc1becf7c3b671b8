"""Shards: the codes of many songs in one archive, mapped and not read."""

import os
import zipfile
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukectl.codes.archive import FIELDS, Codes
from jukectl.codes.level import Level
from jukectl.codes.shard import MappedArchive, read_shard, song_archive, write_shard
from jukectl.errors import NotCodes


def codes(frames, **facts):
    array = np.asarray(frames, dtype=np.uint16)[None]
    about: dict[str, Any] = {
        "level": Level.TOP,
        "prompt": 0,
        "hop": 128,
        "sample_rate": 22_050,
        "codebook_size": 2_048,
        "vqvae": "f00d",
    }
    return Codes(array=array, **(about | facts))


def shard(folder, songs):
    """A shard of songs that were in archives of their own."""
    own = []
    for number, (name, frames) in enumerate(songs.items()):
        codes(frames).save(folder / f"{number}.npz")
        own.append((name, song_archive(folder / f"{number}.npz")))
    write_shard(folder / "shard.npz", own)
    return folder / "shard.npz"


SONGS = {"a/ö [1].flac": range(1_000), "b.mp3": [2_047], "none.wav": [], os.fsdecode(b"caf\xe9.wav"): range(500, 900)}


def test_every_song_of_a_shard_is_found_by_its_name(tmp_path):
    found = read_shard(shard(tmp_path, SONGS))
    assert list(found) == list(SONGS)
    for name, frames in SONGS.items():
        assert len(found[name]) == len(frames)
        assert found[name][:].tolist() == list(frames)
        assert found[name].load().array.tolist() == [list(frames)]
    about = found["b.mp3"].archive
    assert (about.level, about.hop, about.sample_rate, about.codebook_size) == (Level.TOP, 128, 22_050, 2_048)
    assert about.vqvae == "f00d"


def test_a_shard_is_an_archive_of_codes_that_numpy_reads_too(tmp_path):
    path = shard(tmp_path, SONGS)
    whole = [frame for frames in SONGS.values() for frame in frames]
    assert Codes.load(path).array.tolist() == [whole]
    with np.load(path, allow_pickle=False) as archive:
        assert set(archive.files) == {*FIELDS, "songs", "lengths"}
        assert archive["lengths"].tolist() == [len(frames) for frames in SONGS.values()]


def test_equal_songs_give_equal_bytes(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    assert shard(tmp_path / "a", SONGS).read_bytes() == shard(tmp_path / "b", SONGS).read_bytes()


@pytest.fixture(scope="module")
def some_songs(tmp_path_factory):
    songs = {str(number): np.random.default_rng(number).integers(2_048, size=number) for number in (3, 0, 30, 1)}
    return songs, read_shard(shard(tmp_path_factory.mktemp("some"), songs))


PLACE = st.none() | st.integers(-40, 40)


@given(name=st.sampled_from(["3", "0", "30", "1"]), first=PLACE, last=PLACE)
def test_a_slice_of_a_song_is_that_of_its_codes(some_songs, name, first, last):
    songs, found = some_songs
    assert found[name][first:last].tolist() == songs[name][first:last].tolist()


def test_codes_are_mapped_and_not_read(tmp_path):
    own = tmp_path / "long.npz"
    codes(np.zeros(50_000_000, np.uint16)).save(own)  # 100 MB
    before = psutil.Process().memory_info().rss
    song = song_archive(own)
    assert song[40_000_000:40_000_008].tolist() == [0] * 8
    assert psutil.Process().memory_info().rss - before < 10e6


def test_more_archives_than_may_be_open_can_be_read(tmp_path):
    import resource

    songs = []
    for number in range(40):
        codes([number] * 5).save(tmp_path / f"{number}.npz")
        songs.append(song_archive(tmp_path / f"{number}.npz"))
    before = psutil.Process().num_fds()
    assert [int(song[0:1][0]) for song in songs] == list(range(40))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert psutil.Process().num_fds() - before <= min(256, limit)


def test_compressed_archives_of_other_programs_are_read_whole(tmp_path):
    codes(range(100)).save(tmp_path / "stored.npz")
    with np.load(tmp_path / "stored.npz") as archive:
        np.savez_compressed(tmp_path / "packed.npz", **{name: archive[name] for name in archive.files})
    song = song_archive(tmp_path / "packed.npz")
    assert song.archive.offset is None
    assert song[10:13].tolist() == [10, 11, 12]


@pytest.mark.parametrize("keep", [0, 10, 0.3, 0.9, 0.999])
def test_a_shard_that_is_cut_off_is_refused(tmp_path, keep):
    path = shard(tmp_path, SONGS)
    data = path.read_bytes()
    path.write_bytes(data[: keep if keep > 1 else round(keep * len(data))])
    with pytest.raises(NotCodes, match=r"shard.npz holds no codes, or is damaged"):
        read_shard(path)


def test_a_file_that_is_not_a_shard_is_refused(tmp_path):
    codes(range(5)).save(tmp_path / "song.npz")
    with pytest.raises(NotCodes):
        read_shard(tmp_path / "song.npz")
    with pytest.raises(NotCodes, match="cannot read"):
        MappedArchive.open(tmp_path / "absent.npz")


def test_damage_in_the_list_of_songs_is_found(tmp_path):
    path = shard(tmp_path, SONGS)
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("lengths.npy").header_offset + 180
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(NotCodes):
        read_shard(path)


def test_a_code_outside_the_codebook_is_reported_when_it_is_read(tmp_path):
    path = shard(tmp_path, {"a.wav": range(2_000), "b.wav": [7] * 3_000})
    data = bytearray(path.read_bytes())
    data[data.index(np.full(100, 7, "<u2").tobytes()) + 1] = 255
    path.write_bytes(data)
    found = read_shard(path)
    assert found["a.wav"][:].tolist() == list(range(2_000))
    with pytest.raises(NotCodes, match=r"shard.npz is damaged: it holds codes over 2047"):
        found["b.wav"][0:10]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("songs", np.array("a")),
        ("songs", np.array([1, 2])),
        ("lengths", np.array(3)),
        ("lengths", np.array([3.0])),
        ("lengths", np.array([-1, 5])),
        ("hop", np.array(0)),
        ("sample_rate", np.array(10**12)),
        ("codebook_size", np.array(0)),
    ],
)
def test_a_shard_with_impossible_facts_is_refused(field, value, tmp_path):
    whole = shard(tmp_path, {"a": range(4)})
    with np.load(whole) as archive:
        fields = dict(archive)
    np.savez(tmp_path / "other.npz", **(fields | {field: value}))
    with pytest.raises(NotCodes, match=r"other\.npz"):
        read_shard(tmp_path / "other.npz")
