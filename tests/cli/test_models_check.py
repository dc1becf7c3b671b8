"""`jukectl models check`."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from model_cards import forget_fingerprints
from safetensors.torch import load_file, save_file

from jukectl.checkpoints import catalogue


@pytest.mark.parametrize("sound", ["chords", "riff"])
def test_the_embedded_model_passes_models_check(sound: str, jukectl: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jukectl.evaluation.check.CODES", 512)
    monkeypatch.setattr("jukectl.evaluation.check.SECONDS", 7.0)
    riff = Path(__file__).parents[2] / "examples/riff.wav"
    facts = jukectl("--json", "models", "check", "mini", *(["--audio", riff] if sound == "riff" else [])).json
    assert facts["good"]
    assert [one["part"] for one in facts["findings"]] == ["vqvae"] * 3 + ["top"] * 3 + ["middle"] * 3 + ["bottom"] * 3


def test_models_check_finds_weights_in_the_wrong_order(
    jukectl: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The tensors are complete and of the right shapes, but the rows of its matrices are in the wrong order."""
    monkeypatch.setattr("jukectl.evaluation.check.CODES", 512)
    monkeypatch.setattr("jukectl.evaluation.check.SECONDS", 7.0)
    broken = forget_fingerprints(shutil.copytree(catalogue.find("mini").path, tmp_path / "broken"))
    tensors = load_file(broken / "top.safetensors")
    mixed = {name: tensor.flip(0) if tensor.dtype is torch.int8 else tensor for name, tensor in tensors.items()}
    save_file(mixed, broken / "top.safetensors")
    answer = jukectl("models", "check", broken, status=1)
    assert answer.err.splitlines()[-1].startswith("jukectl: mini does not work as it should (top: bits per code")
    assert [line.split("|")[-2].strip() for line in answer.out.splitlines()[2:]].count("BAD") >= 1


def test_models_check_fails_for_untrained_weights(jukectl: Callable, tiny_model: Path, riff: Path) -> None:
    torch.manual_seed(0)
    answer = jukectl("models", "check", tiny_model, "--audio", riff, status=1)
    assert "vqvae: top reconstruction" in answer.err
    assert "top: bits per code" in answer.err


def test_models_check_refuses_a_missing_recording(fails: Callable, tmp_path: Path) -> None:
    assert "nothing.wav" in fails("models", "check", "mini", "--audio", tmp_path / "nothing.wav")
