"""Combinations of test parameters in which every two values meet, far fewer than all combinations."""

from collections.abc import Iterable
from itertools import combinations, product
from typing import Any


def pairs(*axes: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Return rows with one value of each axis, such that any two values of different axes are in a common row.

    Most mistakes that depend on a combination depend on two of its values (Kuhn et al. 2004). The rows are chosen
    greedily and in a fixed order, so that test ids stay the same.
    """
    values = [list(axis) for axis in axes]
    rows = list(product(*(range(len(axis)) for axis in values)))
    missing = {pair for row in rows for pair in _pairs_of(row)}
    chosen = []
    while missing:
        best = max(rows, key=lambda row: sum(pair in missing for pair in _pairs_of(row)))
        missing.difference_update(_pairs_of(best))
        chosen.append(best)
    return [tuple(axis[place] for axis, place in zip(values, row, strict=True)) for row in chosen]


def _pairs_of(row: tuple[int, ...]) -> list[tuple[tuple[int, int], ...]]:
    """Return all pairs of (axis, value) in a row."""
    return list(combinations(enumerate(row), 2))
