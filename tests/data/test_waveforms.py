"""Clips of music for the codec."""

import os
import tracemalloc

import numpy as np
import pytest
import soundfile
import torch

from jukectl.audio import io, mix
from jukectl.data.manifest import Track
from jukectl.data.waveforms import FULL_SCALE, Waveforms
from jukectl.errors import BadManifest
from jukectl.progress import ignore

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


def test_clips_depend_on_seed_and_step_only():
    songs = Waveforms([ramp(2, 5_000), ramp(1, 9_000)], RATE)
    first = songs.clips(6, 256, rng(3, 40))
    songs.clips(2, 100, rng(3, 41))
    assert torch.equal(songs.clips(6, 256, rng(3, 40)), first)
    assert not torch.equal(songs.clips(6, 256, rng(3, 41)), first)
    assert not torch.equal(songs.clips(6, 256, rng(4, 40)), first)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_the_rows_of_all_ranks_make_up_the_whole_batch(ranks):
    songs = Waveforms([ramp(2, 5_000), ramp(1, 9_000), ramp(2, 20)], RATE)
    rows = [slice(rank, None, ranks) for rank in range(ranks)]
    whole = songs.clips(6, 256, rng(3, 40))
    for some in rows:
        assert torch.equal(songs.clips(6, 256, rng(3, 40), some), whole[some])


def test_a_clip_is_a_span_of_a_song_and_every_span_is_drawn():
    songs = Waveforms([ramp(1, 40)], RATE)
    clips = positions(songs.clips(500, 32, rng(0)))
    assert torch.all(clips.diff(dim=1) == 1)
    assert sorted(set(clips[:, 0].tolist())) == list(range(9))  # the last sample is in one too


def test_longer_songs_are_drawn_more_often():
    songs = Waveforms([np.full((1, 1_000), 100, np.int16), np.full((1, 3_000), 200, np.int16)], RATE)
    share = (positions(songs.clips(2_000, 16, rng(0)))[:, 0] == 200).double().mean()
    assert float(share) == pytest.approx(0.75, abs=0.04)


def test_stereo_channels_are_mixed_with_random_weights():
    songs = Waveforms([np.stack([np.full(500, 1_000), np.full(500, 3_000)]).astype(np.int16)], RATE)
    levels = positions(songs.clips(300, 8, rng(0)))[:, 0].double()
    assert 1_000 <= levels.min() < 1_100
    assert 2_900 < levels.max() <= 3_000


def test_a_song_shorter_than_a_clip_is_padded_with_silence():
    clips = positions(Waveforms([ramp(2, 10) + 1], RATE).clips(2, 16, rng(0)))
    assert clips.tolist() == [[*range(1, 11), 0, 0, 0, 0, 0, 0]] * 2


def test_the_middle_of_a_song_is_mixed_to_mono_as_for_encoding():
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


def load(music, *names, rate=RATE, listener=ignore):
    return Waveforms.load(music, [track(name) for name in names], rate, music / "cache", listener)


def test_songs_are_resampled_to_the_models_rate_with_up_to_two_channels(music):
    songs = load(music, "mono.wav", "stereo.wav", "surround.flac").songs
    assert [song.shape for song in songs] == [(1, RATE), (2, RATE), (1, RATE)]
    assert np.abs(songs[0] / FULL_SCALE - io.load(music / "mono.wav").samples).max() < 1e-4
    assert load(music, "stereo.wav", rate=2_000).songs[0].shape == (2, 2_000)


