"""Weights in eight bits: whole numbers from -127 to 127, and one scale for each output, as in eight-bit sampling.

In a file the scales of the tensor NAME are the tensor NAME.scales, of size 1 in all other dimensions.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

SCALES = ".scales"
TRANSFORMER = "transformer."  # begins the names of its matrices, which are (in, out)
SMALLEST = 4_096  # numbers of a tensor that is worth it; the others stay in half precision
CODEBOOK = "codebook.vectors"  # stays as well: a vector that moves changes which codes music has


def quantized(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return large tensors as int8 with their scales, float32, and the others in half precision."""
    result: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.dim() < 2 or tensor.numel() < SMALLEST or name.endswith(CODEBOOK):
            result[name] = tensor.to(torch.float16).contiguous()
            continue
        # outputs are the columns of a transformer's matrices, and the rows of all others
        output = 1 if name.startswith(TRANSFORMER) and tensor.dim() == 2 else 0
        others = [dimension for dimension in range(tensor.dim()) if dimension != output]
        scales = tensor.float().abs().amax(others, keepdim=True) / 127
        result[name] = (tensor.float() / torch.where(scales > 0, scales, 1.0)).round().to(torch.int8).contiguous()
        result[name + SCALES] = scales.contiguous()
    return result


def dequantized(tensor: Tensor, scales: Tensor) -> Tensor:
    """Return the numbers of an int8 tensor, float32."""
    return tensor.float() * scales.float()


def are_scales(scales: Sequence[int], shape: Sequence[int]) -> bool:
    """Return whether scales of one shape fit an int8 tensor of another."""
    return len(scales) == len(shape) and all(one in (1, size) for one, size in zip(scales, shape, strict=True))


def numbers_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors with those of eight bits as float32, without scales."""
    paired = paired_with_scales(tensors)
    return {
        name: dequantized(tensor, tensors[name + SCALES]) if name in paired else tensor
        for name, tensor in tensors.items()
        if name.removesuffix(SCALES) not in paired or name in paired
    }


def paired_with_scales(names: Iterable[str]) -> set[str]:
    """Return the names of tensors whose scales are among the names too."""
    known = set(names)
    return {name for name in known if name + SCALES in known}
