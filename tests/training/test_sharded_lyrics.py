"""Sharded training of a prior with lyrics equals training in one process."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from dataclasses import replace
import torch
from jukectl.codes.level import Level
from jukectl.prior.config import AttentionKind, EncoderConfig, LyricsConfig, PriorConfig, TimingConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.training.distributed import prepare_blocks
from jukectl.training.config import TrainConfig
from jukectl.training.distributed import join, whole

ENCODER = EncoderConfig(width=16, depth=2, heads=2, blocks=2)
ROW, HEARS = AttentionKind.ROW, AttentionKind.ENCODER
SORTS = {
    "encoder": (LyricsConfig(characters=8, alphabet=11, encoder=ENCODER), (ROW, HEARS)),
    "apart": (LyricsConfig(characters=8, alphabet=11, apart=True), (ROW, HEARS)),
    "one sequence": (LyricsConfig(characters=8, alphabet=11), (ROW, AttentionKind.LYRICS)),
}

def prior_of(sort):
    lyrics, pattern = SORTS[sort]
    torch.manual_seed(1)
    return Prior(PriorConfig(level=Level.TOP, context=24, width=32, depth=4, heads=2, blocks=4, hop=8, codebook_size=40,
                             timing=TimingConfig(), lyrics=lyrics, pattern=pattern, init_scale=5.0))

def batch():
    chance = torch.Generator().manual_seed(2)
    labels = LabelBatch.repeat(4, artist=0, genres=(0,), slots=1, total_length=900, sample_length=192)
    labels = replace(labels, lyrics=torch.randint(11, (4, 8), generator=chance))
    return torch.randint(40, (4, 24), generator=chance), labels

def compare(ranks):
    for sort in SORTS:
        alone, sharded = prior_of(sort), prior_of(sort)
        codes, labels = batch()
        alone.loss(codes, labels).backward()
        blocks = list(sharded.transformer.blocks)
        prepare_blocks(blocks, TrainConfig(steps=1, batch=1, checkpoint_activations=True))
        ranks.shard(sharded, blocks, half=False, passes=("costs",))
        mine = slice(2 * ranks.rank, 2 * ranks.rank + 2)
        loss = sharded.loss(codes[mine], LabelBatch(**{
            name: None if value is None else value[mine] for name, value in vars(labels).items()}))
        loss.backward()
        expected = dict(alone.named_parameters())
        for name, parameter in sharded.named_parameters():
            assert parameter.grad is not None, name
            found = whole(parameter.grad)
            torch.testing.assert_close(found, expected[name].grad, atol=1e-5, rtol=1e-3, msg=f"{sort}: {name}")
        print("same", sort)

with join(torch.device("cpu")) as ranks:
    compare(ranks)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the launcher is not for Windows")
def test_sharded_gradients_with_lyrics_equal_those_of_one_process(tmp_path: Path) -> None:
    script = tmp_path / "sharded.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("same") == 2 * 3
