"""A prior with damaged weights ends the sampling with one line, with every decoder."""

import pytest
import torch

from jukectl.codes.recipe import LevelSampling
from jukectl.errors import BadModel
from jukectl.native.packing import Precision
from jukectl.prior.config import PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.sampling.decoders import native
from jukectl.sampling.decoders.base import EagerDecoder
from jukectl.sampling.decoders.cuda_graph import GraphDecoder
from jukectl.sampling.draw import NOT_FINITE, draw

SETTINGS = LevelSampling(temperature=1.0, advance=0.5)


@pytest.mark.parametrize(("temperature", "top_k"), [(0, 0), (1, 3), (1, 0)])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_row_of_logits_that_are_not_finite_gives_no_code(temperature, top_k, bad):
    logits = torch.randn(3, 8)
    logits[1, 5] = bad
    drawn = draw(logits, torch.full((3,), 0.5, dtype=torch.float64), temperature=temperature, top_k=top_k, top_p=1)
    assert drawn[1] == NOT_FINITE
    assert (drawn[[0, 2]] >= 0).all()


def test_logits_of_minus_infinity_forbid_a_code():
    logits = torch.tensor([[0.0, -torch.inf]])
    assert draw(logits, torch.tensor([0.99], dtype=torch.float64), temperature=1, top_k=0, top_p=1).tolist() == [0]


@pytest.mark.parametrize("decoder", [EagerDecoder, GraphDecoder, native.NativeDecoder])
def test_every_decoder_refuses_a_prior_with_a_weight_that_is_not_a_number(decoder, top: PriorConfig):
    prior = Prior(top).requires_grad_(False).eval()
    if decoder is native.NativeDecoder and not native.is_supported(prior, Precision.FP32):
        pytest.skip("needs the compiled step")
    with torch.no_grad():
        prior.get_parameter("transformer.blocks.0.mlp_in.bias")[3] = torch.nan
    more = (Precision.FP32,) if decoder is native.NativeDecoder else ()
    made = decoder(prior, 2, SETTINGS, *more)
    span = top.window_samples
    labels = LabelBatch.repeat(2, slots=top.genre_slots, total_length=span, sample_length=span)
    with torch.inference_mode():
        made.begin(torch.zeros(2, 3, dtype=torch.int64), prior.conditioning(labels, None))
    with pytest.raises(BadModel, match=r"logits of the top prior are not finite.*jukectl models check"):
        made.decode(torch.full((2, 4), 0.5, dtype=torch.float64))
