"""The voice out of a mix, with a stand-in for a demucs model that is used as one."""

import hashlib
import json
import sys

import numpy as np
import pytest
import torch

from jukectl.alignment.separation import DemucsSeparator
from jukectl.errors import BadModel, CannotFetch, MissingTool


class LeftIsVoice:
    """A model of two stems: what is on the left and what is on the right."""

    sources = ("drums", "vocals")
    samplerate = 8_000
    audio_channels = 2


def apply_left(model, mix, **options):
    """In place of demucs.apply.apply_model: (1, 2, N) to (1, 2 sources, 2, N)."""
    assert options == {"shifts": 0, "split": True, "device": "cpu"}
    assert mix.shape[:2] == (1, 2)
    assert abs(float(mix.mean())) < 1e-3  # as demucs wants it
    assert abs(float(mix.std()) - 1) < 1e-2
    left, right = mix[:, :1], mix[:, 1:]
    return torch.stack([right.expand(-1, 2, -1), left.expand(-1, 2, -1)], dim=1)


def test_the_voice_has_the_models_rate_and_the_original_loudness():
    separator = DemucsSeparator(LeftIsVoice(), apply_left)
    time = np.arange(16_000) / 16_000
    voice, band = np.sin(2 * np.pi * 440 * time) * 0.5, np.sin(2 * np.pi * 660 * time) * 0.1 + 0.05
    found = separator.vocals(np.stack([voice, band]).astype(np.float32), 16_000)
    expected = np.sin(2 * np.pi * 440 * np.arange(8_000) / 8_000) * 0.5
    assert separator.sample_rate == 8_000
    assert found.dtype == np.float32
    assert found.shape == (8_000,)
    assert np.abs(found - expected)[100:-100].max() < 0.01


def test_mono_becomes_stereo_and_silence_stays_silent():
    separator = DemucsSeparator(LeftIsVoice(), apply_left)
    noise = np.random.default_rng(0).standard_normal((1, 8_000)).astype(np.float32)
    assert np.allclose(separator.vocals(noise, 8_000), noise[0], atol=1e-5)
    silence = DemucsSeparator(LeftIsVoice(), lambda model, mix, **_: torch.zeros(1, 2, *mix.shape[1:]))
    assert not silence.vocals(np.zeros((2, 100), dtype=np.float32), 8_000).any()


def test_a_separator_without_vocals_is_refused():
    model = LeftIsVoice()
    model.sources = ("drums", "bass")
    with pytest.raises(BadModel, match="separates drums, bass, but not vocals"):
        DemucsSeparator(model, apply_left)


def test_without_demucs_the_message_names_both_alternatives(monkeypatch):
    monkeypatch.setitem(sys.modules, "demucs", None)
    monkeypatch.setitem(sys.modules, "demucs.apply", None)
    with pytest.raises(MissingTool, match=r"pip install 'jukectl\[align\]'.*--no-separate"):
        DemucsSeparator.load(None)


# With demucs itself, where it is installed


@pytest.fixture(scope="module")
def tiny():
    """A demucs model of random weights: its class, arguments and state."""
    pytest.importorskip("demucs")
    from demucs.htdemucs import HTDemucs

    arguments = {"sources": ["drums", "vocals"], "channels": 16, "depth": 2, "nfft": 1_024, "t_layers": 1, "t_heads": 2}
    arguments |= {"bottom_channels": 0, "samplerate": 8_000, "segment": 2}
    torch.manual_seed(0)
    return HTDemucs, arguments, HTDemucs(**arguments).state_dict()


def test_weights_are_read_from_files_and_folders_of_both_kinds(tiny, tmp_path):
    from safetensors.torch import save_file

    kind, arguments, state = tiny
    torch.save({"klass": kind, "args": (), "kwargs": arguments, "state": state}, tmp_path / "model.th")
    sha = hashlib.sha256((tmp_path / "model.th").read_bytes()).hexdigest()[:8]
    folder = tmp_path / "bag"
    folder.mkdir()
    old = (tmp_path / "model.th").rename(folder / f"one-{sha}.th")
    (folder / "both.yaml").write_text("models: ['one']\n")
    new = tmp_path / "model.safetensors"
    about = {"klass": "demucs.htdemucs.HTDemucs", "args": "[]", "kwargs": json.dumps(arguments)}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, new, metadata=about)
    mix = np.random.default_rng(0).standard_normal((2, 8_000)).astype(np.float32)
    heard = [DemucsSeparator.load(str(path)).vocals(mix, 8_000) for path in (old, folder, new)]
    assert all(np.array_equal(heard[0], one) for one in heard[1:])
    old.write_bytes(old.read_bytes() + b"\0")
    with pytest.raises(BadModel, match="damaged"):
        DemucsSeparator.load(str(old))


def test_files_that_are_not_weights_are_refused_without_running_code(tiny, tmp_path):
    from pathlib import Path

    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"klass": Trap()}, tmp_path / "trap.th")
    (tmp_path / "empty").mkdir()
    for name, said in (("trap.th", "no demucs model"), ("empty", "has 0 .yaml"), ("gone.th", "is not there")):
        with pytest.raises(BadModel, match=said):
            DemucsSeparator.load(str(tmp_path / name))
    assert not (tmp_path / "sprung").exists()


def test_an_unreachable_hub_is_reported_with_alternatives(tiny, monkeypatch):
    import demucs.hf

    def unreachable(name):
        raise OSError("no route to host")

    monkeypatch.setattr(demucs.hf, "get_hf_model", unreachable)
    with pytest.raises(CannotFetch, match=r"weights of htdemucs .*no route to host.*--separator FOLDER.*--no-separate"):
        DemucsSeparator.load(None)
