"""A trained prior that is taught to follow notes: at first it says to the bit what it said, and all of it learns."""

from dataclasses import replace

import pytest
import torch

from jukectl.midi.roll import CHANNELS
from jukectl.prior.config import MidiConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.prior.surgery import add_midi

CODES = torch.arange(2 * 24).view(2, 24) * 7 % 40


def told(notes):
    labels = LabelBatch.repeat(2, artist=1, genres=(2,), slots=3, total_length=900, sample_length=192)
    return replace(labels, notes=notes)


def some_notes():
    return (torch.rand(2, 24, CHANNELS) < 0.05).to(torch.uint8).index_fill_(2, torch.tensor([0]), 1)


@pytest.mark.parametrize("kind", ["top", "encoded", "apart", "merged", "published_merged"])
def test_adding_layers_does_not_change_the_logits_by_a_bit(kind, request):
    prior = Prior(request.getfixturevalue(kind)).eval()
    with torch.no_grad():
        before = prior(CODES, told(None))
        add_midi(prior, MidiConfig(width=8, depth=2))
        assert torch.equal(prior(CODES, told(None)), before)
        assert torch.equal(prior(CODES, told(some_notes())), before)


def test_after_a_step_every_new_parameter_has_a_gradient(top):
    prior = Prior(top)
    add_midi(prior, MidiConfig(width=8, depth=2))
    optimizer = torch.optim.Adam(prior.midi.parameters(), lr=0.1)
    notes = told(some_notes())
    for _ in range(3):  # the projection first, then what leads to it, then the blocks that begin as the identity
        optimizer.zero_grad()
        prior.loss(CODES, notes).backward()
        optimizer.step()
    without = [name for name, one in prior.midi.named_parameters() if not one.grad.any()]
    assert without == []


def test_a_prior_is_taught_once(top):
    prior = Prior(top)
    add_midi(prior, MidiConfig(width=8, depth=2))
    assert prior.config.midi == MidiConfig(width=8, depth=2)
    with pytest.raises(ValueError, match="already"):
        add_midi(prior, MidiConfig())


def test_adding_notes_to_an_upsampler_is_refused_without_changes(upsampler):
    prior = Prior(upsampler)
    with pytest.raises(ValueError, match="top prior"):
        add_midi(prior, MidiConfig())
    assert prior.midi is None
