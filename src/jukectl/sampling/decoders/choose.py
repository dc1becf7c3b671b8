"""Choice of the decoder."""

import torch

from jukectl.codes.recipe import LevelSampling
from jukectl.prior.model import Prior
from jukectl.sampling.decoders.base import Decoder, EagerDecoder


def decoder_for(
    prior: Prior, rows: int, settings: LevelSampling, *, int8: bool = False, threads: int | None = None
) -> Decoder:
    """Return the fastest decoder for a prior's device, precision and layers; `int8` weights where that is supported.

    `threads` is of the compiled step; None: as many as are fastest.
    """
    # imported here, since most runs need one of them, and on a CPU none of the others
    from jukectl.native.packing import Precision
    from jukectl.sampling.decoders.cuda_graph import GraphDecoder
    from jukectl.sampling.decoders.native import NativeDecoder, is_supported

    precision = Precision.BF16 if prior.dtype is torch.bfloat16 else Precision.FP32
    precision = Precision.INT8 if int8 else precision
    if is_supported(prior, precision):
        return NativeDecoder(prior, rows, settings, precision, threads=threads)
    if prior.device.type == "cuda":
        return GraphDecoder(prior, rows, settings)
    return EagerDecoder(prior, rows, settings)
