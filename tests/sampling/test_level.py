"""Sampling of a level: the prior's inputs, the codes, and their independence of interruptions."""

from typing import Any

import numpy as np
import pytest
import torch
from level_jobs import fill, level_job
from tiny_priors import tiny_prior

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.prior.labels import LabelBatch
from jukectl.sampling.decoders.base import EagerDecoder
from jukectl.sampling.draw import uniforms
from jukectl.sampling.windows import plan_windows

CONTEXT = 16
RATIO = 4
SIZE = 24  # codes in the codebook
SEED = 11


PRIORS = {level: tiny_prior(level, label_scale=20, artists=3, genres=4, genre_slots=2) for level in Level}


def make_job(level=Level.TOP, total=40, samples=2, **changes):
    upper = None
    if level is not Level.TOP:
        upper = np.random.default_rng(0).integers(0, SIZE, (samples, -(-total // RATIO))).astype(np.uint16)
    values: dict[str, Any] = {
        "prior": PRIORS[level],
        "total": total,
        "seed": SEED,
        "sampling": LevelSampling(temperature=1.0, advance=0.5),
        "artist": 2,
        "genres": (1, 3),
        "song_samples": 20_000,
        "upper": upper,
        **changes,
    }
    return level_job(**values)


def make_codes(level=Level.TOP, frames=0, samples=2, prompt=0):
    array = np.random.default_rng(1).integers(0, SIZE, (samples, frames)).astype(np.uint16)
    config = PRIORS[level].config
    return Codes(
        level=level, array=array, prompt=prompt, hop=config.hop, sample_rate=1_000, codebook_size=SIZE, vqvae="x"
    )


def fill_all(job, codes, on_progress=lambda done: None):
    grown = [codes, *fill(job, codes, on_progress)]
    return grown[-1].array


def sampled_slowly(job, codes):
    """Sample the same level without cache and batch: a forward pass for every code of every sample."""
    config = job.prior.config
    rows = []
    for sample in range(codes.samples):
        row = list(codes.array[sample])
        numbers = uniforms(job.seed, job.level, sample, 0, job.total)
        for window in plan_windows(job.total, context=CONTEXT, advance=CONTEXT // 2, done=codes.done, ratio=job.ratio):
            labels = LabelBatch.repeat(
                1,
                artist=2,
                genres=(1, 3),
                slots=2,
                total_length=job.conditioning.song_samples,
                offset=window.start * config.hop,
                sample_length=CONTEXT * config.hop,
            )
            upper = None
            if job.upper is not None:
                span = job.upper[sample, window.start // RATIO : (window.start + CONTEXT) // RATIO]
                upper = torch.from_numpy(span.astype(np.int64))[None]
            while len(row) < window.stop:
                seen = torch.tensor([[*map(int, row[window.start :]), 0]])  # the last one is not looked at
                logits = job.prior(seen, labels, upper)[0, -1].double()
                cumulative = np.cumsum((logits / job.sampling.temperature).softmax(-1).numpy())
                row.append(int(np.searchsorted(cumulative, numbers[len(row)] * cumulative[-1], side="right")))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("level", [Level.TOP, Level.BOTTOM])
@pytest.mark.parametrize(("total", "done"), [(8, 0), (40, 0), (44, 20), (36, 5)])
def test_level_codes_equal_sampling_without_cache_and_batch(level, total, done):
    job, codes = make_job(level, total), make_codes(level, done, prompt=done)
    assert np.array_equal(fill_all(job, codes), sampled_slowly(job, codes))


@pytest.mark.parametrize("level", [Level.TOP, Level.MIDDLE])
@pytest.mark.parametrize(("total", "prompt"), [(12, 0), (12, 15), (16, 16), (40, 4), (40, 16), (40, 30)])
def test_existing_codes_are_never_sampled_again(level, total, prompt):
    codes = make_codes(level, prompt, prompt=prompt)
    job = make_job(level, total)
    grown = list(fill(job, codes, lambda done: None))
    assert [one.done for one in grown] == [window.stop for window in job.windows(prompt)]
    for one in grown:
        assert np.array_equal(one.array[:, :prompt], codes.array)
        assert one.prompt == prompt
    assert (grown[-1].done if grown else prompt) == max(total, prompt)


@pytest.mark.parametrize("level", Level)
def test_a_level_resumed_after_any_window_has_the_same_codes(level):
    job, codes = make_job(level, 52), make_codes(level, 6, prompt=6)
    grown = list(fill(job, codes, lambda done: None))
    assert len(grown) > 3
    for stopped in grown:
        assert np.array_equal(fill_all(job, stopped), grown[-1].array)


@pytest.mark.parametrize("level", [Level.TOP, Level.MIDDLE])
def test_a_sample_is_independent_of_the_number_of_samples(level):
    job = make_job(level, 40, samples=8)
    whole = fill_all(job, make_codes(level, samples=8))
    for samples in (1, 5):
        few = make_job(level, 40, samples=samples, upper=None if job.upper is None else job.upper[:samples])
        assert np.array_equal(fill_all(few, make_codes(level, samples=samples)), whole[:samples])


def test_samples_seeds_and_levels_have_different_codes():
    one = fill_all(make_job(Level.TOP), make_codes(Level.TOP))
    assert not np.array_equal(one[0], one[1])
    assert not np.array_equal(one, fill_all(make_job(Level.TOP, seed=SEED + 1), make_codes(Level.TOP)))


@pytest.mark.parametrize(
    "change", [{"artist": 1}, {"genres": (2,)}, {"sampling": LevelSampling(temperature=0.5)}, {"song_samples": 55_000}]
)
def test_codes_depend_on_the_conditioning(change):
    codes = make_codes(Level.TOP)
    assert not np.array_equal(fill_all(make_job(Level.TOP), codes), fill_all(make_job(Level.TOP, **change), codes))


def test_changed_upper_codes_change_codes_from_their_position_on():
    job = make_job(Level.MIDDLE, 64)
    upper = job.upper.copy()
    upper[:, 12:] = (upper[:, 12:] + 1) % SIZE  # beyond the first windows
    before = fill_all(job, make_codes(Level.MIDDLE))
    after = fill_all(make_job(Level.MIDDLE, 64, upper=upper), make_codes(Level.MIDDLE))
    # the window that ends at 48 = 12 * RATIO is the last that sees none of them
    assert np.array_equal(before[:, :48], after[:, :48])
    assert not np.array_equal(before[:, 48:], after[:, 48:])


@pytest.mark.parametrize("level", [Level.TOP, Level.BOTTOM])
@pytest.mark.parametrize("done", [0, 13])
def test_the_prior_is_called_with_the_planned_windows_and_their_upper_codes(level, done, monkeypatch):
    total = 44
    job, seen, steps = make_job(level, total), [], []
    # which calls what is watched here
    monkeypatch.setattr("jukectl.sampling.level.decoder_for", lambda *given, **_: EagerDecoder(*given))
    prior = job.prior
    conditioning, prefill, step = prior.conditioning, prior.prefill, prior.step

    def watch_conditioning(labels, upper=None):
        seen.append({"offset": int(labels.offset[0]), "length": int(labels.sample_length[0]), "upper": upper})
        return conditioning(labels, upper)

    def watch_prefill(codes, *rest, **options):
        seen[-1]["prefix"] = codes
        return prefill(codes, *rest, **options)

    def watch_step(code, position, *rest):
        steps.append((len(seen), position))
        return step(code, position, *rest)

    monkeypatch.setattr(prior, "conditioning", watch_conditioning)
    monkeypatch.setattr(prior, "prefill", watch_prefill)
    monkeypatch.setattr(prior, "step", watch_step)
    array = fill_all(job, make_codes(level, done))

    plan = list(plan_windows(total, context=CONTEXT, advance=CONTEXT // 2, done=done, ratio=job.ratio))
    assert len(seen) == len(plan)
    for number, (window, one) in enumerate(zip(plan, seen, strict=True), 1):
        assert one["offset"] == window.start * prior.config.hop
        assert one["length"] == CONTEXT * prior.config.hop
        assert np.array_equal(one["prefix"], array[:, window.start : window.start + window.prefix])
        if level is not Level.TOP:
            upper = job.upper[:, window.start // RATIO : (window.start + CONTEXT) // RATIO]
            assert np.array_equal(one["upper"], upper)
        # the first code comes from the prefill, each other from a step
        positions = [position for window_number, position in steps if window_number == number]
        assert positions == list(range(window.prefix + 1, window.prefix + window.new))


def test_a_short_last_window_is_conditioned_on_fewer_upper_codes():
    job = make_job(Level.MIDDLE, total=8)
    assert job.upper.shape[1] * RATIO < CONTEXT
    assert fill_all(job, make_codes(Level.MIDDLE)).shape == (2, 8)


def test_progress_is_reported_up_to_the_end_of_every_window():
    reports = []
    fill_all(make_job(Level.TOP, 20), make_codes(Level.TOP, 3), reports.append)
    assert reports == sorted(set(reports))
    assert reports[0] == 4
    assert {16, 20} <= set(reports)


def test_progress_is_reported_for_every_code_of_a_slow_decoder(monkeypatch):
    monkeypatch.setattr("jukectl.sampling.level.REPORT_INTERVAL", 0.0)
    reports = []
    fill_all(make_job(Level.TOP, 20), make_codes(Level.TOP, 3), reports.append)
    assert reports == list(range(4, 21))


@pytest.mark.parametrize(("advance", "starts"), [(0.25, [0, 4, 8, 12, 16]), (0.5, [0, 8, 16]), (1.0, [0, 16])])
def test_the_advance_changes_the_windows(advance, starts):
    job = make_job(Level.TOP, 32, sampling=LevelSampling(advance=advance))
    assert [window.start for window in job.windows(0)] == starts


def test_temperature_zero_gives_the_same_codes_for_all_seeds():
    still = LevelSampling(temperature=0)
    one, other = (fill_all(make_job(sampling=still, seed=seed), make_codes()) for seed in (1, 2))
    assert np.array_equal(one, other)
    assert np.array_equal(one[0], one[1])
