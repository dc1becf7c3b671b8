"""Packing of weights in the order in which the compiled step reads them, and the structures of step.c.

The structures mirror those in step.c field by field, in the same order and types: raise the interface number in
library.py and step.c when they change.
"""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

PANEL = 128
"""Outputs of one panel: their weights for one input are contiguous. Eight vector registers of sums, see step.c."""

LARGEST_BYTE = 127  # symmetric, so that no zero point is needed: -128 is not used


class Precision(IntEnum):
    """Precision of the weights; activations and sums are float32."""

    FP32 = 0
    BF16 = 1
    INT8 = 2  # with one scale per output


class Matrix(ctypes.Structure):
    """Mirror of `matrix` in step.c."""

    _fields_ = (
        ("weight", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("sums", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("in_", ctypes.c_int32),
        ("out", ctypes.c_int32),
    )


class Layer(ctypes.Structure):
    """Mirror of `layer` in step.c."""

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
    """Mirror of `stack` in step.c."""

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
        ("threads", ctypes.c_int32),
    )


class SamplingSettings(ctypes.Structure):
    """Mirror of `settings` in step.c."""

    _fields_ = (
        ("temperature", ctypes.c_double),
        ("top_p", ctypes.c_double),
        ("top_k", ctypes.c_int64),
        ("guidance", ctypes.c_double),
        ("vectors", ctypes.c_void_p),
        ("stages", ctypes.c_int32),
        ("vector_width", ctypes.c_int32),
    )


@dataclass(frozen=True, eq=False)
class Packed:
    """A matrix for step.c: its arrays, in memory or in a mapped file."""

    inputs: int
    outputs: int  # whole panels
    arrays: Mapping[
        str, np.ndarray
    ]  # by the pointers of `Matrix`: weight, bias, scale, sums; bfloat16 as 16-bit integers

    @property
    def matrix(self) -> Matrix:
        """The structure. It holds bare addresses: this object must outlive it."""
        addresses = {name: array.ctypes.data for name, array in self.arrays.items()}
        return Matrix(in_=self.inputs, out=self.outputs, **addresses)


def pack(weight: Tensor, bias: Tensor | None, precision: Precision, together: int) -> Packed:
    """Pack weights (in, out) and a bias (out,) as panels. `in` must be a multiple of 4.

    With INT8, `together` consecutive inputs of an output are contiguous: 4 for dot products of bytes, otherwise 1.
    """
    inputs, outputs = weight.shape
    # whole panels, so that step.c has no remainder; padded outputs are zeros
    padded = -(-outputs // PANEL) * PANEL
    arrays: dict[str, np.ndarray] = {}

    def wide(values: Tensor) -> Tensor:
        return torch.nn.functional.pad(values, (0, padded - outputs))

    weight = wide(weight.detach().float())
    if bias is not None:
        arrays["bias"] = wide(bias.detach().float()).numpy()
    if precision is Precision.INT8:
        # one scale per output, not per matrix: outputs differ in size, and each sum is scaled once, at the end
        scale = weight.abs().amax(dim=0).clamp(min=1e-30) / LARGEST_BYTE  # (padded,)
        weight = (weight / scale).round_().to(torch.int8)
        arrays["scale"] = scale.numpy()
        if together > 1:
            # activations are unsigned there, offset by a constant; the offset times these sums is subtracted again
            arrays["sums"] = weight.sum(dim=0, dtype=torch.int32).numpy()
            grouped = weight.view(inputs // together, together, padded // PANEL, PANEL)
            arrays["weight"] = grouped.permute(2, 0, 3, 1).contiguous().numpy()
            return Packed(inputs, padded, arrays)
    elif precision is Precision.BF16:
        weight = weight.bfloat16().view(torch.int16)
    arrays["weight"] = weight.view(inputs, padded // PANEL, PANEL).transpose(0, 1).contiguous().numpy()
    return Packed(inputs, padded, arrays)


def floats(values: Tensor) -> Tensor:
    """Return float32 values in contiguous memory."""
    return values.detach().float().contiguous()
