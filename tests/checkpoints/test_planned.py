"""Published models that are not here: their card, and estimates from their shapes alone."""

import json

import pytest
import torch

from jukectl.checkpoints.planned import PlannedModel
from jukectl.checkpoints.published import PUBLISHED
from jukectl.cli.main import main
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.errors import BadModel
from jukectl.plan import calibration
from jukectl.plan.device import Machine
from jukectl.sampling.footprint import BatchPlan, parameters


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_configurations_have_the_published_numbers_of_parameters(name):
    model = PlannedModel.called(name)
    stated = PUBLISHED[name].parameters
    for level, config in model.card.priors.items():
        assert parameters(config) == pytest.approx(stated[level.label], rel=0.01)
    assert model.parameters() == sum(stated.values())
    assert model.vqvae(torch.device("cpu"), (Level.TOP,)).config.sample_rate == 44_100


def test_what_needs_the_weights_says_how_to_get_them():
    with pytest.raises(BadModel, match=r"5b-lyrics is not here\. Fetch it with: jukectl models pull 5b-lyrics"):
        PlannedModel.called("5b-lyrics").prior(Level.TOP, torch.device("cpu"))


class OneNanosecondAByte:
    """A machine's memory, of which the speed is known."""

    def __init__(self, device, size):
        self.times = self
        self.minimum = 1e-9

    def read(self):
        """Nothing to measure."""


@pytest.mark.parametrize(("precision", "width"), [("fp32", 4), ("bf16", 2)])
def test_a_planned_code_takes_as_long_as_its_weights_are_read(monkeypatch, precision, width):
    monkeypatch.setattr(calibration, "Memory", OneNanosecondAByte)
    monkeypatch.setattr(calibration, "_seconds_a_multiplication", lambda machine: 1e-12)
    config = PlannedModel.called("5b").card.priors[Level.TOP]
    machine = Machine(torch.device("cpu"), precision)
    speed = calibration.planned_speed(config, machine, BatchPlan(1), LevelSampling(temperature=1.0))
    least = width * PUBLISHED["5b"].top_parameters * 1e-9
    assert least < speed.new < 1.5 * least  # keys and values are read too
    assert speed.prefix == pytest.approx(1.3 * PUBLISHED["5b"].top_parameters * 1e-12, rel=0.01)
    assert speed.load == pytest.approx(least, rel=0.02)  # at a gigabyte a second


def test_a_dry_run_of_a_model_that_is_not_here_needs_no_names(capsys):
    options = ["--model", "1b-lyrics", "--precision", "bf16", "--levels", "top", "--seconds", "20"]
    assert main(["--json", "sample", "--dry-run", "--artist", "Anybody", *options]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    weights = 2 * PUBLISHED["1b-lyrics"].top_parameters
    assert weights < facts["memory_bytes"] < 2 * weights  # with the window of one sample
    assert facts["seconds"] > 0
    assert "1b-lyrics is not here: planned from its shapes" in err
    assert main(["sample", *options]) == 2  # to make the song takes the weights
    assert "jukectl models pull 1b-lyrics" in capsys.readouterr().err
