"""The compiled step and torch sample the same 10,000 codes of the embedded model, up to rounding."""

import pytest
import torch

from jukectl.checkpoints import catalogue
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.native.library import library
from jukectl.native.packing import Precision
from jukectl.prior.labels import LabelBatch
from jukectl.sampling.decoders.base import EagerDecoder
from jukectl.sampling.decoders.native import NativeDecoder

WINDOWS, CODES = 10, 1_000
ROUNDING = 1e-4  # of probability: what float32 logits may be off by


@pytest.mark.slow
@pytest.mark.skipif(library() is None, reason="there was no compiler when jukectl was installed")
@pytest.mark.parametrize("level", [Level.TOP, Level.BOTTOM])
def test_compiled_step_and_torch_agree_on_ten_thousand_codes_up_to_rounding(level):
    prior = catalogue.find("mini").prior(level, torch.device("cpu"))
    config, settings = prior.config, LevelSampling(temperature=0.95)
    eager = EagerDecoder(prior, 1, settings)
    native = NativeDecoder(prior, 1, settings, Precision.FP32)
    torch.manual_seed(0)
    prefix, others = torch.randint(0, config.codebook_size, (1, 24)), 0
    for window in range(WINDOWS):
        labels = LabelBatch.repeat(
            1,
            artist=1 + window % (config.artists - 1),
            genres=(1 + window % (config.genres - 1),),
            slots=config.genre_slots,
            total_length=40 * config.sample_rate,
            offset=window * CODES * config.hop,
            sample_length=config.window_samples,
        )
        upper = torch.randint(0, 2_048, (1, config.upper_context)) if config.conditioner else None
        conditioning = prior.conditioning(labels, upper)
        uniform = torch.rand(1, CODES, dtype=torch.float64)
        for decoder in (eager, native):
            decoder.begin(prefix, conditioning)
        made = 0
        while made < CODES:
            one, other = (decoder.decode(uniform[:, made : made + 1]) for decoder in (eager, native))
            if one != other:  # both go on from the same code, so that later ones can be compared
                others += 1
                weights = (eager._logits.double() / settings.temperature).softmax(-1)[0].cumsum(0)
                lower, upper_id = sorted((int(one), int(other)))
                edges = weights[lower:upper_id]
                assert (edges - uniform[0, made]).abs().max() < ROUNDING
                native._last = torch.tensor([int(one)])
            made += 1
        prefix = torch.randint(0, config.codebook_size, (1, 24))
    assert others <= 5
