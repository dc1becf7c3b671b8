"""Codes to audio: every level, every format, and refusals where the codes are not the model's."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from jukectl.api import Request, decode, encode
from jukectl.audio import io
from jukectl.checkpoints import catalogue
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.errors import BadInput, BadModel, CannotWrite, NotASong, NotCodes, WrongCodec

RATE = 8_000  # Hz


@pytest.fixture
def encoded(riff, tiny_model, tmp_path):
    """The riff in codes."""
    encode(riff, tmp_path / "riff", Request(model=str(tiny_model)))
    return Song(tmp_path / "riff")


@pytest.mark.parametrize("level", TOP_DOWN)
def test_a_level_is_decoded_to_the_length_of_what_was_encoded(encoded, tiny_model, level):
    (path,) = decode(encoded.path, level=level)
    assert path == (encoded.audio_path(0) if level is Level.BOTTOM else encoded.preview_path(level, 0))
    samples, rate = soundfile.read(path, dtype="float32")
    assert (samples.shape, rate) == ((62 * 256,), RATE)
    vqvae = catalogue.find(str(tiny_model)).vqvae(torch.device("cpu"))
    codes = torch.from_numpy(encoded.codes(level).array.astype(np.int64))
    assert np.allclose(samples, vqvae.decode(codes, level)[0].numpy(), atol=1e-4)


def test_by_default_the_finest_level_with_all_of_the_music(encoded):
    encoded.save(encoded.codes(Level.BOTTOM).cut(100))
    assert decode(encoded.path) == [encoded.preview_path(Level.MIDDLE, 0)]
    encoded.codes_path(Level.MIDDLE).unlink()
    assert decode(encoded.path) == [encoded.preview_path(Level.TOP, 0)]


@pytest.mark.parametrize("format_", ["wav", "flac", "ogg", "mp3"])
def test_every_format_holds_the_same_music(song, format_):
    paths = decode(song.path, format=format_)
    assert paths == [song.audio_path(number, f".{format_}") for number in range(2)]
    for number, path in enumerate(paths):
        samples, whole = io.load(path).samples[0], io.load(song.audio_path(number)).samples[0]
        close = slice(0, min(len(samples), len(whole)))
        assert abs(len(samples) - len(whole)) < 2_500  # mp3 pads
        if format_ == "flac":
            assert np.array_equal(samples, whole)
        elif format_ == "ogg":
            assert np.corrcoef(samples[close], whole[close])[0, 1] > 0.9


def test_one_sample_alone(song):
    shutil.rmtree(song.path / "audio")
    assert decode(song.path, sample=1) == [song.audio_path(1)]
    assert not song.audio_path(0).exists()
    with pytest.raises(BadInput, match="samples 0 to 1; got --sample 2"):
        decode(song.path, sample=2)


def test_an_archive_of_the_folder_names_its_level(song):
    assert decode(song.codes_path(Level.TOP)) == [song.preview_path(Level.TOP, number) for number in range(2)]


def test_an_archive_that_is_not_the_level_asked_for_or_not_called_after_it_is_refused(song):
    with pytest.raises(BadInput, match="holds top codes, and --level asks for others"):
        decode(song.codes_path(Level.TOP), level=Level.BOTTOM)
    copy = shutil.copy(song.codes_path(Level.TOP), song.path / "old-top.npz")
    with pytest.raises(BadInput, match=r"copy it to top\.npz"):
        decode(copy)
    with pytest.raises(NotCodes, match="no file"):
        decode(song.path / "missing.npz")


def test_codes_without_a_recipe_need_the_name_of_their_model(song, tiny_model, other_model, tmp_path):
    other = Song.create(tmp_path / "other")
    shutil.copy(song.codes_path(Level.MIDDLE), other.path)
    with pytest.raises(WrongCodec, match=r"VQ-VAE \w{12}, and tiny's is \w{12}. .*--model.*--force"):
        decode(other.path, Request(model=str(other_model)))
    assert len(decode(other.path, Request(model=str(tiny_model)))) == 2
    before = other.preview_path(Level.MIDDLE, 0).read_bytes()
    decode(other.path, Request(model=str(other_model), force=True))
    assert other.preview_path(Level.MIDDLE, 0).read_bytes() != before


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"format": "aiff"}, BadInput),
        ({"request": {"loudness": float("nan")}}, BadInput),
        ({"request": {"device": "tpu"}}, BadInput),
        ({"request": {"model": "no such model"}}, BadModel),
    ],
)
def test_an_invalid_option_is_refused_before_anything_is_written(song, options, error):
    shutil.rmtree(song.path / "audio")
    with pytest.raises(error):
        decode(song.path, Request(**options.pop("request", {})), **options)
    assert not (song.path / "audio").exists()


def test_a_level_that_is_not_there_or_empty_is_said_to_be(song):
    song.save(song.codes(Level.TOP).cut(0))
    song.codes_path(Level.BOTTOM).unlink()
    for level in (Level.TOP, Level.BOTTOM):
        with pytest.raises(NotASong, match=f"no {level.label} codes.*jukectl upsample"):
            decode(song.path, level=level)


def test_a_song_without_codes_is_said_to_have_none(song):
    for level in TOP_DOWN:
        song.codes_path(level).unlink()
    with pytest.raises(NotASong, match=r"no codes yet.*jukectl resume"):
        decode(song.path)


def test_a_place_that_cannot_be_written_is_named(song):
    shutil.rmtree(song.path / "audio")
    (song.path / "audio").write_text("in the way")
    with pytest.raises(CannotWrite, match="audio"):
        decode(song.path)


PEAKS = """
import numpy as np, torch
from jukectl.codes.level import Level
from jukectl.render.decode import waveform
from jukectl.plan.device import Machine
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.model import VQVAE
torch.set_num_threads(1)
config = VQVAEConfig(sample_rate=4_000, widths=(8, 8, 8), depths=(1, 1, 1), latent_width=8, codebook_size=16)
vqvae = VQVAE(config, (Level.BOTTOM,)).requires_grad_(False)

def peak(seconds):
    open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
    codes = np.zeros(round(seconds * config.codes_per_second(Level.BOTTOM)), dtype=np.uint16)
    waveform(vqvae, codes, Level.BOTTOM, Machine(torch.device("cpu"), chunk_seconds=4.0))
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

peak(60)  # what is only needed once
print(peak(60), peak(240), 4 * 4_000 * (240 - 60))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read as Linux gives them")
def test_a_song_four_times_as_long_takes_no_more_memory_but_for_its_audio_and_codes(warm_python):
    done = subprocess.run([*warm_python, "-c", PEAKS], capture_output=True, text=True, timeout=120, check=True)
    short, long, audio = map(int, done.stdout.split())
    assert long - short < 2.2 * audio + 2**20  # codes are int64 in torch: an eighth as many, twice as wide


@pytest.mark.parametrize(("field", "value"), [("sample_rate", 16_000), ("hop", 128)])
def test_codes_whose_rate_or_hop_is_not_that_of_their_codec_are_refused(encoded, field, value):
    encoded.save(replace(encoded.codes(Level.TOP), **{field: value}))
    with pytest.raises(WrongCodec, match=r"top\.npz holds codes .* the file is damaged\. Move it away"):
        decode(encoded.path, level=Level.TOP)


def test_a_level_with_a_wrong_rate_is_refused_though_another_would_be_decoded(encoded):
    encoded.save(replace(encoded.codes(Level.BOTTOM), sample_rate=384_000))  # so that it seems the shortest
    with pytest.raises(WrongCodec, match=r"bottom\.npz holds codes .* the file is damaged\. Move it away"):
        decode(encoded.path)
