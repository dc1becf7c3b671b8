from dataclasses import replace
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from jukectl.prior.attention import CacheLayout, EncoderAttention, FactoredAttention, attend, pattern_mask
from jukectl.prior.config import AttentionKind, PriorConfig

KINDS = [kind for kind in AttentionKind if kind is not AttentionKind.ENCODER]  # which sees no positions
LYRICS = 7  # positions that LYRICS layers see
WINDOW = 3  # positions that WINDOW layers see


def masked_attention(
    kind: AttentionKind, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, heads: int, block: int
) -> torch.Tensor:
    """The definition: every pair of positions, those outside the pattern's mask put out."""
    batch, total, width = query.shape
    query, key, value = (x.view(batch, total, heads, width // heads).transpose(1, 2) for x in (query, key, value))
    scores = query @ key.transpose(2, 3) / (width // heads) ** 0.5
    mask = pattern_mask(kind, total, block, LYRICS, WINDOW)
    weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1).nan_to_num(0.0)
    return (weights @ value).transpose(1, 2).reshape(batch, total, width)


def test_masks_are_the_patterns_of_the_paper_on_a_grid_of_two_by_three() -> None:
    rows = {
        kind: ["".join("x" if seen else "." for seen in row) for row in pattern_mask(kind, 6, 3, 2, 2)]
        for kind in KINDS
    }
    assert rows[AttentionKind.DENSE] == ["x.....", "xx....", "xxx...", "xxxx..", "xxxxx.", "xxxxxx"]
    assert rows[AttentionKind.ROW] == ["x.....", "xx....", "xxx...", "...x..", "...xx.", "...xxx"]
    assert rows[AttentionKind.COLUMN] == ["x.....", ".x....", "..x...", "x..x..", ".x..x.", "..x..x"]
    assert rows[AttentionKind.PREVIOUS_ROW] == ["......", "......", "......", "xxx...", "xxx...", "xxx..."]
    assert rows[AttentionKind.LYRICS] == ["x.....", "xx....", "xx....", "xx....", "xx....", "xx...."]
    assert rows[AttentionKind.WINDOW] == ["x.....", "xx....", ".xx...", "..xx..", "...xx.", "....xx"]


@pytest.mark.parametrize("kind", KINDS)
def test_attention_patterns_are_causal(kind: AttentionKind) -> None:
    assert not pattern_mask(kind, 24, 4, LYRICS, WINDOW).triu(1).any()


def test_row_column_and_previous_row_layers_together_reach_all_earlier_positions() -> None:
    one_layer = torch.eye(24, dtype=torch.bool)  # the residual path
    seen = one_layer.clone()
    for kind in (AttentionKind.ROW, AttentionKind.COLUMN, AttentionKind.PREVIOUS_ROW):
        seen = ((pattern_mask(kind, 24, 4) | one_layer).float() @ seen.float()) > 0
    assert torch.equal(seen, torch.ones(24, 24).tril().bool())


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_kernels_equal_masked_dense_attention(kind: AttentionKind, gradient: bool) -> None:
    for total, heads in product((1, 3, 4, 5, 17, 24), (1, 2)):
        query, key, value = (torch.randn(2, total, 8, requires_grad=gradient) for _ in range(3))
        with torch.set_grad_enabled(gradient):
            fast = attend(kind, query, key, value, heads=heads, block=4, lyric_keys=LYRICS, window=WINDOW)
            plain = masked_attention(kind, query, key, value, heads=heads, block=4)
        assert torch.allclose(fast, plain, atol=1e-5), (total, heads)


@pytest.mark.parametrize("kind", KINDS)
def test_kernels_have_the_gradients_of_masked_dense_attention(kind: AttentionKind) -> None:
    qkv = [torch.randn(2, 10, 8, requires_grad=True) for _ in range(3)]
    aim = torch.randn(2, 10, 8)
    fast = torch.autograd.grad(attend(kind, *qkv, heads=2, block=4, lyric_keys=LYRICS, window=WINDOW), qkv, aim)
    plain = torch.autograd.grad(masked_attention(kind, *qkv, heads=2, block=4), qkv, aim)
    for one, other in zip(fast, plain, strict=True):
        assert torch.allclose(one, other.nan_to_num(0.0), atol=1e-5)


def test_the_first_block_has_zeros_from_the_previous_row() -> None:
    qkv = [torch.randn(1, 8, 8) for _ in range(3)]
    result = attend(AttentionKind.PREVIOUS_ROW, *qkv, heads=2, block=4)
    assert torch.equal(result[:, :4], torch.zeros(1, 4, 8))
    assert result[:, 4:].abs().min() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_attention_in_bfloat16_stays_close_to_float32(kind: AttentionKind, top: PriorConfig) -> None:
    attention = FactoredAttention(replace(top.stack, lyrics=LYRICS, window=WINDOW), kind, std=0.1, std_out=0.1)
    x = torch.randn(2, 24, 64)
    exact = attention(x)
    with torch.autocast("cpu", torch.bfloat16):
        rough = attention(x)
    assert rough.dtype is torch.bfloat16
    assert F.cosine_similarity(rough.float().flatten(), exact.flatten(), dim=0) > 0.999


@pytest.mark.parametrize("total", [256, 512])  # from 512 keys on gradients are computed in half precision
def test_bfloat16_gradients_on_a_cpu_stay_close_to_float32(total: int) -> None:
    qkv = [torch.randn(1, total, 64, requires_grad=True) for _ in range(3)]
    aim = torch.randn(1, total, 64)
    exact = torch.autograd.grad(attend(AttentionKind.DENSE, *qkv, heads=1, block=64), qkv, aim)
    rough = attend(AttentionKind.DENSE, *(one.bfloat16() for one in qkv), heads=1, block=64)
    assert rough.dtype is torch.bfloat16
    for one, other in zip(torch.autograd.grad(rough, qkv, aim.bfloat16()), exact, strict=True):
        assert F.cosine_similarity(one.flatten(), other.flatten(), dim=0) > 0.999


layouts = st.builds(
    lambda kind, blocks, block, lyrics, window: CacheLayout(
        kind, blocks * block, block, min(lyrics, blocks * block), window
    ),
    st.sampled_from(KINDS),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 9),
    st.integers(1, 40),
)


@given(layouts)
def test_the_cache_slots_of_a_position_are_those_of_its_mask(layout: CacheLayout) -> None:
    mask = pattern_mask(layout.kind, layout.context, layout.block, layout.lyric_keys, layout.window)
    places: dict[int, int] = {}  # slot -> the position whose key lies there
    for position in range(layout.context):
        places[layout.slot(position)] = position
        read = [places[slot] for slot in range(layout.slots)[slice(*layout.visible(position))]]
        assert sorted(read) == mask[position].nonzero().flatten().tolist()


@given(layouts)
def test_successive_positions_have_different_slots(layout: CacheLayout) -> None:
    assert layout.slots <= max(layout.context, 2 * layout.block)
    last = 0 if layout.kind is AttentionKind.LYRICS else max(layout.context - layout.slots, 0)  # which keeps the first
    for start in range(last + 1):
        positions = range(start, min(start + layout.slots, layout.context))
        assert len({layout.slot(position) for position in positions}) == len(positions)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_decoding_from_the_cache_equals_the_full_pass(kind: AttentionKind, batch: int, top: PriorConfig) -> None:
    attention = FactoredAttention(replace(top.stack, lyrics=LYRICS, window=WINDOW), kind, std=0.2, std_out=0.2)
    torch.nn.init.normal_(attention.qkv.bias)
    torch.nn.init.normal_(attention.out.bias)
    x = torch.randn(batch, top.context, top.width)
    with torch.inference_mode():
        full = attention(x)
        for known, chunk in ((1, 24), (3, 24), (4, 4), (9, 24), (9, 4), (23, 24), (23, 4), (23, 8)):
            cache = torch.full((batch, 2, top.heads, attention.layout.slots, 8), float("nan"))
            for start in range(0, known, chunk):  # of whole blocks, but for the last
                attention(x[:, start : min(start + chunk, known)], cache, start)
            for position in range(known, top.context):
                rows = x[:, position]
                if batch == 1:  # padded, as on a CPU
                    rows = rows.expand(4, -1)
                step = attention.step(rows, position, cache)
                assert torch.allclose(step[:batch], full[:, position], atol=1e-5), (known, chunk, position)


def test_every_position_attends_to_all_states_of_the_encoder(top: PriorConfig) -> None:
    attention = EncoderAttention(replace(top.stack, lyrics=9), std=0.3, std_out=0.3)
    x, states = torch.randn(3, 24, 64), torch.randn(3, 9, 64)
    query, (key, value) = attention.q(x), attention.kv(states).chunk(2, dim=-1)
    heads = []
    for head in (slice(0, 8), slice(8, 16)):
        weights = (query[..., head] @ key[..., head].transpose(1, 2) / 8**0.5).softmax(dim=-1)
        heads.append(weights @ value[..., head])
    assert torch.allclose(attention(x, states), attention.out(torch.cat(heads, dim=-1)), atol=1e-5)


@pytest.mark.parametrize("batch", [1, 4])
def test_cross_attention_from_its_cache_equals_the_full_pass(batch: int, top: PriorConfig) -> None:
    attention = EncoderAttention(replace(top.stack, lyrics=9), std=0.3, std_out=0.3)
    x, states = torch.randn(batch, 24, 64), torch.randn(batch, 9, 64)
    full = attention(x, states)
    cache = torch.full((batch, 2, 2, 9, 8), float("nan"))
    with torch.inference_mode():
        attention(x[:, :5], states, cache)
        for position in range(5, 24):
            rows = x[:, position].expand(4, -1) if batch == 1 else x[:, position]
            assert torch.allclose(attention.step(rows, position, cache)[:batch], full[:, position], atol=1e-5)
