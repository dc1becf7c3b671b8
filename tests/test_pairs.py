"""The combinations of parameters that other tests use."""

from itertools import combinations, product

import pytest
from pairs import pairs


@pytest.mark.parametrize("sizes", [(2, 2), (3, 3, 6), (2, 2, 5), (2, 3, 4, 5), (1, 4)])
def test_pairs_contain_every_two_values_in_few_rows(sizes):
    axes = [range(size) for size in sizes]
    rows = pairs(*axes)
    for first, second in combinations(range(len(sizes)), 2):
        assert {(row[first], row[second]) for row in rows} == set(product(axes[first], axes[second]))
    smallest = max(one * other for one, other in combinations(sizes, 2))
    assert smallest <= len(rows) <= 2 * smallest
