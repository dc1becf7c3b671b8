"""Vocals and accompaniment of songs and recordings, with a stand-in for demucs."""

import sys
from pathlib import Path

import numpy as np
import pytest

from jukectl.alignment.stems import StemOptions, separate, stems_of_recording, stems_of_song
from jukectl.audio import io
from jukectl.audio.mix import resample, to_stereo
from jukectl.errors import BadAudio, BadInput, MissingTool


class HalfIsVoice:
    """A separator that takes half of the mix for the voice, in stereo and at its own rate."""

    sample_rate = 32_000

    def voices(self, samples, sample_rate):
        return resample(to_stereo(samples), sample_rate, self.sample_rate) / 2

    def vocals(self, samples, sample_rate):
        return self.voices(samples, sample_rate).mean(axis=0)


def noise(channels: int, length: int = 8_000) -> np.ndarray:
    smooth = np.convolve(np.random.default_rng(3).standard_normal(length * channels), np.ones(8) / 8, "same")
    return (0.3 * smooth.reshape(channels, length)).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_stems_have_the_form_of_the_mix_and_add_up_to_it(channels):
    mix = noise(channels)
    vocals, rest = separate(mix, 16_000, HalfIsVoice())
    assert vocals.shape == rest.shape == mix.shape
    assert np.abs(vocals + rest - mix).max() < 1e-6
    if channels < 3:
        assert np.abs(vocals - mix / 2)[:, 100:-100].max() < 0.02


def test_stems_over_full_scale_are_scaled_down_together():
    class Loud(HalfIsVoice):
        def voices(self, samples, sample_rate):
            return -4 * super().voices(samples, sample_rate)

    mix = noise(1)
    vocals, rest = separate(mix, 32_000, Loud())
    assert max(np.abs(vocals).max(), np.abs(rest).max()) == pytest.approx(1)
    scale = np.abs(vocals + rest).max() / np.abs(mix).max()
    assert np.abs(vocals + rest - scale * mix).max() < 1e-6


def test_a_songs_stems_go_to_its_folder_and_are_removed_with_its_audio(song):
    written = stems_of_song(song.path, separator=HalfIsVoice())
    names = [f"{number}-{stem}.wav" for number in (0, 1) for stem in ("vocals", "accompaniment")]
    assert written == [song.path / "audio" / name for name in names]
    mix = io.load(song.audio_path(1))
    vocals, rest = (io.load(path) for path in written[2:])
    assert vocals.sample_rate == rest.sample_rate == mix.sample_rate
    assert np.abs(vocals.samples + rest.samples - mix.samples).max() < 3 / 2**15
    with song.lock():
        song.clear()
    assert not any(path.exists() for path in written)


def test_one_sample_in_another_format(song):
    written = stems_of_song(song.path, StemOptions(format="flac"), sample=1, separator=HalfIsVoice())
    assert [path.name for path in written] == ["1-vocals.flac", "1-accompaniment.flac"]
    with pytest.raises(BadInput, match="has the samples 0 to 1; got --sample 2"):
        stems_of_song(song.path, sample=2, separator=HalfIsVoice())


def test_a_draft_has_no_final_audio_to_separate(song):
    for number in (0, 1):
        song.audio_path(number).unlink()
    with pytest.raises(BadInput, match=r"no final audio to separate\. Make it with: jukectl upsample"):
        stems_of_song(song.path, separator=HalfIsVoice())


def test_a_recordings_stems_lie_beside_it(tmp_path: Path):
    io.save(tmp_path / "riff.flac", noise(2), 16_000)
    written = stems_of_recording(tmp_path / "riff.flac", tmp_path / "riff", separator=HalfIsVoice())
    assert [path.name for path in written] == ["riff-vocals.wav", "riff-accompaniment.wav"]
    assert io.load(written[0]).samples.shape == (2, 8_000)
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(BadAudio):
        stems_of_recording(tmp_path / "text.wav", tmp_path / "text", separator=HalfIsVoice())


def test_without_demucs_the_message_names_the_extra_alone(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "demucs.apply", None)
    io.save(tmp_path / "riff.wav", noise(1), 16_000)
    with pytest.raises(MissingTool, match=r"pip install 'jukectl\[stems\]'$"):
        stems_of_recording(tmp_path / "riff.wav", tmp_path / "riff")
