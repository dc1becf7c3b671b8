"""The way through the lyrics, against all ways there are; and words found again in attention made from their times."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jukectl.prior import lyric_attention
from jukectl.prior.lyric_attention import (
    SKIP_COST,
    WordTime,
    mass_near,
    monotonic_path,
    monotonicity,
    word_onsets,
)

SECONDS = 0.02  # a row
WORDS = [(0, 3), (5, 10), (12, 13), (15, 19), (21, 27), (29, 31)]
ONSETS = [0.4, 0.9, 2.0, 2.1, 3.5, 3.9]
ENDS = [0.8, 1.6, 2.1, 2.6, 3.9, 4.4]
LENGTH = 32


def sung(chance, *, total=5.0, noise=0.5, spread=1.5):
    """Attention (T, L) that looks at the character that is sung, roughly, and everywhere between words."""
    times = np.arange(0, total, SECONDS)
    weights = chance.dirichlet(np.full(LENGTH, 0.3), len(times))
    for (first, last), start, end in zip(WORDS, ONSETS, ENDS, strict=True):
        inside = (times >= start) & (times < end)
        place = first + (times[inside] - start) / (end - start) * (last - first)
        bell = np.exp(-0.5 * ((np.arange(LENGTH) - place[:, None]) / spread) ** 2)
        weights[inside] = noise * weights[inside] + (1 - noise) * bell / bell.sum(axis=1, keepdims=True)
    return weights


def worth(path, weights):
    """What a way through the lyrics is worth, as the docstring says."""
    blurred = lyric_attention._blurred(weights)
    evidence = np.log((1 - lyric_attention.UNIFORM_SHARE) * blurred + lyric_attention.UNIFORM_SHARE / weights.shape[1])
    steps = [path[0], *(after - before for before, after in pairwise(path))]
    return evidence[np.arange(len(path)), path].sum() - SKIP_COST * sum(max(step - 1, 0) for step in steps)


def even_spread(words, characters, seconds):
    """Return the times of words if all characters took equally long: the baseline of `word_onsets`."""
    each = seconds / characters
    return [WordTime(first * each, (last + 1) * each) for first, last in words]


def onset_error(found, onsets):
    """Return the mean distance of the words' starts from the true `onsets`, in seconds."""
    return float(np.mean([abs(word.start - onset) for word, onset in zip(found, onsets, strict=True)]))


@settings(max_examples=40, deadline=None)
@given(arrays(float, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.floats(0, 1)))
def test_the_path_is_the_best_of_all_monotonic_ones(weights):
    weights = weights / max(1.0, weights.sum(axis=1).max())
    rows, characters = weights.shape
    path = monotonic_path(weights)
    ways = [way for way in product(range(characters), repeat=rows) if list(way) == sorted(way)]
    assert tuple(path) in ways
    assert worth(path, weights) == pytest.approx(max(worth(np.array(way), weights) for way in ways), abs=1e-4)


@pytest.mark.parametrize(("noise", "error"), [(0.0, 0.1), (0.5, 0.1), (0.8, 0.2)])
def test_word_onsets_are_found_where_words_are_sung(noise, error):
    found = word_onsets(sung(np.random.default_rng(3), noise=noise), WORDS, SECONDS)
    assert onset_error(found, ONSETS) < error
    assert onset_error(even_spread(WORDS, LENGTH, 5.0), ONSETS) > 0.28
    assert np.mean([abs(word.end - end) for word, end in zip(found, ENDS, strict=True)]) < 0.2


def test_words_come_in_order_and_end_after_they_begin():
    found = word_onsets(np.random.default_rng(1).dirichlet(np.ones(LENGTH), 200), WORDS, SECONDS)
    assert all(0 <= word.start <= word.end <= 200 * SECONDS for word in found)
    assert all(before.start <= after.start and before.end <= after.start for before, after in pairwise(found))


def test_a_word_that_is_never_reached_is_at_the_end():
    weights = np.zeros((100, LENGTH))
    weights[:, 1] = 1.0
    found = word_onsets(weights, WORDS, SECONDS)
    assert found[0] == WordTime(0.0, 2.0)
    assert found[1:] == [WordTime(2.0, 2.0)] * 5


def test_mass_is_counted_near_the_character_where_one_is_sung():
    weights = np.array([[0.5, 0.2, 0.2, 0.1], [0.25] * 4, [0.0, 0.0, 0.0, 1.0]])
    assert mass_near(weights, np.array([0, -1, 3]), reach=1) == pytest.approx((0.7 + 1.0) / 2)
    assert mass_near(weights, np.array([-1, -1, -1])) == 0


def test_monotonicity_distinguishes_heads_that_follow_the_lyrics():
    chance = np.random.default_rng(0)
    follows = monotonicity(sung(chance, noise=0.6))
    still = np.zeros((250, LENGTH))
    still[:, 7] = 1.0
    backwards = sung(chance, noise=0.6)[:, ::-1]
    nothing = chance.dirichlet(np.ones(LENGTH), 250)
    assert follows > 0.2
    assert monotonicity(still) == pytest.approx(0, abs=1e-9)
    assert all(monotonicity(weights) < follows / 2 for weights in (backwards, nothing))
    assert monotonicity(np.zeros((0, LENGTH))) == 0
