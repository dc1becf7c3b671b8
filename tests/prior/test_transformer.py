from dataclasses import replace

import pytest
import torch

from jukectl.prior.config import AttentionKind, PriorConfig
from jukectl.prior.layers import LayerNorm
from jukectl.prior.transformer import Block, KVCache, Transformer, quick_gelu


def test_quick_gelu_is_x_times_sigmoid_of_1_702_x() -> None:
    x = torch.linspace(-9, 9, 101)
    assert torch.allclose(quick_gelu(x), x * torch.sigmoid(1.702 * x), atol=1e-6)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_block_adds_its_attention_and_an_mlp_of_the_sum(scaled: bool, top: PriorConfig) -> None:
    block = Block(replace(top, depth=4, scale_residuals=scaled).stack, AttentionKind.ROW)
    x = torch.randn(2, 24, 64)
    a = block.attention(block.attention_norm(x))
    m = block.mlp_out(quick_gelu(block.mlp_in(block.mlp_norm(x + a))))
    assert torch.allclose(block(x), x + (0.25 if scaled else 1) * (a + m), atol=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in AttentionKind if kind is not AttentionKind.ENCODER])
def test_a_step_of_a_block_equals_the_full_pass(kind: AttentionKind, top: PriorConfig) -> None:
    scaled = kind is not AttentionKind.ROW  # one kind without the factor is enough: it is not part of the attention
    config = replace(top.stack, scale_residuals=scaled, lyrics=7, window=5, kinds=(kind,) * top.depth)
    block = Block(config, kind)
    x = torch.randn(4, config.length, config.width)
    full = block(x)
    cache = KVCache.allocate(config, 4).layers[0]
    with torch.inference_mode():
        for position in range(config.length):
            assert torch.allclose(block.step(x[:, position], position, cache), full[:, position], atol=1e-4)


def test_layer_norm_of_half_precision_is_that_of_float32_rounded() -> None:
    x = (torch.randn(3, 512) * 30).half()
    for dtype in (torch.float16, torch.float32):
        norm = LayerNorm(512).to(dtype)
        assert norm(x).dtype is torch.float16
        assert torch.equal(norm(x), torch.nn.functional.layer_norm(x.float(), (512,)).half())


def test_the_cache_holds_no_more_than_each_kind_can_see(top: PriorConfig) -> None:
    config = replace(top.stack, kinds=tuple(AttentionKind), lyrics=7)
    slots = {"dense": 24, "row": 4, "column": 24, "previous_row": 8, "lyrics": 12, "encoder": 7, "window": 24}
    layers = KVCache.allocate(config, 2).layers
    assert {str(kind): layer.shape[3] for kind, layer in zip(config.kinds, layers, strict=True)} == slots


def test_a_row_of_the_cache_shares_its_memory(top: PriorConfig) -> None:
    cache = KVCache.allocate(top.stack, 3)
    cache.row(1).layers[0].fill_(7.0)
    assert cache.layers[0][1].eq(7).all()
    assert cache.layers[0][[0, 2]].eq(0).all()


def test_a_published_upsampler_needs_about_0_4_gb_of_cache_a_sample(top: PriorConfig) -> None:
    config = replace(top, context=8192, width=1920, depth=72, heads=1, blocks=128)
    cache = KVCache.allocate(config.stack, 1, device="meta", dtype=torch.float16)
    assert sum(layer.numel() * 2 for layer in cache.layers) == pytest.approx(0.4e9, rel=0.1)


def test_the_stack_is_its_blocks_one_after_another(top: PriorConfig) -> None:
    stack = Transformer(top.stack)
    x = torch.randn(1, 24, 64)
    expected = x
    for block in stack.blocks:
        expected = block(expected)
    assert torch.equal(stack(x), expected)
    assert [block.attention.kind for block in stack.blocks] == list(top.kinds)
