"""Sampling conditioned on notes: per window, with every decoder, and with guidance."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from level_jobs import fill, level_job
from tiny_priors import tiny_config

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.midi.notes import Notes
from jukectl.midi.roll import CoveredNotes
from jukectl.native.library import library
from jukectl.native.packing import Precision
from jukectl.prior.config import MidiConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.sampling.decoders.base import EagerDecoder
from jukectl.sampling.decoders.native import NativeDecoder
from jukectl.sampling.decoders.static_step import StaticStep
from jukectl.sampling.draw import uniforms
from jukectl.sampling.windows import plan_windows

RATE = 1_000 / 8  # codes a second
CONTEXT, TOTAL = 16, 40
CONFIG = tiny_config(hop=8, artists=3, genres=4, midi=MidiConfig(width=8, depth=2))
TUNE = Notes.of([(place / RATE, (place + 3) / RATE, 50 + place, 80, place % 4 == 0) for place in range(0, 40, 5)])
TOLD = CoveredNotes(TUNE, 4 / RATE, 33 / RATE)
FREE = LevelSampling(temperature=1.0, advance=0.5)


def make_prior():
    torch.manual_seed(0)
    prior = Prior(CONFIG).eval().requires_grad_(False)
    prior.midi.project.weight.normal_(std=0.7)
    return prior


PRIOR = make_prior()


def job(**changes):
    values = {
        "prior": PRIOR,
        "total": TOTAL,
        "seed": 5,
        "sampling": FREE,
        "artist": 2,
        "genres": (1,),
        "song_samples": 9_000,
        "notes": TOLD,
        **changes,
    }
    return level_job(**values)


def made(job, done=0, samples=2):
    codes = Codes(
        level=Level.TOP,
        array=np.zeros((samples, done), np.uint16),
        prompt=0,
        hop=8,
        sample_rate=1_000,
        codebook_size=24,
        vqvae="x",
    )
    return [codes, *fill(job, codes, lambda done: None)][-1].array


def plainly(guidance=1.0):
    """Sample without a cache: the roll of a window is that of the song from the window's first code on."""
    row: list[int] = []
    numbers = uniforms(5, Level.TOP, 0, 0, TOTAL)
    for window in plan_windows(TOTAL, context=CONTEXT, advance=CONTEXT // 2, done=0, ratio=1):
        labels = LabelBatch.repeat(
            1, artist=2, genres=(1,), total_length=9_000, offset=window.start * 8, sample_length=CONTEXT * 8
        )
        whole = torch.from_numpy(TOLD.roll(0, TOTAL + CONTEXT, rate=RATE))[None]
        labels = replace(labels, notes=whole[:, window.start : window.start + CONTEXT])
        while len(row) < window.stop:
            seen = torch.tensor([[*row[window.start :], 0]])
            logits = PRIOR(seen, labels)[0, -1].double()
            free = PRIOR(seen, replace(labels.unlabelled(), notes=None))[0, -1].double()
            weights = (free + guidance * (logits - free)).softmax(-1).numpy().cumsum()
            row.append(int(np.searchsorted(weights, numbers[len(row)] * weights[-1], side="right")))
    return row


def test_every_window_is_conditioned_on_its_own_notes():
    assert made(job())[0].tolist() == plainly()


def test_guidance_compares_notes_with_none():
    assert made(job(sampling=replace(FREE, guidance=2.0)))[0].tolist() == plainly(guidance=2.0)


def test_codes_before_the_lookahead_of_notes_are_as_without_them():
    """The conditioner reaches 5 codes to either side, and the first note starts at code 4."""
    late = CoveredNotes(TUNE.moved(25 / RATE), 25 / RATE, 40 / RATE)
    with_notes, without = made(job(notes=late)), made(job(notes=None))
    assert np.array_equal(with_notes[:, :25], without[:, :25])
    assert not np.array_equal(with_notes, without)


def test_a_level_with_notes_resumed_after_any_window_has_the_same_codes():
    whole = list(fill(job(), Codes(**EMPTY), lambda done: None))
    for state in whole[:-1]:
        *_, last = fill(job(), state, lambda done: None)
        assert np.array_equal(last.array, whole[-1].array)


EMPTY: dict[str, Any] = {
    "level": Level.TOP,
    "array": np.zeros((2, 0), np.uint16),
    "prompt": 0,
    "hop": 8,
    "sample_rate": 1_000,
    "codebook_size": 24,
    "vqvae": "x",
}


def conditioning():
    labels = LabelBatch.repeat(2, artist=1, genres=(1,), total_length=9_000, sample_length=CONTEXT * 8)
    rolls = [TOLD.roll(start, CONTEXT, rate=RATE) for start in (0, 11)]
    return PRIOR.conditioning(replace(labels, notes=torch.from_numpy(np.stack(rolls))))


@pytest.mark.skipif(library() is None, reason="there was no compiler when jukectl was installed")
def test_the_compiled_step_samples_the_same_codes_with_notes():
    uniform = torch.rand(2, CONTEXT, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    drawn = []
    for decoder in (EagerDecoder(PRIOR, 2, FREE), NativeDecoder(PRIOR, 2, FREE, Precision.FP32)):
        decoder.begin(torch.zeros(2, 0, dtype=torch.int64), conditioning())
        drawn.append(decoder.decode(uniform))
    assert torch.equal(*drawn)


def test_the_static_step_samples_the_same_codes_with_notes():
    conditioned, codes = conditioning(), torch.arange(2 * CONTEXT).view(2, CONTEXT) * 5 % 24
    cache, static = PRIOR.new_cache(2), StaticStep(PRIOR, 2)
    pairs = [(PRIOR.prefill(codes[:, :3], conditioned, cache), static.begin(codes[:, :3], conditioned))]
    for place in range(4, CONTEXT):
        one = PRIOR.step(codes[:, place - 1], place, conditioned, cache)
        pairs.append((one, static(codes[:, place - 1], torch.tensor([place]))))
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
