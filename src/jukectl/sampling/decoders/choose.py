"""What makes the codes of a window, one after another: one small interface, several ways to do it."""

import torch

from jukectl.codes.recipe import LevelSampling
from jukectl.prior.model import Prior
from jukectl.sampling.decoders.base import Decoder, EagerDecoder


def decoder_for(prior: Prior, rows: int, settings: LevelSampling, *, int8: bool = False) -> Decoder:
    """The fastest decoder that a prior's device, precision and layers allow; `int8` weights where it can have them."""
    from jukectl.native.packing import Precision
    from jukectl.sampling.decoders.cuda_graph import GraphDecoder
    from jukectl.sampling.decoders.native import NativeDecoder, is_supported

    precision = Precision.BF16 if prior.dtype is torch.bfloat16 else Precision.FP32
    precision = Precision.INT8 if int8 else precision
    if is_supported(prior, precision):
        return NativeDecoder(prior, rows, settings, precision)
    if prior.device.type == "cuda":
        return GraphDecoder(prior, rows, settings)
    return EagerDecoder(prior, rows, settings)
