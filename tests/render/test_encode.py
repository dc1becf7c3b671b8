"""Recordings to codes: what is heard of them, and at which levels it is kept."""

import numpy as np
import pytest
import soundfile
import torch

from jukectl.api import Request, encode
from jukectl.audio import io
from jukectl.checkpoints import catalogue
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.errors import BadAudio, RecipeDiffers

RATE = 8_000  # Hz


@pytest.mark.parametrize("level", TOP_DOWN)
def test_codes_are_those_of_the_codec_for_the_mean_of_the_channels(riff, tiny_model, tmp_path, level):
    encode(riff, tmp_path / "song", Request(model=str(tiny_model)))
    codes = Song(tmp_path / "song").codes(level)
    mono = io.load(riff).samples.mean(axis=0)[: 62 * 256]  # whole top codes
    vqvae = catalogue.find(str(tiny_model)).vqvae(torch.device("cpu"))
    assert np.array_equal(codes.array, vqvae.encode(torch.from_numpy(mono)[None], level).numpy())
    assert (codes.prompt, codes.hop, codes.sample_rate) == (codes.done, vqvae.config.hop(level), RATE)


def test_a_part_of_a_recording_at_some_levels(riff, tiny_model, tmp_path):
    request, levels = Request(model=str(tiny_model)), (Level.TOP, Level.BOTTOM)
    result = encode(riff, tmp_path / "song", request, levels=levels, start=0.5, seconds=1.0)
    assert result.codes == (tmp_path / "song/top.npz", tmp_path / "song/bottom.npz")
    assert sorted(path.name for path in result.song.glob("*.npz")) == ["bottom.npz", "top.npz"]
    assert Codes.load(result.codes[0]).done == 31


def test_run_again_it_does_nothing_and_says_so_and_other_levels_are_added(riff, tiny_model, tmp_path):
    assert encode(riff, tmp_path / "song", Request(model=str(tiny_model)), levels=(Level.MIDDLE,)).new
    assert not encode(riff, tmp_path / "song", Request(model=str(tiny_model)), levels=(Level.MIDDLE,)).new
    assert encode(riff, tmp_path / "song", Request(model=str(tiny_model)), levels=(Level.TOP,)).new
    assert Song(tmp_path / "song").recipe().levels == (Level.TOP, Level.MIDDLE)


def test_another_recording_in_the_same_folder_is_an_error_unless_overwritten(riff, tiny_model, tmp_path):
    encode(riff, tmp_path / "song", Request(model=str(tiny_model)))
    with pytest.raises(RecipeDiffers, match=r"prompt\.seconds: 2.0 here, 1.0 asked"):
        encode(riff, tmp_path / "song", Request(model=str(tiny_model)), seconds=1.0)
    assert encode(riff, tmp_path / "song", Request(overwrite=True, model=str(tiny_model)), seconds=1.0).new
    assert Song(tmp_path / "song").codes(Level.TOP).done == 31


def test_an_unreadable_recording_overwrites_nothing(riff, tiny_model, tmp_path):
    encode(riff, tmp_path / "song", Request(model=str(tiny_model)))
    with pytest.raises(BadAudio):
        encode(tmp_path / "missing.wav", tmp_path / "song", Request(overwrite=True, model=str(tiny_model)))
    assert Song(tmp_path / "song").codes(Level.TOP).done == 62


@pytest.mark.parametrize(
    ("rate", "channels", "seconds"), [(8_000, 1, 0.1), (8_000, 1, 1.0), (96_000, 6, 0.5), (44_100, 2, 0.51)]
)
def test_odd_but_valid_audio_just_works(tiny_model, tmp_path, rate, channels, seconds):
    samples = np.random.default_rng(0).normal(scale=0.1, size=(round(rate * seconds), channels))
    soundfile.write(tmp_path / "odd.wav", samples, rate)
    encode(tmp_path / "odd.wav", tmp_path / "song", Request(model=str(tiny_model)))
    assert Song(tmp_path / "song").codes(Level.TOP).done == int(seconds * RATE // 256)


def test_silence_has_codes_too(tiny_model, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    encode(tmp_path / "silence.wav", tmp_path / "song", Request(model=str(tiny_model)))
    assert len(np.unique(Song(tmp_path / "song").codes(Level.TOP).array[0, 8:-8])) == 1


def test_less_than_one_top_code_is_too_short(tiny_model, tmp_path):
    soundfile.write(tmp_path / "click.wav", np.full(200, 0.1), RATE)
    with pytest.raises(BadAudio, match=r"too short: 0\.025 s, and one top code spans 0\.032 s"):
        encode(tmp_path / "click.wav", tmp_path / "song", Request(model=str(tiny_model)))
    assert not (tmp_path / "song").exists()
