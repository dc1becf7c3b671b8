"""Estimated memory of sampling, compared with measurements, and the largest plan that fits."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from jukectl.codes.level import Level
from jukectl.native.library import library
from jukectl.prior.config import (
    FACTORED,
    AttentionKind,
    ConditionerConfig,
    EncoderConfig,
    LyricsConfig,
    MidiConfig,
    PriorConfig,
    TimingConfig,
    with_encoder,
)
from jukectl.prior.model import Prior
from jukectl.sampling.footprint import BatchPlan, Footprint, choose_memory_plan, chunk_sizes, minimum_bytes, parameters

GB = 10**9

PLAIN = PriorConfig(
    level=Level.TOP, context=4_096, width=512, depth=6, heads=2, blocks=64, hop=128, timing=TimingConfig()
)
KINDS = {
    "top": PLAIN,
    "upsampler": replace(
        PLAIN, level=Level.MIDDLE, timing=None, conditioner=ConditionerConfig(width=256, depth=4, downs=2)
    ),
    "encoder": replace(
        PLAIN,
        depth=10,
        pattern=(*FACTORED * 3, AttentionKind.ENCODER),
        lyrics=LyricsConfig(characters=256, alphabet=80, encoder=EncoderConfig(width=256, depth=3, heads=2, blocks=16)),
    ),
    "apart": replace(
        PLAIN,
        depth=8,
        pattern=(*FACTORED, AttentionKind.ENCODER),
        lyrics=LyricsConfig(characters=512, alphabet=80, apart=True),
    ),
    "notes": replace(PLAIN, midi=MidiConfig()),
    "rotary": replace(
        PLAIN, context=1_024, positions="rotary", pattern=(AttentionKind.DENSE, AttentionKind.WINDOW), window=256
    ),
    "one sequence": replace(
        PLAIN,
        context=3_840,
        pattern=(*FACTORED, AttentionKind.LYRICS, AttentionKind.DENSE),
        lyrics=LyricsConfig(characters=256, alphabet=79),
        tied_head=False,
    ),
}
PUBLISHED_TOP = PriorConfig(  # as published without lyrics, but in the order of the one with them
    level=Level.TOP,
    context=8_192,
    width=4_800,
    depth=79,
    heads=8,
    blocks=128,
    hop=128,
    artists=4_111,
    genres=120,
    genre_slots=5,
    timing=TimingConfig(),
    pattern=with_encoder(79),
    lyrics=LyricsConfig(characters=512, alphabet=80, encoder=EncoderConfig(width=1_280, depth=18, heads=4, blocks=32)),
)

CHILD = """
import os, sys
sys.path[:0] = [{folder!r}, {support!r}]
from test_footprint import KINDS, Footprint, BatchPlan, Prior
import numpy as np, torch
from jukectl.codes.archive import Codes
from jukectl.codes.recipe import LevelSampling
from jukectl.midi.notes import Notes
from jukectl.midi.roll import CoveredNotes
from jukectl.nn.unallocated import unallocated
from jukectl.plan.free_memory import give_back_at_once
from level_jobs import fill, level_job
torch.set_num_threads(1)
if sys.argv[5] == "False":
    give_back_at_once()  # as where memory is short
name, precision, samples, chunk = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) or None
config, number = KINDS[name], {{"fp32": torch.float32, "bf16": torch.bfloat16}}[precision]

