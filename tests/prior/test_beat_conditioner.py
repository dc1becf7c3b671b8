"""Conditioning on beat grids: vectors of phases, zeros without them, and a trained prior that gets the layer."""

from dataclasses import replace

import pytest
import torch

from jukectl.midi.beats import BeatGrid
from jukectl.midi.phases import CHANNELS, beat_phases
from jukectl.prior.config import BeatConfig, MidiConfig, PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.prior.surgery import add_beats

CODES = torch.arange(2 * 24).view(2, 24) * 7 % 40


def labels_with(beats: torch.Tensor | None) -> LabelBatch:
    labels = LabelBatch.repeat(2, artist=1, genres=(2,), slots=3, total_length=900, sample_length=192)
    return replace(labels, beats=beats)


def phases(bpm: float = 130) -> torch.Tensor:
    rows = [beat_phases(BeatGrid.from_tempo(bpm, "3/4", 60), start, 24, rate=20) for start in (0, 7)]
    return torch.stack(list(map(torch.from_numpy, rows)))


def trained(config: PriorConfig) -> Prior:
    prior = Prior(replace(config, beats=BeatConfig(width=8))).eval()
    torch.nn.init.normal_(prior.beats.project.weight)
    torch.nn.init.normal_(prior.beats.project.bias)
    return prior


@pytest.mark.parametrize("kind", ["top", "encoded", "merged", "rotary"])
def test_a_prior_with_new_beats_gives_the_same_logits_to_the_bit(kind: str, request: pytest.FixtureRequest) -> None:
    prior = Prior(request.getfixturevalue(kind)).eval()
    with torch.no_grad():
        before = prior(CODES, labels_with(None))
        add_beats(prior, BeatConfig(width=8))
        assert torch.equal(prior(CODES, labels_with(None)), before)
        assert torch.equal(prior(CODES, labels_with(phases())), before)
    with pytest.raises(ValueError, match="follows beats already"):
        add_beats(prior, BeatConfig())


def test_codes_without_a_grid_get_zeros_and_those_with_one_do_not(top: PriorConfig) -> None:
    prior, half = trained(top), phases()
    half[:, :10] = 0
    with torch.no_grad():
        vectors = prior.beats(labels_with(half))
        assert not vectors[:, :10].any()
        assert vectors[:, 10:].abs().sum(dim=2).min() > 0
        none = prior(CODES, labels_with(torch.zeros(2, 24, CHANNELS)))
        assert torch.equal(none, prior(CODES, labels_with(None)))


@pytest.mark.parametrize("timing", [True, False])
def test_logits_depend_on_the_tempo_beside_notes_and_alone(timing: bool, top: PriorConfig) -> None:
    prior = trained(top if timing else replace(top, timing=None, midi=MidiConfig(width=8, depth=2)))
    with torch.no_grad():
        slow, fast, none = (prior(CODES, labels_with(one)) for one in (phases(90), phases(150), None))
    assert not torch.allclose(slow, fast, atol=1e-3)
    assert not torch.allclose(slow, none, atol=1e-3)


def test_decoding_with_a_grid_gives_the_logits_of_the_full_pass(rotary: PriorConfig) -> None:
    prior, labels = trained(rotary), labels_with(phases())
    with torch.inference_mode():
        full, conditioning, cache = prior(CODES, labels), prior.conditioning(labels), prior.new_cache(2)
        steps = [prior.prefill(CODES[:, :5], conditioning, cache)]
        steps += [prior.step(CODES[:, at - 1], at, conditioning, cache) for at in range(6, 24)]
    assert torch.allclose(torch.stack(steps, dim=1), full[:, 5:], atol=1e-4)


def test_all_of_the_layer_learns_after_the_first_step(top: PriorConfig) -> None:
    prior = Prior(replace(top, beats=BeatConfig(width=8)))
    optimizer = torch.optim.SGD(prior.beats.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        prior.loss(CODES, labels_with(phases())).backward()
        optimizer.step()
    assert all(parameter.grad.abs().sum() > 0 for parameter in prior.beats.parameters())


def test_an_upsampler_with_beats_is_refused(upsampler: PriorConfig) -> None:
    with pytest.raises(ValueError, match="from the codes above"):
        replace(upsampler, beats=BeatConfig())
