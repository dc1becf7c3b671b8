"""Rotary positions: angles by hand, and what only distances being known means for attention."""

import math
from dataclasses import replace

import pytest
import torch

from jukectl.prior.attention import FactoredAttention
from jukectl.prior.config import AttentionKind, PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.prior.rotary import rotary_table, rotate

CPU = torch.device("cpu")


def test_a_pair_of_numbers_turns_by_its_position_times_its_frequency() -> None:
    turned = rotate(torch.tensor([1.0, 2.0, 3.0, 4.0]), rotary_table(8, 4, CPU)[5])
    for pair, frequency in enumerate((1.0, 0.01)):  # 10,000^0 and 10,000^(-1/2)
        x, y, angle = 1.0 + pair, 3.0 + pair, 5 * frequency
        assert turned[pair].item() == pytest.approx(x * math.cos(angle) - y * math.sin(angle), abs=1e-5)
        assert turned[pair + 2].item() == pytest.approx(y * math.cos(angle) + x * math.sin(angle), abs=1e-5)


def test_products_of_turned_vectors_depend_on_their_distance_alone() -> None:
    table = rotary_table(4_000, 16, CPU)
    query, key = torch.randn(2, 16)
    for distance in (0, 1, 17, 900):
        products = [rotate(query, table[at + distance]) @ rotate(key, table[at]) for at in (0, 3, 1_000, 3_000)]
        assert max(products) - min(products) < 2e-3
    assert (rotate(query, table[40]) @ rotate(key, table[0]) - query @ key).abs() > 0.1


@pytest.mark.parametrize("kind", [AttentionKind.DENSE, AttentionKind.WINDOW])
def test_attention_to_the_same_past_is_the_same_anywhere(kind: AttentionKind, top: PriorConfig) -> None:
    stack = replace(top.stack, rotary=True, window=9)
    attention = FactoredAttention(stack, kind, std=0.3, std_out=0.3)
    x = torch.randn(1, 9, 64)
    later = torch.cat([torch.randn(1, 12, 64), x], dim=1)
    there = attention(later)[:, 20]
    if kind is AttentionKind.WINDOW:  # the last of the nine sees no more than those
        assert torch.allclose(attention(x)[:, 8], there, atol=1e-5)
    else:
        assert not torch.allclose(attention(x)[:, 8], there, atol=1e-2)


def test_the_order_of_codes_matters_without_learned_positions(top: PriorConfig) -> None:
    config = replace(top, timing=None, positions="rotary", pattern=(AttentionKind.DENSE,))
    prior = Prior(config).eval()
    assert prior.positions is None
    conditioning = prior.conditioning(labels := _labels(config))
    codes = torch.arange(10)[None]
    swapped = codes.clone()
    swapped[0, [2, 5]] = codes[0, [5, 2]]
    assert conditioning.positions is None
    with torch.inference_mode():
        assert not torch.allclose(prior(codes, labels)[:, -1], prior(swapped, labels)[:, -1], atol=1e-2)


def test_a_table_made_while_sampling_serves_training_later(top: PriorConfig) -> None:
    prior = Prior(replace(top, context=30, positions="rotary"))  # a length that no other test has
    codes, labels = torch.zeros(1, 30, dtype=torch.int64), _labels(prior.config)
    with torch.inference_mode():
        prior(codes, labels)
    prior.loss(codes, labels).backward()
    assert prior.transformer.blocks[0].attention.qkv.weight.grad is not None


def _labels(config: PriorConfig) -> LabelBatch:
    return LabelBatch.repeat(1, slots=config.genre_slots, total_length=900, sample_length=config.window_samples)
