"""A music folder with every kind of damage: from scan to training, problems are reported and the rest is used."""

import shutil

import numpy as np
import pytest
import soundfile

from jukectl.api import encode_manifest
from jukectl.data.manifest import Manifest, Track
from jukectl.data.scan import scan
from jukectl.progress import Progress, ignore
from jukectl.training.runs import train_prior, train_vqvae


def noise(seed, seconds, rate, channels=1):
    return np.random.default_rng(seed).normal(scale=0.1, size=(round(seconds * rate), channels))


@pytest.fixture
def bad_manifest(tmp_path, riff):
    """Good songs of several rates and channels, and after the scan one is gone, one is cut off, one holds NaN."""
    folder = tmp_path / "bad"
    folder.mkdir()
    shutil.copy(riff, folder / "riff.wav")
    soundfile.write(folder / "fast.flac", noise(1, 1.5, 96_000), 96_000)
    soundfile.write(folder / "surround.flac", noise(2, 1.5, 22_050, 6), 22_050)
    for number, name in enumerate(("gone.wav", "cut.flac", "nan.wav")):
        soundfile.write(folder / name, noise(3 + number, 1.5, 8_000), 8_000)
    (folder / "riff.toml").write_text('artist = "Ada"\ngenres = ["", " "]\n')
    found = scan(folder, folder / "manifest.jsonl", ignore, held_out_share=0).manifest
    never = Track(path="never.wav", seconds=1.0, sample_rate=8_000, channels=1)
    Manifest(folder, (*found.tracks, never)).save(folder / "manifest.jsonl")
    (folder / "gone.wav").unlink()
    (folder / "cut.flac").write_bytes((folder / "cut.flac").read_bytes()[:60])
    broken = noise(5, 1.5, 8_000)
    broken[100] = np.inf
    soundfile.write(folder / "nan.wav", broken, 8_000, subtype="FLOAT")
    return folder / "manifest.jsonl"


TROUBLES = ("cut.flac", "gone.wav", "nan.wav", "never.wav")


def test_a_codec_is_trained_on_the_readable_songs(bad_manifest, codec_recipe):
    events = []
    settings = [f'data.manifest="{bad_manifest.as_posix()}"', "data.held_out=[]", "train.steps=4"]
    weights = train_vqvae(codec_recipe, settings, events.append)
    assert weights.is_file()
    notes = {one.note for one in events if isinstance(one, Progress) and one.note.startswith("left out")}
    assert all(any(name in note for note in notes) for name in TROUBLES)


def test_a_prior_is_trained_on_the_readable_songs(bad_manifest, prior_recipe, tiny_model, tmp_path):
    result = encode_manifest(bad_manifest, tmp_path / "encoded", model=str(tiny_model))
    assert result.encoded == 3
    assert all(any(name in line for line in result.skipped) for name in TROUBLES)
    settings = [f'data.codes="{(tmp_path / "encoded").as_posix()}"', "data.held_out=[]", "train.steps=4"]
    assert train_prior(prior_recipe, settings, ignore).is_file()
