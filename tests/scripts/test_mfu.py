"""The formula behind the utilisation figure, against what torch counts and what the masks say."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from jukectl.codes.level import Level
from jukectl.prior.attention import pattern_mask
from jukectl.prior.config import FACTORED, AttentionKind, PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior

SCRIPT = Path(__file__).parents[2] / "scripts/mfu.py"


def step_flops(config, batch):
    spec = importlib.util.spec_from_file_location("mfu", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.step_flops(config, batch)


@pytest.mark.parametrize("kind", [*FACTORED, AttentionKind.DENSE])
def test_the_operations_of_a_step_are_those_of_its_products_and_of_the_keys_that_are_seen(kind):
    shape: dict[str, Any] = {
        "context": 24,
        "blocks": 4,
        "width": 16,
        "depth": 2,
        "heads": 2,
        "attention_ratio": 0.5,
        "mlp_ratio": 2.0,
    }
    config = PriorConfig(level=Level.TOP, hop=128, codebook_size=40, pattern=(kind,), **shape)
    prior, codes = Prior(config), torch.randint(40, (3, 24))
    with FlopCounterMode(display=False) as counter:
        prior.loss(codes, LabelBatch.repeat(3)).backward()
    counted = counter.get_flop_counts()["Global"]
    products = sum(flops for name, flops in counted.items() if str(name) in ("aten.mm", "aten.addmm"))
    seen = int(pattern_mask(kind, 24, 6).sum())
    attention = 3 * 2 * 2 * seen * config.attention_width * config.depth  # queries by keys, weights by values
    assert step_flops(config, 3) == pytest.approx(products + 3 * attention)


@pytest.mark.slow
def test_the_script_runs_on_a_cpu():
    shape: dict[str, Any] = {
        "width": 64,
        "depth": 3,
        "context": 256,
        "blocks": 16,
        "batch": 1,
        "steps": 2,
        "device": "cpu",
        "peak": 1,
    }
    options = [f"--{name}={value}" for name, value in shape.items()]
    done = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, check=True, timeout=280)
    size, plain, compiled = done.stdout.splitlines()
    assert "M parameters" in size
    assert plain.startswith("plain")
    assert compiled.startswith("compiled")
    assert "%" in plain
