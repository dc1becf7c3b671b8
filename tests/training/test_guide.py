"""Guided attention: the loss by its formula, where it looks, and that a head learns to follow the words."""

import math
import subprocess
import sys
from typing import Any

import pytest
import torch

from jukectl.codes.level import Level
from jukectl.data.lyrics_notes import NOTHING
from jukectl.errors import BadRecipe
from jukectl.prior.config import AttentionKind, EncoderConfig, LyricsConfig, PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.lyric_attention import attention_of
from jukectl.prior.model import Prior
from jukectl.training.guide import LEAST, SPREAD, AttentionGuide, guided_layer, surprise

HEARS = AttentionKind.ENCODER
READERS: dict[str, dict[str, Any]] = {
    "encoder": {"encoder": EncoderConfig(width=8, depth=1, heads=2, blocks=2)},
    "apart": {"apart": True},
}


def prior_of(reader="encoder", pattern=(AttentionKind.ROW, HEARS, AttentionKind.ROW, HEARS), **lyrics):
    torch.manual_seed(0)
    config = LyricsConfig(characters=8, alphabet=10, **READERS.get(reader, {}), **lyrics)
    shape: dict[str, Any] = {
        "context": 16,
        "width": 16,
        "heads": 2,
        "blocks": 4,
        "hop": 4,
        "codebook_size": 20,
        "init_scale": 10.0,
    }
    return Prior(PriorConfig(level=Level.TOP, depth=len(pattern), pattern=pattern, lyrics=config, **shape))


def batch(rows=3):
    torch.manual_seed(1)
    labels = LabelBatch.repeat(rows, total_length=64, sample_length=64)
    labels = LabelBatch(**{**vars(labels), "lyrics": torch.randint(1, 10, (rows, 8))})
    return torch.randint(20, (rows, 16)), labels


def test_the_loss_is_the_negative_log_of_attention_near_the_sung_character():
    torch.manual_seed(0)
    weights = torch.rand(2, 5, 7).softmax(-1)
    sung = torch.tensor([[0, 3, NOTHING, 6, 6], [NOTHING] * 4 + [2]])
    total = 0.0
    for row in range(2):
        for code in range(5):
            if (place := int(sung[row, code])) == NOTHING:
                continue
            near = sum(
                float(weights[row, code, other]) * math.exp(-((other - place) ** 2) / (2 * SPREAD**2))
                for other in range(7)
            )
            total -= math.log(near)
    assert float(surprise(weights, sung)) == pytest.approx(total / 10, rel=1e-5)


def test_the_loss_is_bounded_and_zero_without_singing():
    far = torch.zeros(1, 1, 100)
    far[..., 0] = 1
    assert float(surprise(far, torch.tensor([[99]]))) == pytest.approx(-math.log(LEAST), rel=1e-5)
    assert float(surprise(far, torch.tensor([[NOTHING]]))) == 0


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("layer", "head"), [(1, 0), (3, 1)])
def test_the_guide_reads_the_weights_of_its_head(reader, layer, head):
    prior, (codes, labels) = prior_of(reader), batch()
    guide = AttentionGuide(prior, layer, head)
    prior.costs(codes, labels)
    sung = torch.arange(16).expand(3, -1) // 2
    expected = surprise(attention_of(prior, codes, labels, layer, head), sung)
    assert guide.loss(sung).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("reader", READERS)
def test_a_guided_head_learns_to_attend_to_the_sung_characters(reader):
    prior, (codes, labels) = prior_of(reader), batch()
    guide, sung = AttentionGuide(prior, 1, 0), torch.arange(16).expand(3, -1) // 2
    optimizer = torch.optim.Adam(prior.parameters(), 0.01)
    losses = []
    for _ in range(40):
        prior.costs(codes, labels)
        losses.append(guide.loss(sung))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    looks = attention_of(prior, codes, labels, 1, 0).argmax(-1)
    assert losses[-1].item() < 0.3 * losses[0].item()
    assert ((looks - sung).abs() <= 1).float().mean() > 0.9


@pytest.mark.parametrize("reader", READERS)
def test_the_lyric_loss_predicts_characters_with_the_lyrics_head(reader):
    prior, (codes, labels) = prior_of(reader), batch()
    guide, inputs = AttentionGuide(prior, 1, 0, letters=True), []
    prior.transformer.blocks[1].attention.register_forward_pre_hook(lambda layer, given: inputs.append(given[0]))
    sung = (torch.arange(16).expand(3, -1) // 2).masked_fill(torch.arange(16) == 5, NOTHING)
    prior.costs(codes, labels)
    probabilities = (inputs[-1] @ prior.lyrics.head.T).softmax(-1)  # (B, T, alphabet)
    nats = [
        -math.log(probabilities[row, code, labels.lyrics[row, sung[row, code]]].item())
        for row in range(3)
        for code in range(16)
        if code != 5
    ]
    assert guide.letter_loss(sung, labels.lyrics).item() == pytest.approx(sum(nats) / 48, rel=1e-5)


def test_the_guided_layer_is_the_alignment_layer_or_the_middle_one_with_lyrics():
    assert guided_layer(prior_of().config) == 3
    assert guided_layer(prior_of(pattern=(HEARS, AttentionKind.ROW, HEARS, HEARS)).config) == 2
    assert guided_layer(prior_of(alignment_layer=1).config) == 1


def test_guiding_a_layer_without_lyrics_attention_is_refused():
    with pytest.raises(BadRecipe, match=r"alignment_layer is 2, but the layers with lyrics attention are \[1, 3\]"):
        guided_layer(prior_of(alignment_layer=2).config)
    with pytest.raises(BadRecipe, match="needs lyrics with an encoder or apart"):
        guided_layer(prior_of("one sequence", pattern=(AttentionKind.ROW, AttentionKind.LYRICS)).config)


SCRIPT = """
import sys
import torch
from dataclasses import fields
sys.path.insert(0, sys.argv[1])
from test_guide import READERS, batch, prior_of
from jukectl.training.distributed import join, whole
from jukectl.training.guide import AttentionGuide

with join(torch.device("cpu")) as ranks:
    for reader in READERS:
        codes, labels = batch(4)
        sung = torch.arange(16).expand(4, -1) // 2
        sung = torch.where(torch.arange(16) < 4 * torch.arange(4)[:, None], sung, -1)  # rows sing unequally long
        alone, sharded = prior_of(reader), prior_of(reader)
        guide = AttentionGuide(alone, 1, 0, letters=True)
        (alone.loss(codes, labels) + 3 * guide.loss(sung) + guide.letter_loss(sung, labels.lyrics)).backward()
        guide = AttentionGuide(sharded, 1, 0, letters=True)
        ranks.shard(sharded, list(sharded.transformer.blocks), half=False, passes=("costs",))
        mine = slice(2 * ranks.rank, 2 * ranks.rank + 2)
        rows = {one.name: getattr(labels, one.name) for one in fields(labels)}
        own = type(labels)(**{name: value if value is None else value[mine] for name, value in rows.items()})
        spelled = guide.letter_loss
        (sharded.loss(codes[mine], own) + 3 * guide.loss(sung[mine]) + spelled(sung[mine], own.lyrics)).backward()
        expected = dict(alone.named_parameters())
        for name, parameter in sharded.named_parameters():
            torch.testing.assert_close(whole(parameter.grad), expected[name].grad, atol=1e-5, rtol=1e-3, msg=name)
        print("same", reader)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the launcher is not for Windows")
def test_guided_training_is_the_same_in_two_processes(tmp_path, request):
    script = tmp_path / "guided.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", script, request.path.parent]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("same") == 4
