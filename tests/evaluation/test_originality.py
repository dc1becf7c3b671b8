"""What new codes share with training songs: planted copies, whole and with mistakes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukectl.codes.overlap import Match
from jukectl.evaluation.originality import COVERED, TrainingCodes, longest_agreement, percentile, stretches


@pytest.fixture(scope="module")
def songs() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(2_048, size=5_000).astype(np.uint16) for _ in range(5)]


@pytest.fixture(scope="module")
def training(songs) -> TrainingCodes:
    return TrainingCodes(songs)


def test_a_copy_with_every_tenth_code_changed_is_a_near_copy(songs, training):
    query = np.random.default_rng(1).integers(2_048, size=1_000).astype(np.uint16)
    query[300:700] = songs[3][1_100:1_500]
    query[309:700:10] ^= 1
    found = training.overlap(query)
    assert found.exact == Match(length=9, query_start=300, song=3, song_start=1_100)
    assert (found.near.song, found.near.song_start - found.near.query_start) == (3, 800)
    assert 400 <= found.near.length <= 520  # at either end it may run on until a fifth of it is wrong
    assert found.near.query_start <= 300


def test_a_copy_from_the_very_end_of_a_song_is_found_whole(songs, training):
    found = training.overlap(songs[2][-200:])
    assert found.exact == found.near == Match(length=200, query_start=0, song=2, song_start=4_800)
    assert found.coverage == (1.0,) * len(COVERED)


def test_chance_alone_shares_hardly_a_pair(training):
    found = training.overlap(np.random.default_rng(2).integers(2_048, size=1_000).astype(np.uint16))
    assert found.exact.length <= 2
    assert found.coverage[1:] == (0.0,) * (len(COVERED) - 1)


def test_coverage_is_not_told_for_runs_longer_than_the_music(training):
    assert training.overlap(np.arange(20, dtype=np.uint16)).coverage[-2:] == (None, None)


@given(st.lists(st.booleans(), max_size=40))
def test_the_longest_agreement_is_that_of_all_stretches_tried_one_by_one(equal):
    start, length = longest_agreement(np.array(equal, dtype=bool))
    fits = [
        last - first
        for first in range(len(equal))
        for last in range(first + 1, len(equal) + 1)
        if 5 * sum(equal[first:last]) >= 4 * (last - first)
    ]
    assert length == max(fits, default=0)
    assert 5 * sum(equal[start : start + length]) >= 4 * length


def test_stretches_are_whole_and_do_not_touch():
    found = stretches([np.arange(10), np.arange(3), np.arange(4)], 4)
    assert [part.tolist() for part in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (1, 12.5), (2, 50), (3, 87.5), (9, 100)])
def test_a_percentile_counts_half_of_the_equal_ones(value, expected):
    assert percentile(value, [1, 2, 2, 3]) == expected
    assert percentile(value, []) is None
