"""The same model through all formats has the same numbers: Hugging Face to ours and back, original files to ours."""

import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

PARTS = ("vqvae", "top", "middle", "bottom")
TIED = ("embed_tokens", "fc_proj_out")  # of a prior, where a file may hold either or both


def original_files():
    """The script that writes them, by a table of names of its own."""
    path = Path(__file__).parents[2] / "scripts/parity/original.py"
    spec = importlib.util.spec_from_file_location("original", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tensors_in(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a folder in Hugging Face layout."""
    tensors = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".bin":
            tensors |= torch.load(path, weights_only=True)
        elif path.suffix == ".safetensors":
            tensors |= load_file(path)
    return tensors


def parts_of(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {part: load_file(folder / f"{part}.safetensors") for part in PARTS}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_there_and_back_again(golden, native, command, tmp_path):
    command("models", "convert", native, tmp_path / "back", "--to", "huggingface")
    found, expected = tensors_in(tmp_path / "back"), tensors_in(golden.model)
    for name in [name for name in {**found, **expected} if any(one in name for one in TIED)]:
        there, back = TIED if TIED[0] in name else TIED[::-1]
        for tensors in (found, expected):  # of a tied pair one is enough
            tensors.setdefault(name, tensors.get(name.replace(there, back)))
    assert_same(found, expected)
    command("models", "convert", tmp_path / "back", tmp_path / "again")
    for part, tensors in parts_of(native).items():
        assert_same(parts_of(tmp_path / "again")[part], tensors)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_original_files(golden, native, command, tmp_path, prefix):
    save(golden, tmp_path / "original", prefix=prefix)
    convert(golden, command, tmp_path)
    for part, tensors in parts_of(native).items():
        assert_same(parts_of(tmp_path / "converted")[part], tensors)


def test_original_files_with_matrices_in_half_precision(golden, native, command, tmp_path):
    save(golden, tmp_path / "original", half=True)
    convert(golden, command, tmp_path)
    for part, tensors in parts_of(native).items():
        found = parts_of(tmp_path / "converted")[part]
        for name, tensor in tensors.items():
            matrix = ("transformer." in name or ".project." in name) and tensor.dim() == 2
            matrix = part != "vqvae" and matrix
            assert torch.equal(found[name].float(), tensor.half().float() if matrix else tensor), name


def save(golden, folder, **how):
    tensors = tensors_in(golden.model)
    for level in range(3):  # both names of a tied pair, as the original has them
        names = [f"priors.{level}.prior.{one}.weight" for one in TIED]
        for name, other in (names, names[::-1]):
            tensors.setdefault(name, tensors.get(other))
    downs = golden.vqvae.config.downs
    original_files().save_original(tensors, downs, folder, **how)


def convert(golden, command, folder):
    command(
        "models", "convert", folder / "original", folder / "converted", "--config", golden.model / "config.json"
    )  # fmt: skip
