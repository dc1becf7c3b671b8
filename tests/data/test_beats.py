"""Beats beside a song: found by the scan, and copied to the codes."""

import numpy as np
import pytest

from jukectl.audio import io
from jukectl.data.encoded import CodeFolder, EncodedSongs
from jukectl.data.manifest import Manifest, Track
from jukectl.data.scan import scan
from jukectl.errors import BadManifest
from jukectl.midi.beats import BeatGrid
from jukectl.progress import ignore

GRID = BeatGrid.from_tempo(120, "3/4", 10)


def test_a_scan_finds_the_beats_beside_a_song(tmp_path):
    music = tmp_path / "music"
    (music / "a").mkdir(parents=True)
    time = np.arange(8_000) / 8_000
    for number, name in enumerate(("a/one 2.5.wav", "a/two.wav")):
        io.save(music / name, (np.sin(2 * np.pi * (300 + 200 * number) * time) / 2).astype(np.float32), 8_000)
    GRID.save(music / "a/one 2.5.beats.json")
    tracks = scan(music, music / "manifest.jsonl", ignore).manifest.tracks
    assert [track.beats for track in tracks] == ["a/one 2.5.beats.json", ""]


def test_encoding_copies_the_beats_of_songs(tmp_path):
    source = tmp_path / "one.beats.json"
    GRID.save(source)
    timed = Track(path="a/one.wav", seconds=10, sample_rate=8_000, channels=1, beats="a/one.beats.json")
    plain = Track(path="a/two.wav", seconds=10, sample_rate=8_000, channels=1)
    folder = CodeFolder(tmp_path / "codes")
    for track in (timed, plain):
        folder.keep_beats(track, source)
    Manifest(folder.path, (timed, plain)).save(folder.path / "manifest.jsonl")
    songs = EncodedSongs(folder.path)
    assert songs.beats(plain) is None
    assert np.allclose(BeatGrid.load(songs.beats(timed)).beats, GRID.beats)
    songs.beats(timed).unlink()
    with pytest.raises(BadManifest, match=r"not its beats .*jukectl data encode"):
        songs.beats(timed)
    with pytest.raises(BadManifest, match="cannot read the beats"):
        folder.keep_beats(timed, tmp_path / "gone.json")
