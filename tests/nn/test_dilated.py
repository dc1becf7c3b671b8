"""Dilated residual stacks, and the strided blocks made of them."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from jukectl.nn.dilated import (
    Conv1d,
    ConvTranspose1d,
    DownsampleBlock,
    ResidualBlock,
    ResidualStack,
    UpsampleBlock,
    residual_scale,
    to_channels_last,
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def plain(signal):
    """Reshape (B, C, 1, T) to (B, C, T)."""
    return signal.squeeze(2)


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), [(3, 1, 9, 9), (4, 2, 1, 1), (32, 16, 8, 1)])
def test_a_convolution_equals_torchs_conv1d(kernel, stride, padding, dilation):
    layer = Conv1d(3, 5, kernel, stride, padding, dilation).double()
    signal = torch.randn(2, 3, 96, dtype=torch.float64)

    expected = F.conv1d(signal, layer.weight, layer.bias, stride, padding, dilation)
    torch.testing.assert_close(plain(layer(to_channels_last(signal))), expected)


@pytest.mark.parametrize("stride", [2, 4, 16])
def test_a_transposed_convolution_equals_torchs_and_multiplies_the_length(stride):
    layer = ConvTranspose1d(3, 5, 2 * stride, stride, stride // 2).double()
    signal = torch.randn(2, 3, 10, dtype=torch.float64)

    result = plain(layer(to_channels_last(signal)))
    expected = F.conv_transpose1d(signal, layer.weight, layer.bias, stride, stride // 2)
    assert result.shape == (2, 5, 10 * stride)
    torch.testing.assert_close(result, expected)


def test_convolution_weights_have_the_shapes_of_conv1d():
    assert Conv1d(3, 5, 4).weight.shape == (5, 3, 4)
    assert ConvTranspose1d(3, 5, 4).weight.shape == (3, 5, 4)


def test_a_residual_block_is_initialized_to_the_identity():
    signal = torch.randn(2, 4, 1, 30)
    assert torch.equal(ResidualBlock(4, 8, 3, 1.0)(signal), signal)


@pytest.mark.parametrize("cast", [False, True])
def test_a_residual_block_without_gradients_gives_the_same_bits(cast):
    block, signal = ResidualBlock(4, 8, 3, 0.7), torch.randn(2, 4, 1, 30)
    torch.nn.init.normal_(block.project.weight)
    before = signal.clone()
    with torch.autocast("cpu", torch.bfloat16, enabled=cast):
        expected = block(signal)
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                result = block(signal)
            assert result.dtype == torch.float32
            assert torch.equal(result, expected)
    assert torch.equal(signal, before)
    assert not torch.equal(expected, before)


def test_a_residual_block_scales_its_branch():
    whole, half = ResidualBlock(4, 8, 3, 1.0), ResidualBlock(4, 8, 3, 0.5)
    torch.nn.init.normal_(whole.project.weight)
    half.load_state_dict(whole.state_dict())
    signal = torch.randn(2, 4, 1, 30)

    torch.testing.assert_close(half(signal) - signal, (whole(signal) - signal) / 2)


@pytest.mark.parametrize(
    ("options", "dilations"),
    [
        ({"depth": 4}, [1, 3, 9, 27]),
        ({"depth": 4, "reverse": True}, [27, 9, 3, 1]),
        ({"depth": 8, "cycle": 4}, [1, 3, 9, 27, 1, 3, 9, 27]),
        ({"depth": 3, "growth": 2}, [1, 2, 4]),
    ],
)
def test_dilations_grow_through_a_stack(options, dilations):
    stack = ResidualStack(2, **options)
    blocks: Any = stack.blocks
    assert [block.dilated.dilation[0] for block in blocks] == dilations
    assert stack.reach == sum(dilations)


def test_the_reach_of_a_stack_is_exact():
    stack = ResidualStack(2, 3, growth=2).double()
    with torch.no_grad():
        for parameter in stack.parameters():  # all positive, so that no ReLU hides a path
            parameter.uniform_(0.1, 1)
    signal = torch.rand(1, 2, 1, 41, dtype=torch.float64, requires_grad=True)
    stack(signal)[..., 20].sum().backward()

    seen = signal.grad[0, 0, 0].nonzero().flatten()
    assert (seen.min().item(), seen.max().item()) == (20 - stack.reach, 20 + stack.reach) == (13, 27)


def test_the_residual_scale_keeps_the_variance_of_a_deep_stack():
    assert residual_scale(16, scaled=False) == 1
    assert residual_scale(16, scaled=True) == 0.25


@pytest.mark.parametrize(("downs", "stride"), [(1, 16), (2, 4), (3, 2)])
def test_an_upsample_block_undoes_the_lengths_of_a_downsample_block(downs, stride):
    shape = {"depth": 2, "downs": downs, "stride": stride, "hidden_multiplier": 2.0}
    frames = 6
    signal = torch.randn(2, 1, 1, frames * stride**downs)

    latents = DownsampleBlock(1, 4, 7, **shape)(signal)
    assert latents.shape == (2, 7, 1, frames)
    assert UpsampleBlock(7, 4, 3, reverse=True, **shape)(latents).shape == (2, 3, 1, frames * stride**downs)
