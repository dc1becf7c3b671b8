"""Spans of a level: coverage, windows, and codes compared with sampling each span alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from level_jobs import fill, fill_spans, level_job
from tiny_priors import tiny_prior

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.prior.model import Prior
from jukectl.sampling.draw import uniforms
from jukectl.sampling.footprint import BatchPlan
from jukectl.sampling.level import no_spans_yet
from jukectl.sampling.spans import plan_spans, spans_of

RATIO = 4
CONTEXT = 16
SIZE = 24  # codes in the codebook


@st.composite
def levels(draw):
    """Draw arguments of `plan_spans`."""
    ratio = draw(st.sampled_from([1, 2, 4]))
    context = ratio * draw(st.integers(1, 12))
    total = ratio * draw(st.integers(0, 200))
    return {
        "total": total,
        "prefix": draw(st.integers(0, total)),
        "context": context,
        "advance": ratio * draw(st.integers(1, context // ratio)),
        "ratio": ratio,
        "most": draw(st.integers(1, 20)),
    }


@given(levels())
def test_spans_contribute_every_missing_code_exactly_once(level):
    if spans := plan_spans(**level):
        given_codes = [code for start, stop in spans.kept() for code in range(start, stop)]
        assert given_codes == list(range(level["prefix"], level["total"]))
        assert 2 <= len(spans.starts) <= level["most"]
        assert spans.total == level["total"]


@given(levels())
def test_rounds_fill_every_row_from_warm_up_to_end_without_a_gap(level):
    spans = plan_spans(**level)
    if spans is None:
        return
    for number, start in enumerate(spans.starts):
        windows = [windows[number] for windows in spans.rounds()]
        made = start - spans.warmup if number else max(start - spans.warmup, level["prefix"])
        assert start >= spans.warmup
        for window in windows:
            assert window.start + window.prefix == made
            assert window.start >= start - spans.warmup
            assert window.start % level["ratio"] == 0
            assert window.start + level["context"] <= level["total"]  # so that all have as many upper codes
            assert 0 <= window.prefix < level["context"]
            assert window.stop - window.start <= level["context"]
            made = window.stop
        assert made == start + spans.length


@given(levels())
def test_windows_of_a_round_have_one_shape_except_in_the_first_span(level):
    if spans := plan_spans(**level):
        rounds = [[(window.prefix, window.new) for window in windows] for windows in spans.rounds()]
        warm_up = rounds.pop(0) if spans.warmup else [(0, 0)]
        assert len(set(warm_up[1:])) <= 1
        assert all(len(set(shapes)) == 1 for shapes in rounds)
        if level["prefix"] == 0:
            assert len(set(warm_up)) == 1


@given(levels(), st.data())
def test_rounds_resume_where_a_run_stopped(level, data):
    if spans := plan_spans(**level):
        rounds = list(spans.rounds())
        done = data.draw(st.integers(0, len(rounds)))
        made = rounds[done - 1][0].stop - (spans.starts[0] - spans.warmup) if done else 0
        assert list(spans.rounds(made)) == rounds[done:]


@given(levels())
def test_spans_are_at_least_one_advance_long(level):
    if spans := plan_spans(**level):
        assert spans.length >= level["advance"]


def test_spans_that_start_between_upper_codes_are_refused():
    with pytest.raises(ValueError, match="total is 102, no multiple of 4"):
        plan_spans(102, prefix=0, context=16, advance=8, ratio=4, most=4)


PRIOR = tiny_prior(Level.MIDDLE)


def make_job(total=100, samples=2, parallel=4, **changes):
    upper = np.random.default_rng(0).integers(0, SIZE, (samples, total // RATIO)).astype(np.uint16)
    sampling = LevelSampling(temperature=1.0, advance=0.5, parallel=parallel)
    values = {"prior": PRIOR, "total": total, "seed": 11, "sampling": sampling, "artist": 0, "genres": (0,)}
    return level_job(**{**values, "song_samples": 20_000, "upper": upper, **changes})


def make_codes(frames=0, samples=2):
    array = np.random.default_rng(1).integers(0, SIZE, (samples, frames)).astype(np.uint16)
    return Codes(
        level=Level.MIDDLE, array=array, prompt=frames, hop=32, sample_rate=1_000, codebook_size=SIZE, vqvae="x"
    )


def rounds_of(job, codes, batch=None, on_progress=lambda done: None, on_reduced=lambda batch: None):
    spans = job.spans(codes.done)
    return list(fill_spans(job, codes, spans, no_spans_yet(spans, codes, "k"), on_progress, batch, on_reduced))


def sampled_slowly(job, codes):
    """Sample the same level without cache and batch: each span alone, a forward pass for every code."""
    spans = job.spans(codes.done)
    result = np.zeros((codes.samples, job.total), dtype=np.int64)
    for sample in range(codes.samples):
        numbers = uniforms(job.seed, job.level, sample, 0, job.total)
        result[sample, : codes.done] = codes.array[sample]
        for number, (start, stop) in enumerate(spans.kept()):
            row = {place: int(code) for place, code in enumerate(codes.array[sample])} if number == 0 else {}
            for windows in spans.rounds():
                window = windows[number]
                upper = job.upper[sample, window.start // RATIO : (window.start + CONTEXT) // RATIO]
                upper = torch.from_numpy(upper.astype(np.int64))[None]
                for place in range(window.start + window.prefix, window.stop):
                    seen = torch.tensor([[*(row[one] for one in range(window.start, place)), 0]])
                    logits = job.prior(seen, labels(job, window), upper)[0, -1].double()
                    cumulative = np.cumsum(logits.softmax(-1).numpy())
                    row[place] = int(np.searchsorted(cumulative, numbers[place] * cumulative[-1], side="right"))
            result[sample, start:stop] = [row[place] for place in range(start, stop)]
    return result


def labels(job, window):
    from jukectl.prior.labels import LabelBatch

    return LabelBatch.repeat(
        1,
        total_length=job.conditioning.song_samples,
        offset=window.start * job.prior.config.hop,
        sample_length=job.prior.config.window_samples,
    )


@pytest.mark.parametrize(("total", "done", "parallel"), [(64, 0, 2), (100, 0, 4), (100, 5, 3), (108, 30, 4)])
def test_span_codes_equal_sampling_each_span_alone(total, done, parallel):
    job, codes = make_job(total, parallel=parallel), make_codes(done)
    assert len(job.spans(done).starts) == parallel
    assert np.array_equal(rounds_of(job, codes)[-1][0].array, sampled_slowly(job, codes))


@pytest.mark.parametrize("done", [0, 5, 30])
def test_the_first_span_equals_a_single_span_in_equal_windows(done):
    job, codes = make_job(), make_codes(done)
    spans = job.spans(done)
    whole = [*fill(job, codes, lambda done: None)][-1].array
    first = spans.starts[0] + spans.length
    if done == 0:  # or the windows lie elsewhere
        assert np.array_equal(rounds_of(job, codes)[-1][0].array[:, :first], whole[:, :first])
    assert np.array_equal(rounds_of(job, codes)[-1][0].array[:, :done], codes.array)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 50])
def test_span_codes_are_independent_of_the_batch_size(rows):
    job, codes = make_job(), make_codes(5)
    assert np.array_equal(rounds_of(job, codes, BatchPlan(rows))[-1][0].array, rounds_of(job, codes)[-1][0].array)


def test_contiguous_codes_of_spans_grow_and_never_change():
    reports = []
    grown = [codes for codes, _ in rounds_of(make_job(), make_codes(5), on_progress=reports.append)]
    assert [codes.done for codes in grown] == sorted({codes.done for codes in grown})
    assert grown[-1].done == 100
    for codes in grown:
        assert np.array_equal(codes.array, grown[-1].array[:, : codes.done])
    assert reports == sorted(reports)
    assert reports[0] < 20
    assert reports[-1] == 100


def test_spans_resumed_after_any_round_have_the_same_codes(tmp_path):
    job, codes = make_job(), make_codes(5)
    spans = job.spans(codes.done)
    rounds = rounds_of(job, codes)
    assert len(rounds) > 3
    for grown, unfinished in rounds:
        unfinished.save(tmp_path / "spans.npz")
        kept = type(unfinished).load(tmp_path / "spans.npz")
        assert (kept.key, kept.begun) == ("k", 5)
        rest = [one for one, _ in fill_spans(job, grown, spans, kept, lambda done: None)]
        assert np.array_equal([grown, *rest][-1].array, rounds[-1][0].array)


def test_running_out_of_memory_in_spans_halves_the_rows_and_keeps_the_codes(monkeypatch):
    job, codes, reduced = make_job(), make_codes(5), []
    whole = rounds_of(job, codes)[-1][0].array
    conditioning = Prior.conditioning

    def cramped(self, labels, upper):
        if len(labels) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more")
        return conditioning(self, labels, upper)

    monkeypatch.setattr(Prior, "conditioning", cramped)
    assert np.array_equal(rounds_of(job, codes, on_reduced=reduced.append)[-1][0].array, whole)
    assert reduced == [BatchPlan(4), BatchPlan(2)]


def test_top_levels_single_spans_and_short_levels_have_no_spans():
    assert make_job(parallel=1).spans(0) is None
    assert make_job(total=20, parallel=8).spans(0) is None
    top = replace(PRIOR.config, level=Level.TOP, conditioner=None)
    assert spans_of(top, LevelSampling(parallel=4), 100, 0) is None
    assert len(make_job(total=40, parallel=8).spans(0).starts) == 4
