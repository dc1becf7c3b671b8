"""Prefetching: the same items in the same order, and errors at their item."""

import threading
from dataclasses import dataclass

import pytest
import torch

from jukectl.training.prefetch import AHEAD, Prefetcher, moved


def test_prefetched_items_come_in_order_and_complete():
    with Prefetcher(lambda number: number * number, 3, 9) as items:
        assert [items.take() for _ in range(6)] == [9, 16, 25, 36, 49, 64]
        with pytest.raises(IndexError):
            items.take()


def test_items_are_prefetched_up_to_a_limit():
    made = []
    enough = threading.Event()

    def make(number):
        made.append(number)
        if number == AHEAD:
            enough.set()
        return number

    with Prefetcher(make, 0, 1_000) as items:
        assert items.take() == 0
        assert enough.wait(timeout=30)
    assert made == list(range(AHEAD + 1))


def test_an_error_in_prefetching_is_raised_at_its_item():
    def make(number):
        if number == 1:
            raise ValueError("one")
        return number

    with Prefetcher(make, 0, 5) as items:
        assert items.take() == 0
        with pytest.raises(ValueError, match="one"):
            items.take()


@dataclass(frozen=True)
class Labels:
    artist: torch.Tensor


@dataclass(frozen=True)
class Pair:
    codes: torch.Tensor
    upper: torch.Tensor | None
    labels: Labels


def test_moving_a_batch_to_a_device_moves_all_its_tensors():
    pair = moved(Pair(torch.zeros(2), None, Labels(torch.ones(3))), torch.device("meta"))
    assert (pair.codes.device.type, pair.upper, pair.labels.artist.device.type) == ("meta", None, "meta")