def test_a_song_is_decoded_once_and_again_when_its_file_has_changed(music, monkeypatch):
    decoded = []
    honest = io.stream
    monkeypatch.setattr(io, "stream", lambda path: decoded.append(path.name) or honest(path))
    for _ in range(2):
        load(music, "mono.wav", "stereo.wav")
    assert decoded == ["mono.wav", "stereo.wav"]

    io.save(music / "mono.wav", np.zeros(RATE // 2, np.float32), RATE)
    assert load(music, "mono.wav").songs[0].shape == (1, RATE // 2)
    assert decoded[2:] == ["mono.wav"]


def test_a_song_that_cannot_be_read_is_reported_and_left_out(music):
    told = []
    songs = load(music, "corrupt.flac", "mono.wav", "absent.wav", listener=told.append)
    assert len(songs.songs) == 1
    notes = [one.note for one in told if one.note.startswith("left out")]
    assert len(notes) == 2
    assert "corrupt.flac" in notes[0]
    assert "absent.wav" in notes[1]
    assert (told[-1].done, told[-1].total) == (3, 3)


def test_music_without_readable_songs_is_refused(music):
    with pytest.raises(BadManifest, match="none of the 2 songs"):
        load(music, "corrupt.flac", "absent.wav")


def test_a_song_may_have_the_longest_possible_file_name(music):
    name = "é" * 120 + ".wav"  # 244 bytes of the 255 that file systems allow
    (music / "mono.wav").rename(music / name)
    songs = load(music, name)
    assert len(songs.songs) == 1
    assert all(len(os.fsencode(path.name)) <= 255 for path in (music / "cache").iterdir())


@pytest.mark.parametrize("rate", [RATE, 22_050])
def test_decoding_in_blocks_equals_decoding_the_whole_song(music, monkeypatch, rate):
    monkeypatch.setattr(io, "READ_BLOCK", 777)
    whole = io.load(music / "stereo.wav", sample_rate=rate).samples
    (song,) = load(music, "stereo.wav", rate=rate).songs
    assert isinstance(song, np.memmap)
    np.testing.assert_array_equal(song, np.round(mix.limit_peak(whole) * FULL_SCALE))


def test_a_song_above_full_scale_is_scaled_down_as_a_whole(music):
    time = np.arange(RATE) / RATE
    soundfile.write(music / "loud.wav", 3 * np.sin(300 * time), RATE, subtype="FLOAT")
    (song,) = load(music, "loud.wav").songs
    np.testing.assert_allclose(song[0] / FULL_SCALE, 0.999 * np.sin(300 * time), atol=1e-4)


def test_caches_of_earlier_versions_are_read(music):
    load(music, "stereo.wav")
    (kept,) = (music / "cache").iterdir()
    before = np.array(np.load(kept))
    np.save(kept, np.ascontiguousarray(before))
    np.testing.assert_array_equal(load(music, "stereo.wav").songs[0], before)


def test_unreadable_songs_are_reported_and_the_others_used(music):
    broken = np.full(RATE, 0.1, np.float32)
    broken[4_000] = np.nan
    soundfile.write(music / "nan.wav", broken, RATE, subtype="FLOAT")
    soundfile.write(music / "empty.wav", broken[:0], RATE)
    soundfile.write(music / "other_rate.flac", np.full((44_100, 2), 0.1), 44_100)
    names = ("nan.wav", "empty.wav", "absent.wav", "corrupt.flac", "mono.wav", "surround.flac", "other_rate.flac")
    told = []
    songs = load(music, *names, listener=told.append)
    assert [song.shape for song in songs.songs] == [(1, RATE), (1, RATE), (2, RATE)]
    left_out = [one.note for one in told if one.note.startswith("left out")]
    for note, words in zip(left_out, ("0.500 seconds is not", "holds no samples", "absent", "corrupt"), strict=True):
        assert words in note
    assert songs.clips(8, 256, rng(0)).isfinite().all()


def test_without_readable_songs_the_first_reason_is_reported(music):
    with pytest.raises(BadManifest, match=r"none of the 2 songs .*/absent\.wav: No such file"):
        load(music, "absent.wav", "corrupt.flac")


def memory_to_decode(path, seconds, rate):
    """The most bytes that decoding a long song takes at once; it is silent but for the first second of each minute."""
    with soundfile.SoundFile(path, "w", 8_000, 1, format="FLAC", subtype="PCM_16") as file:
        block = np.zeros(8_000 * 60, np.int16)
        block[:8_000] = 5_000
        for _ in range(seconds // 60):
            file.write(block)
    tracemalloc.start()
    try:
        (song,) = load(path.parent, path.name, rate=rate).songs
        assert song.shape == (1, seconds * rate)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_song_of_an_hour_is_decoded_in_little_memory(tmp_path):
    assert memory_to_decode(tmp_path / "long.flac", 3_600, 8_000) < 20e6  # the samples alone are 58 MB


@pytest.mark.slow
def test_a_song_of_ten_hours_is_decoded_in_little_memory(tmp_path):
    assert memory_to_decode(tmp_path / "long.flac", 36_000, 16_000) < 20e6  # the samples alone are 1.15 GB
