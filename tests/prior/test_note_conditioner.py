"""Notes told to a top prior: what a position hears of, what silence is, and that no notes are none."""

from dataclasses import replace

import pytest
import torch

from jukectl.midi.notes import Notes
from jukectl.midi.roll import CHANNELS, PITCHES, piano_roll
from jukectl.prior.config import ConditionerConfig, MidiConfig, PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior

MIDI = MidiConfig(width=8, depth=2)  # sees 1 + 1 + 3 codes to either side


def make_prior(config):
    """A prior whose new layers have learned something."""
    prior = Prior(config).eval()
    with torch.no_grad():
        for parameter in prior.midi.parameters():
            if not parameter.any():
                parameter.normal_(std=0.5)
    return prior


@pytest.fixture
def playing(top):
    return make_prior(replace(top, midi=MIDI))


def labels(*rolls, frames=24):
    told = LabelBatch.repeat(max(len(rolls), 1), slots=3, total_length=900, sample_length=192)
    return replace(told, notes=torch.stack(rolls)) if rolls else told


def roll(*notes, frames=24):
    """One frame a second, so that notes are told in frames."""
    return torch.from_numpy(piano_roll(Notes.of([(*one, 80, False) for one in notes]), 0, frames, rate=1.0))


def codes(batch=1):
    return torch.arange(batch * 24).view(batch, 24) * 7 % 40


@torch.no_grad()
def positions(prior, told):
    return prior.conditioning(told).positions


def test_a_note_affects_codes_within_the_reach_of_the_conditioner_only(playing):
    assert playing.midi.reach == 5
    silent, played = (positions(playing, labels(one)) for one in (roll(), roll((12, 13, 60))))
    heard = torch.nonzero((silent - played).abs().sum(-1)[0] > 1e-6).flatten()
    assert (heard.min(), heard.max()) == (12 - 5, 12 + 5)


def test_every_channel_of_a_roll_affects_the_conditioner(playing):
    silent = positions(playing, labels(roll()))
    for channel in (1, PITCHES, PITCHES + 1, 2 * PITCHES + 1, CHANNELS - 1):
        told = roll()
        told[10, channel] = 1
        assert (positions(playing, labels(told)) - silent).abs().max() > 1e-3


def test_a_window_without_notes_gets_zeros(playing, top):
    """Beside one that is told some, and also where the others of its batch are told none."""
    plain = positions(playing, labels())
    both = positions(playing, labels(torch.zeros_like(roll()), roll((3, 9, 50))))
    assert torch.equal(both[:1], plain)
    assert not torch.equal(both[1:], plain)


def test_covered_silence_differs_from_no_notes(playing):
    assert not torch.equal(positions(playing, labels(roll())), positions(playing, labels()))


def test_without_timing_and_notes_the_positions_are_zeros(top):
    prior = make_prior(replace(top, timing=None, midi=MIDI))
    assert torch.equal(positions(prior, labels()), torch.zeros(1, 24, 64))


def test_steps_say_what_a_whole_pass_says(playing):
    told = labels(roll((0, 9, 60), (11, 20, 64)), roll((3, 5, 70)))
    given = codes(2)
    with torch.no_grad():
        whole = playing(given, told)
    conditioning, cache = playing.conditioning(told), playing.new_cache(2)
    steps = [playing.prefill(given[:, :5], conditioning, cache)]
    steps += [playing.step(given[:, place - 1], place, conditioning, cache) for place in range(6, 24)]
    torch.testing.assert_close(torch.stack(steps, dim=1), whole[:, 5:], rtol=1e-4, atol=1e-4)


def test_each_row_has_its_own_notes(playing):
    told = labels(roll((0, 9, 60)), roll((3, 5, 70)))
    both = playing.conditioning(told)
    for row in range(2):
        alone = playing.conditioning(told.row(row))
        assert torch.equal(both.row(row).positions, alone.positions)


def test_an_upsampler_cannot_have_notes(top):
    with pytest.raises(ValueError, match="midi is for a top prior"):
        replace(top, timing=None, conditioner=ConditionerConfig(width=8, depth=1, downs=2), midi=MIDI)


def test_the_config_travels_as_plain_values(top):
    config = replace(top, midi=MidiConfig(width=8, depth=3, cycle=2))
    assert PriorConfig.from_dict(config.to_dict()) == config
    assert "midi" not in top.to_dict()
    with pytest.raises(ValueError, match="MidiConfig has no field size"):
        PriorConfig.from_dict({**top.to_dict(), "midi": {"size": 3}})
