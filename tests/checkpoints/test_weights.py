"""Tensors by our names: matched first, then read piece by piece, in little memory."""

import json
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from jukectl.checkpoints import weights as module
from jukectl.checkpoints.tensorfile import SafetensorsFile
from jukectl.checkpoints.weights import Place, matched
from jukectl.errors import BadModel

CPU = torch.device("cpu")


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    return {"table": torch.randn(50, 8, generator=generator), "bias": torch.randn(3, generator=generator)}


@pytest.fixture
def found(tensors, tmp_path):
    """Return the places of the tensors."""
    file = SafetensorsFile(tmp_path / "a.safetensors")
    save_file(tensors, file.path)
    return {name: Place(file, name, described) for name, described in file.describe().items()}


def whole(weights, name, **options):
    with weights.reading() as reading:
        pieces = [piece.clone() for piece in reading.pieces(name, **options)]
    assert all(piece.dim() == 1 for piece in pieces)
    return torch.cat(pieces).view(weights.shape(name)), len(pieces)


WANTED = {"ours": (50, 8), "ours.bias": (3,)}
NAMES = {"ours": ("other", "table"), "ours.bias": ("bias",)}


@pytest.mark.parametrize(
    ("first_row", "budget"), [(0, 1_000), (0, 10**6), (1, 1), (20, 1_000), (49, 1_000), (20, 10**6)]
)
def test_pieces_have_the_rows_of_a_tensor_in_our_order(first_row, budget, found, tensors, monkeypatch):
    monkeypatch.setattr(module, "SMALLEST_BUDGET", budget)
    monkeypatch.setattr(module, "BUDGETS", 10**9)
    weights = matched(WANTED, found, NAMES.__getitem__, "misfit", {"ours": first_row})
    expected = tensors["table"].roll(-first_row, 0)
    read, pieces = whole(weights, "ours")
    assert torch.equal(read, expected)
    assert pieces == {1: 50, 1_000: -(-first_row // 7) + -(-(50 - first_row) // 7), 10**6: 1 + (first_row > 0)}[budget]
    skipped, _ = whole(weights, "ours", skipped=9)
    assert torch.equal(skipped, expected.roll(-9, 0))
    for dtype in (torch.float32, torch.float16):
        loaded = weights.load(CPU, dtype)
        assert torch.equal(loaded["ours"], expected.to(dtype))
        assert torch.equal(loaded["ours.bias"], tensors["bias"].to(dtype))


def test_unchanged_tensors_are_views_of_the_file(found, tensors):
    weights = matched(WANTED, found, NAMES.__getitem__, "misfit")
    path = found["table"].file.path
    loaded = weights.load(CPU, torch.float32)
    content = path.read_bytes()
    place = content.index(tensors["table"].numpy().tobytes())
    with path.open("r+b") as file:  # a view of the file sees that it changed
        file.seek(place)
        file.write(torch.full((8,), 7.0).numpy().tobytes())
    assert torch.equal(loaded["ours"][0], torch.full((8,), 7.0))


@pytest.mark.parametrize(
    ("wanted", "names", "message"),
    [
        ({**WANTED, "more": (2,)}, {**NAMES, "more": ("absent", "gone")}, "misfit: absent is missing"),
        ({**WANTED, "ours": (8, 50)}, NAMES, r"misfit: table has the shape \(50, 8\), not \(8, 50\)"),
        ({"ours": (50, 8)}, NAMES, "misfit: bias is not known"),
    ],
)
def test_matching_names_the_first_tensor_that_does_not_fit(wanted, names, message, found):
    with pytest.raises(BadModel, match=message):
        matched(wanted, found, names.__getitem__, "misfit")


def test_sizes_of_weights_are_those_of_their_tensors(found):
    weights = matched(WANTED, found, NAMES.__getitem__, "misfit")
    assert (weights.numbers(), weights.bytes(), weights.bytes(torch.bfloat16)) == (403, 1_612, 806)


SUPPORT = Path(__file__).parents[1] / "support"


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks of memory are told by Linux alone")
@pytest.mark.parametrize(("how_much", "count"), [([], 2), pytest.param(["all"], 18, marks=pytest.mark.slow)])
def test_loading_takes_little_memory_besides_the_result(how_much, count, warm_python, tmp_path):
    command = [*warm_python, SUPPORT / "measure_loading.py", tmp_path, *how_much]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shares = json.loads(done.stdout)
    assert len(shares) == count
    loading = {name: share for name, share in shares.items() if " as " in name}
    assert {name: share for name, share in loading.items() if not 0.9 < share <= 1.15} == {}
    assert {name: share for name, share in shares.items() if name not in loading and share > 0.6} == {}
