"""Batches made ahead, in a thread of their own, so that the model does not wait for the data."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from typing import Any, Generic, Self, TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")

AHEAD = 2  # items that are ready or being made when one is taken


class Prefetcher(Generic[Item]):
    """What a function gives for `first`, `first` + 1 and so on, up to `stop`, each made before it is asked for.

    The function must depend on its number alone: then nobody can tell that it ran ahead.
    """

    def __init__(self, make: Callable[[int], Item], first: int, stop: int) -> None:
        self._make = make
        self._next = first
        self._stop = stop
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._waiting: deque[Future[Item]] = deque()

    def take(self) -> Item:
        """The next item; raises what making it raised, and IndexError after the last."""
        while len(self._waiting) <= AHEAD and self._next < self._stop:
            self._waiting.append(self._thread.submit(self._make, self._next))
            self._next += 1
        return self._waiting.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown(cancel_futures=True)


def pinned(batch: Item) -> Item:
    """A tensor, or a dataclass of tensors, in memory that a GPU can copy from while others work."""
    copy: Item = _each(batch, Tensor.pin_memory)
    return copy


def moved(batch: Item, device: torch.device) -> Item:
    """A tensor, or a dataclass of tensors, on a device; from pinned memory nobody waits for it."""
    copy: Item = _each(batch, lambda tensor: tensor.to(device, non_blocking=True))
    return copy


def _each(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A copy of a tensor, or of a dataclass that holds some at any depth, with every tensor changed."""
    if isinstance(batch, Tensor):
        return change(batch)
    if is_dataclass(batch) and not isinstance(batch, type):
        return replace(batch, **{field.name: _each(getattr(batch, field.name), change) for field in fields(batch)})
    return batch
