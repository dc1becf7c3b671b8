"""Sampling of a code: its distribution, and its dependence on logits and uniform number alone."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jukectl.sampling.draw import NOT_FINITE, draw, expected

LAST = 1 - 2.0**-53  # the largest number below 1 that uniforms can be


def draw_one(logits, uniform, temperature=1.0, top_k=0, top_p=1.0):
    """Return the code for one row of logits and one number."""
    rows = torch.tensor(np.asarray(logits), dtype=torch.float32)[None]
    numbers = torch.tensor([uniform], dtype=torch.float64)
    return int(draw(rows, numbers, temperature=temperature, top_k=top_k, top_p=top_p)[0])


def draw_many(logits, uniforms, temperature=1.0, top_k=0, top_p=1.0):
    """Return the codes for one row of logits and many numbers."""
    rows = torch.tensor(logits, dtype=torch.float32).expand(len(uniforms), -1)
    return draw(rows, torch.as_tensor(uniforms), temperature=temperature, top_k=top_k, top_p=top_p).numpy()


def stratified(count):
    """Return the middles of `count` equal parts of [0, 1)."""
    return (np.arange(count) + 0.5) / count


def probabilities_of(logits, temperature=1.0, top_k=0, top_p=1.0):
    """Return the expected distribution, in numpy: ranked, cut, scaled to one. Not for ties."""
    weights = np.exp((np.float64(np.float32(logits)) - np.max(logits)) / temperature)
    order = np.argsort(-weights)
    if top_k:
        weights[order[top_k:]] = 0
    weights /= weights.sum()
    if top_p < 1:
        enough = np.searchsorted(np.cumsum(weights[order]), top_p) + 1
        weights[order[enough:]] = 0
    return weights / weights.sum()


LOGITS = np.random.default_rng(5).normal(scale=2, size=40).round(3)
SETTINGS = [
    {},
    {"temperature": 2.5},
    {"top_k": 7},
    {"top_k": 1000},
    {"top_p": 0.9},
    {"temperature": 0.8, "top_k": 9, "top_p": 0.7},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_sampled_frequencies_match_the_probabilities(settings):
    count = 20_000
    found = np.bincount(draw_many(LOGITS, stratified(count), **settings), minlength=len(LOGITS))
    expected = probabilities_of(LOGITS, **settings) * count
    assert found[expected == 0].sum() == 0
    # stratified numbers leave at most one draw of rounding at each end of a code's share
    assert np.abs(found - expected).max() <= 1.0
    chi_square = ((found - expected)[expected > 0] ** 2 / expected[expected > 0]).sum()
    assert chi_square < len(LOGITS)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_sampled_frequencies_match_with_random_numbers(settings):
    count = 20_000
    found = np.bincount(draw_many(LOGITS, np.random.default_rng(0).random(count), **settings), minlength=len(LOGITS))
    expected = probabilities_of(LOGITS, **settings) * count
    likely = expected >= 5  # the rule of thumb for chi-square
    freedom = max(likely.sum() - 1, 1)
    chi_square = ((found - expected)[likely] ** 2 / expected[likely]).sum()
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)  # five standard deviations


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {"top_k": 1}], ids=str)
@pytest.mark.parametrize("uniform", [0.0, 0.5, LAST])
def test_temperature_zero_and_top_k_one_are_greedy(settings, uniform):
    assert draw_one(LOGITS, uniform, **settings) == np.argmax(LOGITS)


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 5e-324])
def test_a_tiny_temperature_is_greedy(temperature):
    assert set(draw_many(LOGITS, stratified(50), temperature=temperature)) == {np.argmax(LOGITS)}


def test_the_code_is_the_first_whose_cumulative_probability_exceeds_the_number():
    quarters = np.log([0.25, 0.25, 0.25, 0.25])
    assert [draw_one(quarters, uniform) for uniform in (0.0, 0.2499, 0.2501, 0.5001, 0.7499, 0.7501, LAST)] == [
        0,
        0,
        1,
        2,
        2,
        3,
        3,
    ]


def test_a_code_with_zero_probability_is_never_sampled():
    logits = [-np.inf, 0.0, -np.inf, 0.0, -np.inf]
    assert [draw_one(logits, uniform) for uniform in (0.0, 0.4999, 0.5, LAST)] == [1, 1, 3, 3]


@given(
    st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=60),
    st.floats(0.05, 5),
    st.integers(0, 70),
    st.floats(0.01, 1),
)
def test_the_largest_uniform_number_samples_a_kept_code(logits, temperature, top_k, top_p):
    code = draw_one(logits, LAST, temperature, top_k, top_p)
    assert 0 <= code < len(logits)
    likelier = sum(other > logits[code] for other in logits)
    assert likelier < (top_k or len(logits))


@pytest.mark.parametrize("top_k", [1, 2, 3, 4])
def test_top_k_keeps_exactly_k_codes_even_with_ties(top_k):
    logits = [0.0, 1.0, 1.0, 1.0, 0.0]
    assert set(draw_many(logits, stratified(500), top_k=top_k)) == set([1, 2, 3, 0][:top_k])


@pytest.mark.parametrize(("top_p", "kept"), [(0.1, 1), (0.39, 1), (0.41, 2), (0.69, 2), (0.71, 3), (0.95, 4), (1.0, 4)])
def test_the_nucleus_is_the_smallest_set_of_likeliest_codes(top_p, kept):
    logits = np.log([0.1, 0.4, 0.2, 0.3])
    assert set(draw_many(logits, stratified(1000), top_p=top_p)) == set([1, 3, 2, 0][:kept])


def test_the_nucleus_is_taken_after_top_k():
    # of 0.4 and 0.3 the first holds 0.57: enough for 0.5, but not of the whole distribution
    assert set(draw_many(np.log([0.1, 0.4, 0.2, 0.3]), stratified(1000), top_k=2, top_p=0.5)) == {1}


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_sampled_code_is_independent_of_the_batch(settings):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(32, 2048, generator=generator).round(decimals=1)  # with ties
    uniforms = torch.rand(32, generator=generator, dtype=torch.float64)
    arguments: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, **settings}
    whole = draw(logits, uniforms, **arguments)
    alone = [draw(logits[row : row + 1], uniforms[row : row + 1], **arguments) for row in range(32)]
    assert torch.equal(whole, torch.cat(alone))
    assert torch.equal(whole[5:12], draw(logits[5:12], uniforms[5:12], **arguments))


def test_half_precision_logits_are_sampled_without_rounding():
    logits = torch.randn(8, 100, generator=torch.Generator().manual_seed(0)).bfloat16()
    uniforms = torch.linspace(0, 0.99, 8, dtype=torch.float64)
    arguments: dict[str, Any] = {"temperature": 0.9, "top_k": 20, "top_p": 0.9}
    assert torch.equal(draw(logits, uniforms, **arguments), draw(logits.float(), uniforms, **arguments))


# Expected vectors of a residual quantizer


def test_the_expected_code_is_the_nearest_one_to_the_mean_vector_of_its_stage():
    random = np.random.default_rng(3)
    vectors, logits = random.normal(size=(3, 20, 4)), random.normal(size=(50, 60))
    found = expected(torch.from_numpy(logits), torch.from_numpy(vectors), 0.8)
    for row, code in zip(logits, found.tolist(), strict=True):
        stage = int(np.argmax(row)) // 20
        weights = np.exp(row[stage * 20 : stage * 20 + 20] / 0.8)
        mean = (weights[:, None] * vectors[stage]).sum(axis=0) / weights.sum()
        assert code == stage * 20 + int(np.argmin(np.linalg.norm(vectors[stage] - mean, axis=1)))


def test_between_two_equally_likely_codes_the_expected_one_is_the_one_between_their_vectors():
    vectors = torch.tensor([[[-1.0], [0.1], [1.0]]])
    logits = torch.tensor([[5.0, 0.0, 5.0]])
    number = torch.tensor([0.7], dtype=torch.float64)
    assert draw(logits, number, temperature=1.0, top_k=0, top_p=1.0).item() == 2
    assert draw(logits, number, temperature=1.0, top_k=0, top_p=1.0, vectors=vectors).item() == 1


def test_a_low_temperature_makes_the_expected_code_the_likeliest():
    random = np.random.default_rng(4)
    logits, vectors = torch.from_numpy(random.normal(size=(30, 40))), torch.from_numpy(random.normal(size=(2, 20, 3)))
    assert torch.equal(expected(logits, vectors, 1e-4), logits.argmax(-1))
    cold = draw(logits, torch.zeros(30, dtype=torch.float64), temperature=0.0, top_k=0, top_p=1.0, vectors=vectors)
    assert torch.equal(cold, logits.argmax(-1))


def test_no_code_is_expected_from_logits_that_are_not_finite():
    logits = torch.full((1, 8), torch.nan)
    number, vectors = torch.zeros(1, dtype=torch.float64), torch.ones(2, 4, 3)
    assert draw(logits, number, temperature=1.0, top_k=0, top_p=1.0, vectors=vectors).item() == NOT_FINITE
