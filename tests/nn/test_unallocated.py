"""Modules of which only the shapes are wanted are made without memory, random numbers or torch's compiler."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from jukectl.nn.unallocated import unallocated


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(3, 5),
        lambda: nn.Conv1d(3, 5, 2),
        lambda: nn.Embedding(3, 5),
        lambda: nn.Embedding(3, 5, _weight=torch.empty(3, 5).normal_(std=0.1)),
        lambda: nn.LayerNorm(5),
    ],
)
def test_an_unallocated_module_has_the_tensors_of_the_module_but_no_memory(make):
    with unallocated():
        found = make().state_dict()
    assert {name: (one.shape, one.dtype) for name, one in found.items()} == {
        name: (one.shape, one.dtype) for name, one in make().state_dict().items()
    }
    assert {one.device.type for one in found.values()} == {"meta"}


def test_modules_made_after_an_unallocated_one_have_initial_weights():
    with unallocated():
        nn.Linear(3, 5)
    assert float(nn.Linear(30, 50).weight.detach().std()) > 0.01


def test_loading_a_model_does_not_import_the_compiler_of_torch(tiny_model):
    """Which takes 1.5 s, each time that jukectl starts."""
    code = """
import sys
from pathlib import Path
import torch
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
model = ModelFolder(Path(sys.argv[1]))
for level in Level:
    model.prior(level, torch.device("cpu"))
model.vqvae(torch.device("cpu"))
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, tiny_model], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
