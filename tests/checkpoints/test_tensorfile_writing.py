"""Safetensors files written tensor by tensor."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from jukectl.checkpoints.tensorfile import Described, SafetensorsWriter, narrowed
from jukectl.errors import BadModel


def write(path, tensors, order, pieces=1, finish=True):
    with path.open("wb") as file:
        described = {name: Described(tuple(one.shape), one.dtype) for name, one in tensors.items()}
        writer = SafetensorsWriter(file, described, {"format": "pt"})
        for name in order:
            for piece in tensors[name].reshape(-1).chunk(pieces):
                writer.add(name, piece)
        if finish:
            writer.finish()


@pytest.mark.parametrize("pieces", [1, 3])
def test_safetensors_written_in_any_order_are_read_by_the_library(pieces, tmp_path):
    tensors = {
        "odd": torch.randn(7).half(),  # an odd number of short numbers, before the wider ones by name
        "wide": torch.randn(3, 5),
        "wider": torch.randn(2).double(),
        "brain": torch.randn(4, 1, 3).bfloat16(),
        "scalar": torch.randn(()),
        "Ünö": torch.randn(2),
    }
    write(tmp_path / "a.safetensors", tensors, reversed(list(tensors)), pieces)
    found = load_file(tmp_path / "a.safetensors")
    assert found.keys() == tensors.keys()
    assert all(found[name].dtype == one.dtype and torch.equal(found[name], one) for name, one in tensors.items())
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_the_writer_refuses_to_finish_with_a_missing_tensor(tmp_path):
    with pytest.raises(ValueError, match="b was not written as it was announced"):
        write(tmp_path / "a.safetensors", {"a": torch.ones(2), "b": torch.ones(3)}, ["a"])


@pytest.mark.parametrize(("value", "dtype"), [(7e4, torch.float16), (-7e4, torch.float16), (3.4e38, torch.bfloat16)])
def test_numbers_too_large_for_a_narrower_type_are_refused(value, dtype):
    with pytest.raises(BadModel, match=r"^big does not fit b?float16: its numbers are too large"):
        narrowed(torch.tensor([0.0, value]), dtype, "big")
    assert narrowed(torch.tensor([float("inf")]), dtype, "big").isinf()  # as it was
    assert torch.equal(narrowed(torch.tensor([1.5]), dtype, "small"), torch.tensor([1.5], dtype=dtype))
