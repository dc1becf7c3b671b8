"""Safetensors files, valid and damaged."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from jukectl.checkpoints.tensorfile import Described, SafetensorsFile
from jukectl.errors import BadModel


def written(path, header, numbers=b"\0" * 16, length=None):
    """Write a file with a header, with its true length or a given one."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + numbers)
    return SafetensorsFile(path)


def tensor(start, stop, shape=(4,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


def test_a_safetensors_file_is_described_and_read(tmp_path):
    tensors = {"a": torch.randn(2, 3), "b": torch.randn(4).bfloat16(), "c": torch.randn(()).half()}
    save_file(tensors, tmp_path / "a.safetensors")
    file = SafetensorsFile(tmp_path / "a.safetensors")
    assert file.describe() == {name: Described(tuple(one.shape), one.dtype) for name, one in tensors.items()}
    with file.opened() as read:
        assert all(torch.equal(read(name), one) for name, one in tensors.items())


@pytest.mark.parametrize(
    ("header", "length"),
    [
        ({"a": tensor(0, 16)}, 2**60),
        ({"a": tensor(0, 16)}, 10**9),
        ({"a": tensor(0, 16)}, 3),
        ({"a": tensor(0, 16)}, 0),
        ({"a": tensor(0, 32, (8,))}, None),
        ({"a": tensor(0, 12, (3,))}, None),
        ({"a": tensor(0, 16, (5,))}, None),
        ({"a": tensor(0, 16, (2**40, 2**40))}, None),
        ({"a": tensor(-16, 0)}, None),
        ({"a": tensor(16, 0)}, None),
        ({"a": tensor(0, 16), "b": tensor(0, 16)}, None),
        ({"a": tensor(0, 8, (2,)), "b": tensor(4, 16, (3,))}, None),
        ({"a": tensor(0, 4, (1,)), "b": tensor(8, 16, (2,))}, None),
        ({"a": tensor(0, 16, (4,), "F33")}, None),
        ({"a": 3}, None),
        ([], None),
        (b"{" * 10_000, None),
        (b"\xff\xfe{}", None),
        (b"", None),
    ],
)
def test_an_inconsistent_safetensors_header_is_refused(header, length, tmp_path):
    file = written(tmp_path / "a.safetensors", header, length=length)
    with pytest.raises(BadModel, match=r"a\.safetensors is damaged") as caught:
        file.describe()
    assert "\n" not in str(caught.value)
    with pytest.raises(BadModel), file.opened():
        pass


@pytest.mark.parametrize("dtype", ["I64", "U8", "BOOL", "F8_E4M3"])
def test_safetensors_of_integers_are_refused(dtype, tmp_path):
    shape = {"I64": (2,), "U8": (16,), "BOOL": (16,), "F8_E4M3": (16,)}[dtype]
    with pytest.raises(BadModel, match=f"a in .* holds no weights: its numbers are {dtype}"):
        written(tmp_path / "a.safetensors", {"a": tensor(0, 16, shape, dtype)}).describe()


def test_eight_bits_need_scales_that_fit(tmp_path):
    save_file({"a": torch.ones(3, 2).to(torch.int8), "a.scales": torch.ones(2)}, tmp_path / "a.safetensors")
    with pytest.raises(BadModel, match=r"a\.scales does not fit a"):
        SafetensorsFile(tmp_path / "a.safetensors").describe()
    save_file({"a": torch.ones(3, 2).to(torch.int8)}, tmp_path / "a.safetensors")
    with pytest.raises(BadModel, match=r"a in .* holds no weights: its numbers are I8"):
        SafetensorsFile(tmp_path / "a.safetensors").describe()


def test_a_missing_safetensors_file_and_a_folder_are_reported(tmp_path):
    with pytest.raises(BadModel, match="is missing"):
        SafetensorsFile(tmp_path / "a.safetensors").describe()
    with pytest.raises(BadModel, match="is not a regular file"):
        SafetensorsFile(tmp_path).describe()
