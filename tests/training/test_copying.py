"""The watch for copying: it sees a model that knows its songs by heart, and leaves one alone that does not."""

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
    size = {"width": 64, "depth": 1, "heads": 2, "blocks": 4, "codebook_size": 64, "tied_head": False}
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


def test_chance_is_no_copying(prior):
    copied = CopyWatch(songs(*noise(1, 2)), songs(*noise(3)).spread(3), 24, seed=0).look(prior)
    assert copied.length <= 4
    assert not copied.clear


def test_a_model_that_knows_a_song_by_heart_is_seen_with_the_place(prior):
    training = songs(*noise(1), np.arange(7, 207) % 64)
    held_out = songs(*noise(3)).spread(2)
    copied = CopyWatch(training, held_out, 24, seed=0).look(counting(prior))
    assert copied.clear
    assert (copied.length, copied.song) == (24, 1)
    began = {int(segment.codes[0, -25]) + 1 for segment in held_out}  # each goes on from its own last code
    assert (copied.start + 7) % 64 in began


def test_a_look_leaves_no_trace_and_is_the_same_again(prior):
    watch = CopyWatch(songs(*noise(1)), songs(*noise(3)).spread(2), 16, seed=7)
    before = {name: tensor.clone() for name, tensor in prior.state_dict().items()}
    first = watch.look(prior)
    assert watch.look(prior) == first
    assert all(torch.equal(tensor, before[name]) for name, tensor in prior.state_dict().items())
    prior.bits(torch.zeros(1, 8, dtype=torch.int64), songs(*noise(3)).spread(1)[0].labels).mean().backward()


def test_what_held_out_music_shares_is_the_yardstick(prior):
    training = songs(*noise(1))
    assert CopyWatch(training, training.spread(2), 16, seed=0).held_out == 16  # a remix shares all of it
    assert CopyWatch(training, songs(*noise(2)).spread(2), 16, seed=0).held_out <= 3


@pytest.mark.parametrize(
    ("length", "held_out", "clear"), [(16, 0, False), (17, 0, True), (40, 20, False), (41, 20, True)]
)
def test_copying_is_clear_beyond_twice_the_yardstick_and_16_codes(length, held_out, clear):
    assert Copied(length, held_out, 0, 0).clear is clear
