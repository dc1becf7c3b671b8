"""Checks of models: untrained and broken ones fail, and the reference sound is music."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.evaluation.check import Finding, check_codec, check_prior, chords
from jukectl.prior.labels import LabelBatch

CPU = torch.device("cpu")


def test_a_finding_of_nan_or_infinity_is_never_good() -> None:
    def finding(value: float) -> Finding:
        return Finding(part="top", what="bits per code", value=value, bound=2.0, unit="bits")

    assert [finding(value).good for value in (1.9, 2.0, 2.1, math.nan, math.inf)] == [True, True, False, False, False]


def test_an_untrained_codec_fails_the_check(tiny_model: Path) -> None:
    sound = chords(2.0, 8_000)[: 15_872 // 256 * 256]
    finding, codes = check_codec(ModelFolder(tiny_model).vqvae(CPU), sound, Level.TOP)
    assert not finding.good
    assert codes.shape == (15_872 // 256,)


@pytest.mark.parametrize("level", list(Level))
def test_an_untrained_prior_fails_the_check_with_finite_logits(level: Level, tiny_model: Path) -> None:
    prior = ModelFolder(tiny_model).prior(level, CPU)
    codes = torch.randint(32, (1, 64))
    upper = None if level is Level.TOP else torch.randint(32, (1, 16))
    labels = LabelBatch.repeat(1, slots=2, total_length=16_384, sample_length=prior.config.window_samples)
    found = {finding.what: finding for finding in check_prior(prior, codes, labels, upper)}
    assert found["logits that are no numbers"].good
    assert not found["bits per code"].good


def test_one_weight_of_nan_fails_the_check(tiny_model: Path) -> None:
    prior = ModelFolder(tiny_model).prior(Level.TOP, CPU)
    prior.get_parameter("transformer.blocks.0.mlp_in.weight").data[0, 0] = torch.nan
    labels = LabelBatch.repeat(1, slots=2, total_length=16_384, sample_length=prior.config.window_samples)
    assert not any(finding.good for finding in check_prior(prior, torch.zeros(1, 64, dtype=torch.int64), labels, None))


def test_the_reference_sound_is_chords_that_fade() -> None:
    sound = chords(4.0, 8_000)
    assert sound.dtype == np.float32
    assert len(sound) == 32_000
    assert np.abs(sound).max() == pytest.approx(0.5)
    first = np.abs(np.fft.rfft(sound[:4_000]))
    frequency = first.argmax() * 2  # Hz, of half a second
    assert min(abs(frequency - note) for note in (110, 220, 261.6, 329.6)) < 3
    assert np.abs(sound[:800]).mean() > 2 * np.abs(sound[3_200:4_000]).mean()