def memory(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

with unallocated():
    prior = Prior(config)
before = memory("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # resets the peak
state = prior.state_dict()
tensors = {{key: torch.empty(one.shape, dtype=number).normal_(std=0.02) for key, one in state.items()}}
prior.load_state_dict(tensors, assign=True)
prior.requires_grad_(False).eval()
done = config.context - 20
array = np.random.default_rng(0).integers(0, 2_048, (samples, done)).astype(np.uint16)
codes = Codes(level=config.level, array=array, prompt=0, hop=config.hop, sample_rate=44_100, codebook_size=2_048,
              vqvae="x")
upper = array[:, : config.upper_context] if config.conditioner else None
job = level_job(prior=prior, total=config.context, seed=0, sampling=LevelSampling(top_p=0.9),
                song_samples=10**7, upper=upper,
                notes=CoveredNotes(Notes.of([(1, 2, 60, 80, False)]), 0, 3) if config.midi else None)
for _ in fill(job, codes, lambda done: None, BatchPlan(samples, chunk)):
    pass
print(memory("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read as Linux gives them")
@pytest.mark.parametrize(
    ("name", "precision", "samples", "chunk", "retains_freed"),
    [
        ("top", "fp32", 2, None, True),
        ("upsampler", "fp32", 1, 512, False),
        ("one sequence", "bf16", 2, 1_024, False),
        ("apart", "fp32", 1, None, False),
        pytest.param("notes", "fp32", 2, 512, False, marks=pytest.mark.slow),
        pytest.param("rotary", "fp32", 1, None, False, marks=pytest.mark.slow),
    ],
)
def test_measured_memory_of_sampling_is_just_below_the_estimate(
    name, precision, samples, chunk, retains_freed, warm_python
):
    folder = Path(__file__).parent
    child = CHILD.format(folder=str(folder), support=str(folder.parent / "support"))
    command = [*warm_python, "-c", child, name, precision, str(samples), str(chunk or 0), str(retains_freed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    measured = int(done.stdout)
    reckoned = Footprint(KINDS[name], precision, row_by_row=True, retains_freed=retains_freed)
    most = reckoned.total(BatchPlan(samples, chunk))
    assert measured <= most
    assert most <= (2.0 if retains_freed else 1.5) * measured


@pytest.mark.parametrize("name", KINDS)
def test_estimated_weights_and_cache_are_those_of_the_model(name):
    config = KINDS[name]
    footprint = Footprint(config, "bf16")
    with torch.device("meta"):
        prior = Prior(config)
        cache = prior.new_cache(1)
    assert footprint.weights == 2 * parameters(config) == 2 * sum(one.numel() for one in prior.parameters())
    assert footprint.cache == 2 * sum(layer.numel() for layer in cache.layers)


def test_the_estimate_for_5b_agrees_with_published_measurements():
    half = Footprint(PUBLISHED_TOP, "fp16")
    assert 11 * GB < half.weights < 11.5 * GB
    assert 0.9 * GB < half.cache < 1.2 * GB  # about 1 GB a sample
    assert 12 * GB < minimum_bytes(half) < 14 * GB
    assert minimum_bytes(replace(half, precision="fp32")) > 22 * GB


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("row_by_row", [False, True])
def test_larger_batch_plans_take_more_memory(name, row_by_row):
    footprint = Footprint(KINDS[name], "fp32", row_by_row=row_by_row)
    totals = [
        [footprint.total(BatchPlan(samples, chunk)) for chunk in chunk_sizes(KINDS[name])] for samples in range(1, 9)
    ]
    for fewer, more in pairwise(totals):
        assert all(less < much for less, much in zip(fewer, more, strict=True))
    # between them it need not fall: in pieces a dense layer has a mask to hold
    assert all(row[-1] == min(row) for row in totals)
    # the compiled step reads a few positions at a time in any case
    assert totals[0][-1] < totals[0][0] or (row_by_row and library() is not None)


@pytest.mark.parametrize(
    ("name", "memory", "row_by_row"),
    [
        ("top", 0.17, False),
        ("top", 0.3, True),
        ("upsampler", 0.5, False),
        ("encoder", 1.0, True),
        ("apart", 3.0, False),
        ("notes", 0.3, False),
        ("rotary", 0.2, True),
        ("one sequence", 0.5, True),
    ],
)
def test_the_memory_plan_prefers_samples_and_then_larger_chunks(name, memory, row_by_row):
    footprint, room = Footprint(KINDS[name], "fp32", row_by_row=row_by_row), round(memory * GB)
    fitting = [
        BatchPlan(samples, chunk)
        for samples in range(1, 9)
        for chunk in chunk_sizes(KINDS[name])
        if footprint.total(BatchPlan(samples, chunk)) <= room
    ]
    plan = choose_memory_plan([footprint], 8, room)
    if not fitting:
        assert plan is None
        assert minimum_bytes(footprint) > room
        return
    best = max(fitting, key=lambda one: (one.samples, one.chunk or 10**9))
    assert plan is not None
    assert (plan.batch, plan.precision, plan.bytes) == (best, "fp32", footprint.total(best))


def test_a_lower_precision_is_chosen_only_if_one_sample_does_not_fit():
    full, half = (Footprint(PLAIN, precision) for precision in ("fp32", "bf16"))
    barely = choose_memory_plan([full, half], 8, minimum_bytes(full))
    assert barely is not None
    assert (barely.precision, barely.batch.samples) == ("fp32", 1)
    less = choose_memory_plan([full, half], 8, minimum_bytes(full) - 1)
    assert less is not None
    assert less.precision == "bf16"
    assert choose_memory_plan([full, half], 8, minimum_bytes(half) - 1) is None


def test_reserved_memory_is_subtracted_from_the_available():
    footprint = Footprint(PLAIN, "fp32")
    alone, beside = choose_memory_plan([footprint], 9, GB), choose_memory_plan([footprint], 9, GB + 100, reserved=100)
    assert alone is not None
    assert beside is not None
    assert (beside.batch, beside.bytes) == (alone.batch, alone.bytes + 100)
    assert minimum_bytes(footprint, reserved=100) == minimum_bytes(footprint) + 100


def test_the_memory_plan_does_not_exceed_its_limit():
    footprint = Footprint(PLAIN, "fp32")
    held = choose_memory_plan([footprint], 8, 100 * GB, limit=BatchPlan(3, 1_024))
    assert held is not None
    assert held.batch == BatchPlan(3, 1_024)
    free = choose_memory_plan([footprint], 8, 100 * GB, limit=BatchPlan(9))
    assert free is not None
    assert free.batch == BatchPlan(8)
    small = choose_memory_plan(
        [footprint], 8, 100 * GB, limit=BatchPlan(1, PLAIN.block - 1)
    )  # of another model, perhaps
    assert small is not None
    assert small.batch == BatchPlan(1, PLAIN.block)


@pytest.mark.parametrize("name", KINDS)
def test_prefix_chunks_are_whole_blocks_halved_each_time(name):
    config = KINDS[name]
    whole, *pieces = chunk_sizes(config)
    assert whole is None
    assert pieces[-1] == config.block
    assert all(piece % config.block == 0 for piece in pieces)
    lengths = [config.stack.length, *pieces]
    assert all(long / 2 <= short < long for long, short in zip(lengths, pieces, strict=False))


def test_halving_a_batch_plan_ends_with_one_sample_and_the_smallest_chunk():
    batch, seen = BatchPlan(9), []
    while batch is not None:
        seen.append(batch)
        batch = batch.halved(PLAIN)
    assert [one.samples for one in seen[:4]] == [9, 4, 2, 1]
    assert [one.chunk for one in seen[3:]] == chunk_sizes(PLAIN)


@pytest.mark.parametrize(("samples", "at_a_time"), [(1, 1), (4, 2), (5, 2), (5, 1), (4, 4), (5, 9)])
def test_groups_of_a_batch_plan_hold_every_sample_once(samples, at_a_time):
    groups = list(BatchPlan(at_a_time).groups(samples))
    assert [sample for group in groups for sample in group] == list(range(samples))
    assert max(map(len, groups)) <= at_a_time
