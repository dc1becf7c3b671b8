"""The precision and the parallel spans that are chosen for a prior."""

from dataclasses import replace

import pytest
import torch
from tiny_priors import tiny_config

from jukectl.checkpoints.configurations import BOTTOM, TOP_1B_LYRICS
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.errors import BadInput
from jukectl.native.library import library
from jukectl.plan.calibration import scaled_speed
from jukectl.plan.device import Machine
from jukectl.plan.parallel import spans_for
from jukectl.plan.precision import footprints, precisions
from jukectl.plan.request import AUTO, Request
from jukectl.sampling.footprint import BatchPlan

CPU = Machine(torch.device("cpu"))
needs_step = pytest.mark.skipif(library() is None, reason="there was no compiler when jukectl was installed")


@needs_step
def test_large_priors_are_sampled_in_int8_on_processors_and_small_ones_in_float32():
    assert precisions(CPU, BOTTOM, given=False)[0] == "int8"
    assert precisions(CPU, tiny_config(), given=False)[0] == "fp32"
    assert precisions(Machine(torch.device("cuda"), "bf16"), BOTTOM, given=False)[0] == "bf16"


def test_a_level_keeps_the_precision_it_was_begun_in():
    assert precisions(CPU, BOTTOM, given=False, before="fp32")[0] == "fp32"
    assert precisions(replace(CPU, precision="bf16"), BOTTOM, given=True, before="fp32") == ["bf16"]


@needs_step
def test_a_large_prior_is_in_memory_once():
    (packed,) = footprints(BOTTOM, CPU, ["int8"], retains_freed=False)
    (adapted,) = footprints(BOTTOM, CPU, ["int8"], retains_freed=False, adapted=True)
    blocks = BOTTOM.depth * (4 * 480 * 1_920 + 2 * 1_920**2)
    assert adapted.weights - packed.weights == 4 * blocks
    assert packed.packed == pytest.approx(blocks, rel=0.02)


@needs_step
def test_auto_takes_as_many_spans_as_fit_in_memory_if_reading_the_weights_limits_the_speed():
    (size,) = footprints(BOTTOM, CPU, ["int8"], retains_freed=False)
    for count in (1, 4, 16):
        memory = size.total(BatchPlan(count))
        assert spans_for(BOTTOM, CPU, memory, Request(), adapted=False) == count
        assert spans_for(BOTTOM, CPU, memory, Request(samples=2), adapted=False) == max(1, count // 2)


def test_auto_is_for_commands_that_know_the_machine():
    request = Request(settings={"parallel": dict.fromkeys(Level, AUTO)})
    assert request.sampling(Level.TOP, {}).parallel == 1
    with pytest.raises(BadInput, match="give a number"):
        request.sampling(Level.MIDDLE, {})


@needs_step
@pytest.mark.parametrize("config", [TOP_1B_LYRICS, BOTTOM], ids=["top", "bottom"])
def test_a_few_layers_are_measured_in_place_of_a_large_prior(config, monkeypatch):
    monkeypatch.setattr("jukectl.sampling.timing.last_cache", lambda: 2**20)  # the buffer that evicts it is small then
    small = replace(config, width=64, context=256, blocks=8, artists=2, genres=2)
    if config.conditioner:
        small = replace(small, conditioner=replace(config.conditioner, width=8, depth=2))
    machine = replace(CPU, precision="int8", threads=1)
    speed = scaled_speed(small, machine, BatchPlan(2), LevelSampling(), prefix=32)
    assert speed.new > 0
    assert speed.prefix >= 0
