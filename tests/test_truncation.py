"""Files whose end is missing are said to be cut short, by every reader of such files."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from jukectl.checkpoints.tensorfile import SafetensorsFile
from jukectl.checkpoints.torchfile import TorchFile
from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.errors import BadModel, NotCodes
from jukectl.training.checkpointing import damage
from jukectl.truncation import cut_short

TENSORS = {"b": torch.arange(40.0), "a": torch.ones(7, 3)}


def test_a_safetensors_file_is_cut_short_wherever_it_ends(tmp_path: Path):
    path, whole = tmp_path / "a.safetensors", save(TENSORS)
    path.write_bytes(whole)
    assert cut_short(path) is None
    header = 8 + int.from_bytes(whole[:8], "little")
    for size in range(9, len(whole)):
        path.write_bytes(whole[:size])
        assert cut_short(path) == (
            f"it is cut short: {size} of its {len(whole) if size >= header else header} bytes are there. "
            "Copy or fetch it again"
        )
        with pytest.raises(BadModel, match="is damaged: it is cut short"):
            SafetensorsFile(path).describe()


def test_an_archive_is_cut_short_wherever_it_ends(tmp_path: Path):
    path = tmp_path / "a.pt"
    torch.save(TENSORS, path)
    whole = path.read_bytes()
    assert cut_short(path) is None
    for size in range(4, len(whole), 5):
        path.write_bytes(whole[:size])
        assert cut_short(path) == "it is cut short: its end is missing. Copy or fetch it again"
        assert damage(path) == cut_short(path)
        with pytest.raises(BadModel, match="is damaged: it is cut short"):
            TorchFile(path).describe()


def test_an_archive_that_claims_to_be_on_several_disks_is_refused_in_one_line(tmp_path: Path):
    path = tmp_path / "a.pt"
    torch.save(TENSORS, path)
    whole = path.read_bytes()
    end = whole.rindex(b"PK\5\6")
    path.write_bytes(whole[:end] + b"PK\6\7" + bytes(12) + (5).to_bytes(4, "little") + whole[end:])
    assert cut_short(path) is None
    assert damage(path) is not None
    with pytest.raises(BadModel, match="is damaged"):
        TorchFile(path).describe()
    with pytest.raises(NotCodes):
        Codes.load(path)


def test_codes_that_are_cut_short_are_called_so(tmp_path: Path):
    path = tmp_path / "top.npz"
    array = np.zeros((1, 9), dtype=np.uint16)
    codes = Codes(level=Level.TOP, array=array, prompt=0, hop=128, sample_rate=8_000, codebook_size=8, vqvae="00")
    codes.save(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(NotCodes, match="it is cut short: its end is missing"):
        Codes.load(path)


def header(**tensors: object) -> bytes:
    """A safetensors file of a header alone."""
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"\x93NUMPY",
        b"\xff" * 20,
        header(),
        header(a=3),
        header(a={"data_offsets": [0]}),
        header(a={"data_offsets": [0, 1e9]}),
        header(a={"data_offsets": [0, -9]}),
        header(__metadata__={"data_offsets": [0, 99]}),
        header()[:8] + b"[]",
    ],
)
def test_other_damage_is_not_called_cut_short(content: bytes, tmp_path: Path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    assert cut_short(path) is None


def test_only_regular_files_are_looked_at(tmp_path: Path):
    assert cut_short(tmp_path) is None
    assert cut_short(tmp_path / "gone") is None
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    assert cut_short(tmp_path / "empty.zip") is None
    (tmp_path / "nothing").touch()
    assert cut_short(tmp_path / "nothing") == "it is empty. Copy or fetch it again"
