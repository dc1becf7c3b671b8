"""The matrices that the compiled step multiplies by, and priors that have them packed, and not in torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from jukectl.native.library import library
from jukectl.native.packing import Packed, Precision, pack
from jukectl.prior.config import AttentionKind, PriorConfig
from jukectl.prior.model import Prior

PACKED_BYTES = {"fp32": 4, "bf16": 2, "int8": 1}
"""Bytes of a packed weight, by precision."""

SMALLEST_KEPT = 64 * 2**20
"""Packed bytes from which on a prior's matrices are kept in a file; smaller ones are packed faster than read."""


@dataclass(frozen=True)
class MatrixNames:
    """Names of the parameters of a matrix of the compiled step."""

    weight: str
    bias: str | None = None  # without one the weight is the table of ids, (ids, width): the head


def matrix_names(config: PriorConfig) -> dict[str, MatrixNames]:
    """Return the parameters of the matrices, by the names that these have in files: "5.mlp_in", "head"."""
    found = {}
    for number, kind in enumerate(config.stack.kinds):
        # keys and values of the lyrics are computed once a window, by torch
        query = "attention.q" if kind is AttentionKind.ENCODER else "attention.qkv"
        layers = {"qkv": query, "project": "attention.out", "mlp_in": "mlp_in", "mlp_out": "mlp_out"}
        for name, layer in layers.items():
            place = f"transformer.blocks.{number}.{layer}"
            found[f"{number}.{name}"] = MatrixNames(f"{place}.weight", f"{place}.bias")
    found["head"] = MatrixNames("codes.weight" if config.tied_head else "head")
    return found


def packed_matrix(
    config: PriorConfig, weight: Tensor, bias: Tensor | None, precision: Precision, together: int
) -> Packed:
    """Pack one matrix from its parameters; one without a bias is the head. `together` is that of the loaded library."""
    return pack(weight[: config.sampled_ids].T if bias is None else weight, bias, precision, together)


def packed_bytes(config: PriorConfig, precision: str) -> int:
    """Return the bytes of the weights of blocks and head as the compiled step packs them."""
    return PACKED_BYTES[precision] * (_block_numbers(config) + config.width * config.ids)


def torch_free_numbers(config: PriorConfig, precision: str) -> int:
    """Return the number of parameters that a prior does without in torch, since it has them packed; 0 for most."""
    return _block_numbers(config) if keeps_packed(config, precision) else 0


def keeps_packed(config: PriorConfig, precision: str) -> bool:
    """Return True if a prior's matrices are packed once, kept in a file, and not loaded by torch."""
    apart = config.lyrics is not None and config.lyrics.apart  # whose blocks read the lyrics too, in torch
    return (
        precision in PACKED_BYTES
        and packed_bytes(config, precision) >= SMALLEST_KEPT
        and not apart
        and can_be_packed(config)
        and library() is not None
    )


def can_be_packed(config: PriorConfig) -> bool:
    """Return True if the compiled step can multiply by a prior's matrices."""
    shape = config.stack
    # four bytes of INT8 weights are one operand of the dot products in step.c
    return all(size % 4 == 0 for size in (shape.width, shape.attention_width, shape.mlp_width))


def _block_numbers(config: PriorConfig) -> int:
    shape = config.stack
    # query, key, value and output: 4 matrices of attention; in and out: 2 of the MLP
    return shape.depth * (4 * shape.attention_width * shape.width + 2 * shape.width * shape.mlp_width)


class PackedPrior(Prior):
    """A prior for the compiled step alone: its matrices are packed, and its blocks have none that torch could use."""

    def __init__(self, config: PriorConfig, precision: Precision, matrices: Mapping[str, Packed]) -> None:
        super().__init__(config)
        self.precision = precision
        self.matrices = matrices
