"""Residual stacks of non-causal dilated convolutions, and the strided blocks made of them (Jukebox, appendix B).

Shared by the VQ-VAE and by the conditioner of the upsamplers. Tensors inside are (B, C, 1, T) in channels-last layout,
because 2-D channels-last convolutions run two to four times faster on a CPU than the 1-D ones; `Conv1d` weights keep
their 1-D shape.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def to_channels_last(signal: Tensor) -> Tensor:
    """Convert (B, C, T) to the layout of all modules here: (B, C, 1, T), channels last."""
    return signal.unsqueeze(2).to(memory_format=torch.channels_last)


class Conv1d(nn.Conv1d):
    """A 1-D convolution on (B, C, 1, T) tensors."""

    def forward(self, signal: Tensor) -> Tensor:
        """Convolve (B, C_in, 1, T) to (B, C_out, 1, T')."""
        return F.conv2d(
            signal,
            self.weight.unsqueeze(2),
            self.bias,
            stride=(1, self.stride[0]),
            padding=(0, int(self.padding[0])),
            dilation=(1, self.dilation[0]),
        )


class ConvTranspose1d(nn.ConvTranspose1d):
    """A 1-D transposed convolution on (B, C, 1, T) tensors."""

    def forward(self, signal: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Upsample (B, C_in, 1, T) to (B, C_out, 1, T * stride) at the strides and paddings used here."""
        assert output_size is None
        return F.conv_transpose2d(
            signal,
            self.weight.unsqueeze(2),
            self.bias,
            stride=(1, self.stride[0]),
            padding=(0, int(self.padding[0])),
        )


class BalancedConvTranspose1d(ConvTranspose1d):
    """A transposed convolution that turns a constant input into a constant output.

    A plain one may turn it into a pattern that repeats with every frame: a tone at the frame rate and its multiples.
    The kernel is 2 * stride long, so two of its taps meet in every output sample; the sums of such pairs are made
    equal. The parameters are those of the plain one, so its weights can be loaded.
    """

    def forward(self, signal: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Upsample (B, C_in, 1, T) to (B, C_out, 1, T * stride)."""
        first, second = self.weight.chunk(2, dim=2)  # (C_in, C_out, stride) each
        pairs = first + second
        surplus = pairs - pairs.mean(2, keepdim=True)
        weight = self.weight - torch.cat([surplus, surplus], dim=2) / 2
        return F.conv_transpose2d(
            signal, weight.unsqueeze(2), self.bias, stride=(1, self.stride[0]), padding=(0, int(self.padding[0]))
        )


class ResidualBlock(nn.Module):
    """One dilated convolution of kernel 3 and one of kernel 1, added to their input."""

    def __init__(self, width: int, hidden: int, dilation: int, scale: float) -> None:
        super().__init__()
        self.dilated = Conv1d(width, hidden, 3, padding=dilation, dilation=dilation)
        self.project = Conv1d(hidden, width, 1)
        nn.init.zeros_(self.project.weight)  # a block is initialized to the identity, which trains much faster
        nn.init.zeros_(self.project.bias)  # type: ignore[arg-type]
        self.scale = scale

    def forward(self, signal: Tensor) -> Tensor:
        """Return a signal of the same shape (B, width, 1, T)."""
        change = self.project(F.relu(self.dilated(F.relu(signal)), inplace=True))
        # without gradients the sum overwrites the change: allocating large tensors takes longer than adding them
        reuse = not torch.is_grad_enabled() and change.dtype == signal.dtype
        return torch.add(signal, change, alpha=self.scale, out=change if reuse else None)


class ResidualStack(nn.Module):
    """`depth` residual blocks whose dilation grows by `growth` each, starting again every `cycle` blocks."""

    def __init__(
        self,
        width: int,
        depth: int,
        *,
        growth: int = 3,
        cycle: int | None = None,
        reverse: bool = False,
        scale: float = 1.0,
        hidden_multiplier: float = 1.0,
    ) -> None:
        super().__init__()
        dilations = [growth ** (index % (cycle or depth)) for index in range(depth)]
        if reverse:
            dilations.reverse()
        hidden = int(width * hidden_multiplier)
        self.blocks = nn.ModuleList(ResidualBlock(width, hidden, dilation, scale) for dilation in dilations)
        self.reach = sum(dilations)  # frames on either side that an output frame depends on

    def forward(self, signal: Tensor) -> Tensor:
        """Return a signal of the same shape (B, width, 1, T)."""
        for block in self.blocks:
            signal = block(signal)
        return signal


def residual_scale(depth: int, scaled: bool) -> float:
    """Return the factor on each residual branch: 1/sqrt(depth) keeps a deep stack's variance, 1 is plain."""
    return 1 / math.sqrt(depth) if scaled else 1.0


class DownsampleBlock(nn.Module):
    """`downs` strided convolutions, a residual stack after each, and a convolution to `width_out`."""

    def __init__(
        self,
        width_in: int,
        width: int,
        width_out: int,
        *,
        depth: int,
        downs: int,
        stride: int,
        growth: int = 3,
        cycle: int | None = None,
        scale: float = 1.0,
        hidden_multiplier: float = 1.0,
    ) -> None:
        super().__init__()
        self.downs = nn.ModuleList(
            Conv1d(width_in if index == 0 else width, width, 2 * stride, stride, stride // 2) for index in range(downs)
        )
        self.stacks = nn.ModuleList(
            ResidualStack(width, depth, growth=growth, cycle=cycle, scale=scale, hidden_multiplier=hidden_multiplier)
            for _ in range(downs)
        )
        self.project = Conv1d(width, width_out, 3, padding=1)

    def forward(self, signal: Tensor) -> Tensor:
        """Downsample (B, width_in, 1, T * stride ** downs) to (B, width_out, 1, T)."""
        for down, stack in zip(self.downs, self.stacks, strict=True):
            signal = stack(down(signal))
        latents: Tensor = self.project(signal)
        return latents


class UpsampleBlock(nn.Module):
    """A convolution, then `downs` times a residual stack and a strided transposed convolution."""

    def __init__(
        self,
        width_in: int,
        width: int,
        width_out: int,
        *,
        depth: int,
        downs: int,
        stride: int,
        growth: int = 3,
        cycle: int | None = None,
        reverse: bool = False,
        scale: float = 1.0,
        hidden_multiplier: float = 1.0,
        balanced: bool = False,
    ) -> None:
        super().__init__()
        transposed = BalancedConvTranspose1d if balanced else ConvTranspose1d
        self.project = Conv1d(width_in, width, 3, padding=1)
        self.stacks = nn.ModuleList(
            ResidualStack(
                width,
                depth,
                growth=growth,
                cycle=cycle,
                reverse=reverse,
                scale=scale,
                hidden_multiplier=hidden_multiplier,
            )
            for _ in range(downs)
        )
        self.ups = nn.ModuleList(
            transposed(width, width if index < downs - 1 else width_out, 2 * stride, stride, stride // 2)
            for index in range(downs)
        )

    def forward(self, signal: Tensor) -> Tensor:
        """Upsample (B, width_in, 1, T) to (B, width_out, 1, T * stride ** downs)."""
        signal = self.project(signal)
        for stack, up in zip(self.stacks, self.ups, strict=True):
            signal = up(stack(signal))
        return signal
