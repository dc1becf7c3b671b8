from math import floor

import pytest
import torch

from jukectl.prior.conditioning import Timing, bin_of
from jukectl.prior.config import TimingConfig
from jukectl.prior.labels import LabelBatch

SAMPLE_RATE, CONTEXT, BINS = 1_000, 8, 16


@pytest.fixture
def timing() -> Timing:
    config = TimingConfig(bins=BINS, min_seconds=1.0, max_seconds=9.0)
    return Timing(config, sample_rate=SAMPLE_RATE, context=CONTEXT, width=4, std=1.0)


def labels(total: int, offset: int, length: int = 800) -> LabelBatch:
    return LabelBatch.repeat(1, total_length=total, offset=offset, sample_length=length)


@pytest.mark.parametrize(("total", "offset"), [(1_000, 0), (5_000, 1_300), (8_999, 8_100), (2_000, 1_500)])
def test_bins_follow_the_formula(timing: Timing, total: int, offset: int) -> None:
    of_total, of_absolute, of_relative = (bins[0].tolist() for bins in timing.bins_of(labels(total, offset)))
    assert of_total == [floor(BINS * (total - 1_000) / 8_000)]
    assert of_absolute == [floor(BINS * (offset + 800 * t / CONTEXT) / 9_000) for t in range(CONTEXT)]
    start, end = offset / total, min((offset + 800) / total, 1)
    assert of_relative == [floor(BINS * (start + (end - start) * t / CONTEXT)) for t in range(CONTEXT)]


def test_a_window_past_the_end_stretches_what_is_left_over_all_its_codes(timing: Timing) -> None:
    _, absolute, relative = timing.bins_of(labels(1_000, 500, length=1_000))
    assert relative[0].tolist() == [8, 9, 10, 11, 12, 13, 14, 15]  # from 1/2 to 1, not to 3/2
    assert absolute[0].tolist() == [floor(BINS * (500 + 125 * t) / 9_000) for t in range(CONTEXT)]


@pytest.mark.parametrize(("total", "offset"), [(0, 0), (10, 0), (9_000, 0), (10**7, 10**7), (100, 5_000), (1_000, -50)])
def test_no_length_or_offset_falls_outside_the_bins(timing: Timing, total: int, offset: int) -> None:
    for bins in timing.bins_of(labels(total, offset)):
        assert bins.min() >= 0
        assert bins.max() < BINS
    assert timing(labels(total, offset)).isfinite().all()


def test_the_vectors_are_the_sum_of_three_embeddings(timing: Timing) -> None:
    total, absolute, relative = timing.bins_of(labels(3_000, 700))
    vectors = timing(labels(3_000, 700))
    assert vectors.shape == (1, CONTEXT, 4)
    for t in range(CONTEXT):
        expected = timing.total.weight[total[0, 0]] + timing.absolute.weight[absolute[0, t]]
        assert torch.allclose(vectors[0, t], expected + timing.relative.weight[relative[0, t]])


def test_bins_are_equal_and_open_to_the_right() -> None:
    edges = torch.tensor([0.0, 0.99, 1.0, 1.99, 3.99, 4.0])
    assert bin_of(edges, 0, 4, 4).tolist() == [0, 0, 1, 1, 3, 3]
