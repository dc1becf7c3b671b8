"""Packed priors in the user's cache: written once, mapped after that, and made again when damaged."""

import subprocess
from pathlib import Path

import pytest
import torch

from jukectl.checkpoints import packed
from jukectl.checkpoints.packed import decoding_prior
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.native.library import library
from jukectl.prior.matrices import PackedPrior
from jukectl.sampling.decoders.choose import decoder_for
from jukectl.sampling.timing import conditioning

pytestmark = pytest.mark.skipif(library() is None, reason="there was no compiler when jukectl was installed")
CPU, PRECISIONS = torch.device("cpu"), {"fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.float32}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """A cache of its own, in which priors of any size are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(packed, "cache_folder", lambda: tmp_path / "packed")
    monkeypatch.setattr("jukectl.prior.matrices.SMALLEST_KEPT", 0)


def load(model: Path, level: Level = Level.TOP, precision: str = "int8", listener=lambda event: None):
    return decoding_prior(ModelFolder(model), level, CPU, PRECISIONS[precision], precision, listener)


def codes(prior, precision: str = "int8") -> torch.Tensor:
    settings = LevelSampling(temperature=1.0)
    decoder = decoder_for(prior, 2, settings, int8=precision == "int8", threads=1)
    decoder.begin(torch.zeros(2, 3, dtype=torch.int64), conditioning(prior, 2))
    return decoder.decode(torch.rand(2, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("level", [Level.TOP, Level.BOTTOM])
def test_a_packed_prior_samples_the_codes_of_the_whole_one(tiny_model, level, precision):
    whole = ModelFolder(tiny_model).prior(level, CPU, PRECISIONS[precision])
    first, again = load(tiny_model, level, precision), load(tiny_model, level, precision)
    assert isinstance(again, PackedPrior)
    expected = codes(whole, precision)
    assert torch.equal(codes(first, precision), expected)
    assert torch.equal(codes(again, precision), expected)


def test_a_large_prior_is_packed_once_and_its_matrices_are_not_loaded_by_torch(tiny_model):
    events = []
    load(tiny_model, listener=events.append)
    load(tiny_model, listener=events.append)
    assert [event.stage for event in events] == ["pack"]
    prior = load(tiny_model)
    assert {name for name, one in prior.named_parameters() if one.is_meta} == {
        f"transformer.blocks.{block}.{layer}.{kind}"
        for block in range(prior.config.depth)
        for layer in ("attention.qkv", "attention.out", "mlp_in", "mlp_out")
        for kind in ("weight", "bias")
    }


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 3
    if how == "flipped":
        content[middle] ^= 4
    elif how == "cut off":
        del content[middle:]
    elif how == "empty":
        content.clear()
    elif how == "of another version":
        content = content.replace(b'"version": 1', b'"version": 0')
    else:  # the table of another file
        content = content.replace(b'"inputs": ', b'"inputs":-')
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["flipped", "cut off", "empty", "of another version", "of other sizes"])
def test_a_damaged_file_is_made_again(tiny_model, how):
    expected = codes(load(tiny_model))
    (one,) = packed.cached()
    intact = one.path.read_bytes()
    damage(one.path, how)
    assert one.path.read_bytes() != intact
    events = []
    assert torch.equal(codes(load(tiny_model, listener=events.append)), expected)
    assert [event.stage for event in events] == ["pack"]
    assert one.path.read_bytes() == intact


def test_two_processes_may_pack_at_once(tiny_model, warm_python, tmp_path):
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_packed import codes, load, packed
packed.cache_folder = lambda: Path({str(tmp_path / "packed")!r})
import jukectl.prior.matrices
jukectl.prior.matrices.SMALLEST_KEPT = 0
print(codes(load(Path({str(tiny_model)!r}))).tolist())
"""
    both = [subprocess.Popen([*warm_python, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [one.communicate(timeout=300)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert outputs[0] == outputs[1] == f"{codes(load(tiny_model)).tolist()}\n"
    assert len(packed.cached()) == 1


def test_a_cache_that_cannot_be_written_costs_time_alone(tiny_model, tmp_path):
    (tmp_path / "packed").write_text("in the way")
    events = []
    prior = load(tiny_model, listener=events.append)
    assert isinstance(prior, PackedPrior)
    assert "packed again each time" in events[-1].text
    (tmp_path / "packed").unlink()
    assert torch.equal(codes(prior), codes(load(tiny_model)))


def test_the_cache_is_listed_and_cleared(tiny_model):
    load(tiny_model, Level.TOP)
    load(tiny_model, Level.BOTTOM, "bf16")
    assert {(one.level, one.precision) for one in packed.cached()} == {("top", "int8"), ("bottom", "bf16")}
    assert all(one.bytes > 1_000 for one in packed.cached())
    assert len(packed.clear()) == 2
    assert packed.cached() == []


def test_small_priors_are_not_kept(tiny_model, monkeypatch):
    monkeypatch.setattr("jukectl.prior.matrices.SMALLEST_KEPT", 2**26)
    assert not isinstance(load(tiny_model), PackedPrior)
    assert packed.cached() == []
