"""Prefetching of batches in a background thread, so that the model does not wait for data."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from typing import Any, Generic, Self, TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")

AHEAD = 2  # items prepared in advance


class Prefetcher(Generic[Item]):
    """Results of a function for `first`, `first` + 1 and so on, before `stop`, each computed in advance.

    The function must depend on its argument alone, so that the result does not depend on when it runs.
    """

    def __init__(self, make: Callable[[int], Item], first: int, stop: int) -> None:
        self._make = make
        self._next = first
        self._stop = stop
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._waiting: deque[Future[Item]] = deque()

    def take(self) -> Item:
        """Return the next item; raise the error of the function, and IndexError after the last item."""
        while len(self._waiting) <= AHEAD and self._next < self._stop:
            self._waiting.append(self._thread.submit(self._make, self._next))
            self._next += 1
        return self._waiting.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown(cancel_futures=True)


def pinned(batch: Item) -> Item:
    """Copy a tensor, or a dataclass of tensors, to pinned memory for asynchronous transfer to a GPU."""
    copy: Item = _each(batch, Tensor.pin_memory)
    return copy


def moved(batch: Item, device: torch.device) -> Item:
    """Copy a tensor, or a dataclass of tensors, to a device; asynchronously from pinned memory."""
    copy: Item = _each(batch, lambda tensor: tensor.to(device, non_blocking=True))
    return copy


def _each(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Apply a function to a tensor, or to every tensor in a dataclass at any depth."""
    if isinstance(batch, Tensor):
        return change(batch)
    if is_dataclass(batch) and not isinstance(batch, type):
        return replace(batch, **{field.name: _each(getattr(batch, field.name), change) for field in fields(batch)})
    return batch
