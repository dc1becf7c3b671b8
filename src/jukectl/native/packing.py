"""Weights in the order in which the compiled step reads them, and the structures that it finds them by (see step.c)."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

PANEL = 128
"""Outputs whose weights lie together."""

LARGEST_BYTE = 127


class Precision(IntEnum):
    """Of the weights; sums are float32."""

    FP32 = 0
    BF16 = 1
    INT8 = 2  # with a scale an output


class Matrix(ctypes.Structure):
    """`matrix` of step.c."""

    _fields_ = (
        ("weight", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("sums", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("in_", ctypes.c_int32),
        ("out", ctypes.c_int32),
    )


class Layer(ctypes.Structure):
    """`layer` of step.c."""

    _fields_ = (
        ("kind", ctypes.c_int32),
        ("keys", ctypes.c_int32),
        ("slots", ctypes.c_int64),
        ("norm_gain", ctypes.c_void_p),
        ("norm_bias", ctypes.c_void_p),
        ("mlp_norm_gain", ctypes.c_void_p),
        ("mlp_norm_bias", ctypes.c_void_p),
        ("qkv", Matrix),
        ("project", Matrix),
        ("mlp_in", Matrix),
        ("mlp_out", Matrix),
        ("cache", ctypes.c_void_p),
    )


class Stack(ctypes.Structure):
    """`stack` of step.c."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("precision", "depth", "width", "heads", "head_width", "mlp")),
        ("block", ctypes.c_int32),
        ("length", ctypes.c_int32),
        ("scale", ctypes.c_float),
        ("layers", ctypes.c_void_p),
        ("head", Matrix),
        ("ids", ctypes.c_int32),
        ("tied", ctypes.c_int32),
        ("lyric_tokens", ctypes.c_int32),
        ("embedding", ctypes.c_void_p),
        ("positions", ctypes.c_void_p),
        ("rotations", ctypes.c_void_p),
        ("scratch", ctypes.c_void_p),
    )


class Drawing(ctypes.Structure):
    """`drawing` of step.c."""

    _fields_ = (
        ("temperature", ctypes.c_double),
        ("top_p", ctypes.c_double),
        ("top_k", ctypes.c_int64),
        ("guidance", ctypes.c_double),
    )


@dataclass(frozen=True, eq=False)
class Packed:
    """A structure, and the tensors that it points into."""

    matrix: Matrix
    kept: Sequence[Tensor]


def pack(weight: Tensor, bias: Tensor | None, precision: Precision, together: int) -> Packed:
    """Weights (in, out) and a bias (out,) as panels; `together` inputs' bytes lie side by side (INT8).

    `in` must be a multiple of 4.
    """
    inputs, outputs = weight.shape
    padded = -(-outputs // PANEL) * PANEL
    matrix, kept = Matrix(in_=inputs, out=padded), []

    def keep(tensor: Tensor) -> int:
        kept.append(tensor := tensor.contiguous())
        return tensor.data_ptr()

    def wide(values: Tensor) -> Tensor:
        return torch.nn.functional.pad(values, (0, padded - outputs))

    weight = wide(weight.detach().float())
    if bias is not None:
        matrix.bias = keep(wide(bias.detach().float()))
    if precision is Precision.INT8:
        scale = weight.abs().amax(dim=0).clamp(min=1e-30) / LARGEST_BYTE  # (padded,)
        weight = (weight / scale).round_().to(torch.int8)
        matrix.scale = keep(scale)
        if together > 1:
            matrix.sums = keep(weight.sum(dim=0, dtype=torch.int32))
            grouped = weight.view(inputs // together, together, padded // PANEL, PANEL)
            matrix.weight = keep(grouped.permute(2, 0, 3, 1))
            return Packed(matrix, kept)
    elif precision is Precision.BF16:
        weight = weight.bfloat16()
    matrix.weight = keep(weight.view(inputs, padded // PANEL, PANEL).transpose(0, 1))
    return Packed(matrix, kept)


def floats(values: Tensor) -> Tensor:
    """float32, side by side."""
    return values.detach().float().contiguous()
