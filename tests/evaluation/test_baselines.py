import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukectl.evaluation.baselines import Bigram, Unigram

K = 6
SONGS = st.lists(st.lists(st.integers(0, K - 1), min_size=1, max_size=40).map(np.array), min_size=1, max_size=5)
CHAIN = np.array([[0.9, 0.1, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0], [0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0]])


def walk(length: int, seed: int) -> np.ndarray:
    """Return codes of the Markov chain CHAIN."""
    generator = np.random.default_rng(seed)
    steps = generator.random(length)
    cumulative = CHAIN.cumsum(axis=1)
    codes = [0]
    for step in steps[1:]:
        codes.append(int(np.searchsorted(cumulative[codes[-1]], step, side="right")))
    return np.array(codes, dtype=np.uint16)


def stationary() -> np.ndarray:
    return np.linalg.matrix_power(CHAIN, 1_000)[0]


def entropies(rows: np.ndarray) -> np.ndarray:
    return -(rows * np.log2(np.where(rows > 0, rows, 1))).sum(axis=-1)


def test_the_unigram_adds_one_to_every_count():
    unigram = Unigram.fit([np.array([0, 0, 0]), np.array([2])], 4)
    assert unigram.probabilities == pytest.approx(np.array([4, 1, 2, 1]) / 8)


def test_the_unigram_costs_the_entropy_of_a_markov_chains_stationary_distribution():
    unigram = Unigram.fit([walk(20_000, seed) for seed in (1, 2)], 4)
    assert unigram.bits(walk(20_000, 3)).mean() == pytest.approx(entropies(stationary()), abs=0.02)


def test_the_bigram_costs_the_entropy_rate_of_a_markov_chain():
    bigram = Bigram.fit([walk(20_000, seed) for seed in (1, 2)], 4)
    rate = stationary() @ entropies(CHAIN)
    assert bigram.bits(walk(20_000, 3)).mean() == pytest.approx(rate, abs=0.02)


def test_on_independent_codes_the_bigram_costs_as_much_as_the_unigram():
    generator = np.random.default_rng(0)
    songs = [generator.choice(200, 2_000, p=np.arange(200) / 19_900) for _ in range(3)]
    bigram = Bigram.fit(songs[:2], 200)
    assert bigram.bits(songs[2]).mean() == pytest.approx(bigram.unigram.bits(songs[2]).mean(), rel=0.01)


@given(SONGS)
def test_the_bigrams_probabilities_after_any_code_add_up_to_one(songs):
    bigram = Bigram.fit(songs, K)
    for last in range(K):
        costs = np.array([bigram.bits(np.array([last, code]))[1] for code in range(K)])
        assert np.all(np.isfinite(costs))
        assert (2.0**-costs).sum() == pytest.approx(1)


@given(SONGS)
def test_the_first_code_costs_what_the_unigram_says(songs):
    bigram = Bigram.fit(songs, K)
    assert bigram.bits(songs[0])[0] == bigram.unigram.bits(songs[0])[0]


@pytest.mark.parametrize("dtype", [np.uint16, np.int64])
def test_pairs_are_counted_within_a_song_and_not_over_its_end(dtype):
    bigram = Bigram.fit([np.array([0, 1, 2], dtype), np.array([3, 0, 1], dtype)], 65_536)
    pairs = {divmod(int(pair), 65_536): int(count) for pair, count in zip(bigram.pairs, bigram.counts, strict=True)}
    assert pairs == {(0, 1): 2, (1, 2): 1, (3, 0): 1}
    assert bigram.before[:4].tolist() == [2, 1, 0, 1]
