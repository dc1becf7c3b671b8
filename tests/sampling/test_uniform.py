"""Uniform numbers as a function of (seed, level, sample, position)."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jukectl.codes.level import Level
from jukectl.codes.recipe import LARGEST_SEED
from jukectl.sampling.draw import uniforms

seeds = st.integers(0, LARGEST_SEED)
MASK = 2**64 - 1


def philox(counter, key):
    """Return four words of Philox4x64-10 in Python integers (Salmon et al. 2011, section 3.3 and table 2)."""
    a, b, c, d = counter
    k, m = key
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * a, 0xCA5A826395121157 * c
        a, b, c, d = (second >> 64) ^ b ^ k, second & MASK, (first >> 64) ^ d ^ m, first & MASK
        k, m = (k + 0x9E3779B97F4A7C15) & MASK, (m + 0xBB67AE8584CAA73B) & MASK
    return a, b, c, d


def test_philox_reference_reproduces_the_papers_known_answers():
    # kat_vectors of the authors' Random123 library
    assert philox((0, 0, 0, 0), (0, 0)) == (
        0x16554D9ECA36314C,
        0xDB20FE9D672D0FDC,
        0xD7E772CEE186176B,
        0x7E68B68AEC7BA23B,
    )
    assert philox((MASK,) * 4, (MASK, MASK)) == (
        0x87B092C3013FE90B,
        0x438C3C67BE8D0224,
        0x9CC7D7C69CD777B6,
        0xA09CAEBF594F0BA0,
    )


@given(seeds, st.sampled_from(Level), st.integers(0, 10_000), st.integers(0, 10_000_000))
@example(LARGEST_SEED, Level.TOP, 0, 0)
@example(2**53 + 1, Level.BOTTOM, 7, 12_345)
def test_uniform_numbers_are_the_top_53_bits_of_philox_at_their_counter(seed, level, sample, position):
    # numpy counts one on before it draws
    word = philox((position + 1, sample, int(level), 0), (seed, 0))[0]
    assert uniforms(seed, level, sample, position, position + 1).tolist() == [(word >> 11) / 2**53]


@given(seeds, st.sampled_from(Level), st.integers(0, 100), st.integers(0, 10_000), st.lists(st.integers(0, 40)))
def test_uniform_numbers_are_independent_of_the_split_into_ranges(seed, level, sample, start, lengths):
    stop = start + sum(lengths)
    parts = []
    position = start
    for length in lengths:
        parts.append(uniforms(seed, level, sample, position, position + length))
        position += length
    assert np.array_equal(np.concatenate([*parts, []]), uniforms(seed, level, sample, start, stop))


def test_uniform_numbers_are_float64_in_0_to_1():
    numbers = uniforms(3, Level.TOP, 0, 0, 100_000)
    assert (numbers.shape, numbers.dtype) == ((100_000,), np.float64)
    assert numbers.min() >= 0
    assert numbers.max() < 1


def test_seeds_levels_samples_and_positions_have_different_uniform_numbers():
    drawn = [
        uniforms(seed, level, sample, 0, 50)
        for seed in (0, 1, 2**32, 2**63 - 1)
        for level in Level
        for sample in range(8)
    ]
    assert len(np.unique(np.concatenate(drawn))) == 4 * 3 * 8 * 50


def test_uniform_numbers_are_uniform_and_uncorrelated():
    across = np.stack([uniforms(5, Level.MIDDLE, sample, 0, 2000) for sample in range(100)])  # (sample, position)
    counts, _ = np.histogram(across, bins=64, range=(0, 1))
    chi_square = ((counts - across.size / 64) ** 2 / (across.size / 64)).sum()
    assert 27 < chi_square < 120  # 63 degrees of freedom: one in ten thousand lies outside on either side
    for one, other in ((across[:, :-1], across[:, 1:]), (across[:-1], across[1:])):
        correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
        assert abs(correlation) < 0.01  # four standard deviations of 200,000 pairs


def test_an_empty_range_has_no_uniform_numbers():
    assert uniforms(0, Level.TOP, 0, 7, 7).shape == (0,)


@pytest.mark.parametrize(
    ("seed", "sample", "start", "stop"), [(-1, 0, 0, 1), (2**63, 0, 0, 1), (0, -1, 0, 1), (0, 0, -1, 1), (0, 0, 2, 1)]
)
def test_invalid_seeds_samples_and_positions_are_refused(seed, sample, start, stop):
    with pytest.raises(ValueError, match=r"got|no such positions"):
        uniforms(seed, Level.TOP, sample, start, stop)
