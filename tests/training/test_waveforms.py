"""Clips of music for the codec."""

import os

import numpy as np
import pytest
import torch

from jukectl.audio import io
from jukectl.errors import BadManifest
from jukectl.progress import silent
from jukectl.training.manifest import Track
from jukectl.training.waveforms import FULL_SCALE, Waveforms

RATE = 8_000


def ramp(channels, samples):
    """A song of which every sample tells where it is: (channels, samples) int16."""
    return np.tile(np.arange(samples, dtype=np.int16), (channels, 1))


def positions(clips):
    return (clips * FULL_SCALE).round().to(torch.int64)


def track(name):
    return Track(path=name, seconds=1.0, sample_rate=RATE, channels=1)


def rng(*seed):
    return np.random.default_rng(seed)


def test_clips_follow_from_seed_and_step_alone():
    songs = Waveforms([ramp(2, 5_000), ramp(1, 9_000)], RATE)
    first = songs.clips(6, 256, rng(3, 40))
    songs.clips(2, 100, rng(3, 41))
    assert torch.equal(songs.clips(6, 256, rng(3, 40)), first)
    assert not torch.equal(songs.clips(6, 256, rng(3, 41)), first)
    assert not torch.equal(songs.clips(6, 256, rng(4, 40)), first)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_that_take_their_rows_make_up_the_whole_batch(ranks):
    songs = Waveforms([ramp(2, 5_000), ramp(1, 9_000), ramp(2, 20)], RATE)
    rows = [slice(rank, None, ranks) for rank in range(ranks)]
    whole = songs.clips(6, 256, rng(3, 40))
    for some in rows:
        assert torch.equal(songs.clips(6, 256, rng(3, 40), some), whole[some])


def test_a_clip_is_a_span_of_a_song_and_every_span_comes_up():
    songs = Waveforms([ramp(1, 40)], RATE)
    clips = positions(songs.clips(500, 32, rng(0)))
    assert torch.all(clips.diff(dim=1) == 1)
    assert sorted(set(clips[:, 0].tolist())) == list(range(9))  # the last sample is in one too


def test_longer_songs_come_up_more_often():
    songs = Waveforms([np.full((1, 1_000), 100, np.int16), np.full((1, 3_000), 200, np.int16)], RATE)
    share = (positions(songs.clips(2_000, 16, rng(0)))[:, 0] == 200).double().mean()
    assert float(share) == pytest.approx(0.75, abs=0.04)


def test_left_and_right_are_mixed_at_random():
    songs = Waveforms([np.stack([np.full(500, 1_000), np.full(500, 3_000)]).astype(np.int16)], RATE)
    levels = positions(songs.clips(300, 8, rng(0)))[:, 0].double()
    assert 1_000 <= levels.min() < 1_100
    assert 2_900 < levels.max() <= 3_000


def test_a_song_that_is_shorter_than_a_clip_is_followed_by_silence():
    clips = positions(Waveforms([ramp(2, 10) + 1], RATE).clips(2, 16, rng(0)))
    assert clips.tolist() == [[*range(1, 11), 0, 0, 0, 0, 0, 0]] * 2


def test_the_middle_of_a_song_is_down_mixed_as_for_encoding():
    song = np.stack([ramp(1, 100)[0], 3 * ramp(1, 100)[0]])
    middle = positions(Waveforms([song], RATE).middle(0, 20))
    assert middle.tolist() == list(range(2 * 40, 2 * 60, 2))
    assert len(Waveforms([song], RATE).middle(0, 1_000)) == 100


@pytest.fixture
def music(tmp_path):
    time = np.arange(RATE) / RATE
    io.save(tmp_path / "mono.wav", np.sin(300 * time).astype(np.float32) * 0.5, RATE)
    io.save(tmp_path / "stereo.wav", np.stack([time, -time]).astype(np.float32) * 0.5, RATE)
    io.save(tmp_path / "surround.flac", np.tile(time, (6, 1)).astype(np.float32) * 0.5, RATE)
    (tmp_path / "corrupt.flac").write_bytes(b"fLaC" + bytes(50))
    return tmp_path


def load(music, *names, rate=RATE, report=silent):
    return Waveforms.load(music, [track(name) for name in names], rate, music / "cache", report)


def test_songs_are_decoded_at_the_rate_of_the_model_and_keep_up_to_two_channels(music):
    songs = load(music, "mono.wav", "stereo.wav", "surround.flac").songs
    assert [song.shape for song in songs] == [(1, RATE), (2, RATE), (1, RATE)]
    assert np.abs(songs[0] / FULL_SCALE - io.load(music / "mono.wav").samples).max() < 1e-4
    assert load(music, "stereo.wav", rate=2_000).songs[0].shape == (2, 2_000)


def test_a_song_is_decoded_once_and_again_when_its_file_has_changed(music, monkeypatch):
    decoded = []
    honest = io.load
    monkeypatch.setattr(io, "load", lambda path, **options: decoded.append(path.name) or honest(path, **options))
    for _ in range(2):
        load(music, "mono.wav", "stereo.wav")
    assert decoded == ["mono.wav", "stereo.wav"]

    io.save(music / "mono.wav", np.zeros(RATE // 2, np.float32), RATE)
    assert load(music, "mono.wav").songs[0].shape == (1, RATE // 2)
    assert decoded[2:] == ["mono.wav"]


def test_a_song_that_cannot_be_read_is_reported_and_left_out(music):
    told = []
    songs = load(music, "corrupt.flac", "mono.wav", "absent.wav", report=told.append)
    assert len(songs.songs) == 1
    notes = [one.note for one in told if one.note.startswith("left out")]
    assert len(notes) == 2
    assert "corrupt.flac" in notes[0]
    assert "absent.wav" in notes[1]
    assert (told[-1].done, told[-1].total) == (3, 3)


def test_music_of_which_nothing_can_be_read_is_refused(music):
    with pytest.raises(BadManifest, match="none of the 2 songs"):
        load(music, "corrupt.flac", "absent.wav")


def test_a_song_may_have_the_longest_name_that_a_folder_holds(music):
    name = "é" * 120 + ".wav"  # 244 bytes of the 255 that file systems allow
    (music / "mono.wav").rename(music / name)
    songs = load(music, name)
    assert len(songs.songs) == 1
    assert all(len(os.fsencode(path.name)) <= 255 for path in (music / "cache").iterdir())
