"""Detection of copying: a memorized song is reported, and a model that does not copy is not."""

from typing import Any

import numpy as np
import pytest
import torch

from jukectl.codes.level import Level
from jukectl.data.segments import SegmentSet, Song
from jukectl.prior.config import PriorConfig
from jukectl.prior.labels import Conditioning
from jukectl.prior.model import Prior
from jukectl.training.copying import Copied, CopyWatch

CONTEXT = 64


@pytest.fixture
def prior():
    torch.manual_seed(0)
    size: dict[str, Any] = {"width": 64, "depth": 1, "heads": 2, "blocks": 4, "codebook_size": 64, "tied_head": False}
    return Prior(PriorConfig(level=Level.TOP, context=CONTEXT, hop=4, **size))


def noise(*seeds):
    return [np.random.default_rng(seed).integers(0, 64, 200) for seed in seeds]


def songs(*some):
    found = [Song(one.astype(np.uint16), None, Conditioning(song_samples=len(one) * 4)) for one in some]
    return SegmentSet(found, context=CONTEXT, ratio=1, hop=4, slots=1)


@torch.no_grad()
def counting(prior):
    """A prior that has learned one thing: after every code comes the next higher one."""
    for parameter in prior.parameters():
        parameter.zero_()
    prior.codes.weight.copy_(torch.eye(64))
    prior.head.copy_(50 * torch.eye(64).roll(1, dims=0))
    return prior


def test_random_overlap_is_not_copying(prior):
    copied = CopyWatch(songs(*noise(1, 2)), songs(*noise(3)).spread(3), 24, seed=0).measure(prior)
    assert copied.length <= 4
    assert not copied.is_copying


def test_a_memorized_song_is_detected_with_its_position(prior):
    training = songs(*noise(1), np.arange(7, 207) % 64)
    held_out = songs(*noise(3)).spread(2)
    copied = CopyWatch(training, held_out, 24, seed=0).measure(counting(prior))
    assert copied.is_copying
    assert (copied.length, copied.song) == (24, 1)
    began = {int(segment.codes[0, -25]) + 1 for segment in held_out}  # each continues its last code
    assert (copied.start + 7) % 64 in began


def test_measuring_is_deterministic_and_leaves_the_model_unchanged(prior):
    watch = CopyWatch(songs(*noise(1)), songs(*noise(3)).spread(2), 16, seed=7)
    before = {name: tensor.clone() for name, tensor in prior.state_dict().items()}
    first = watch.measure(prior)
    assert watch.measure(prior) == first
    assert all(torch.equal(tensor, before[name]) for name, tensor in prior.state_dict().items())
    prior.bits(torch.zeros(1, 8, dtype=torch.int64), songs(*noise(3)).spread(1)[0].labels).mean().backward()


def test_the_copying_baseline_is_the_overlap_of_held_out_music(prior):
    training = songs(*noise(1))
    assert CopyWatch(training, training.spread(2), 16, seed=0).held_out == 16  # a remix shares all of it
    assert CopyWatch(training, songs(*noise(2)).spread(2), 16, seed=0).held_out <= 3


@pytest.mark.parametrize(
    ("length", "held_out", "copying"), [(16, 0, False), (17, 0, True), (40, 20, False), (41, 20, True)]
)
def test_runs_over_twice_the_baseline_and_16_codes_count_as_copying(length, held_out, copying):
    assert Copied(length, held_out, 0, 0).is_copying is copying
